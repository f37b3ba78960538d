/* pattern.h: what the hardened build writes where a program has no business, and how it knows it again.
 *
 * The last 8 bytes of a block are its tail. The tail of a free block is a key, made of its address and the process's
 * secrets; that of a used block has the length of the slack mixed in: of the bytes between the end of the
 * request and the end of the block, at least those 8. All the slack is filled with the tail's bytes. The rest of
 * a free block is zeros, but for an encoded link.
 *
 * A tail lies beside the program's data, but nothing is believed because of it: it is compared with what
 * only the secrets tell, and a tail that was written over says no more than that.
 *
 * Invariant: Q1  the tail of every block that was carved, and was not purged, is that of a free block, or of a
 *                used one of its size. Each change is a single store, so that any thread may look at any time.
 *            Q2  a block on a list holds zeros between its link and its tail. */
#ifndef BM_HARDENED_PATTERN_H
#define BM_HARDENED_PATTERN_H

#include "../block.h"
#include "../fatal.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of slack that a block has at least. */
#define PATTERN_TAIL 8u

/* Written by guard_init(), once, and not writable from then on. */
struct pattern_secret {
  uint64_t words[4];
};
union pattern_page {
  struct pattern_secret secret;
  unsigned char bytes[4096];
};
extern HIDDEN union pattern_page pattern_page;

__extension__ typedef unsigned __int128 pattern_wide;

static inline uint64_t pattern_mix(uintptr_t address, const uint64_t *two) {
  pattern_wide product = (pattern_wide)(address ^ two[0]) * two[1];
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* ---- Tails ------------------------------------------------------------------------------- */

/* In the low bit of each byte there is a 1, so that no byte of a tail is 0: what a string's end overwrites. */
#define PATTERN_ODD UINT64_C(0x0101010101010101)
/* The bits of a tail that the slack is mixed into: 7 of each of three bytes. */
#define PATTERN_SLACK UINT64_C(0xfefefe)

static inline uint64_t *pattern_tail(const struct block *block, uint32_t size) {
  return (uint64_t *)((uintptr_t)block + size - PATTERN_TAIL);
}
static inline uint64_t pattern_key(const uint64_t *tail) {
  return pattern_mix((uintptr_t)tail, pattern_page.secret.words) | PATTERN_ODD;
}
static inline uint64_t pattern_key_of(const struct block *block, uint32_t size) { return pattern_key(pattern_tail(block, size)); }
static inline uint64_t pattern_spread(uint64_t slack) {
  return (slack & 0x7f) << 1 | (slack & 0x3f80) << 2 | (slack & 0x1fc000) << 3;
}
static inline uint64_t pattern_collect(uint64_t spread) {
  return (spread >> 1 & 0x7f) | (spread >> 2 & 0x3f80) | (spread >> 3 & 0x1fc000);
}
/* relaxed: one store, see Q1. */
static inline void pattern_set_tail(uint64_t *tail, uint64_t value) { __atomic_store_n(tail, value, __ATOMIC_RELAXED); }
static inline uint64_t pattern_get_tail(const uint64_t *tail) { return __atomic_load_n(tail, __ATOMIC_RELAXED); }

/* The mask of the last `bytes` (1 to 7) bytes of a word. */
static inline uint64_t pattern_last(size_t bytes) { return ~UINT64_C(0) << (64 - 8 * bytes); }

typedef uint64_t pattern_pair __attribute__((vector_size(16), may_alias));
typedef pattern_pair pattern_words __attribute__((aligned(8)));

/* Fill `slack` bytes that end where `tail` begins. */
static inline void pattern_fill(uint64_t *tail, uint64_t value, size_t slack) {
  for (; slack >= 16; slack -= 16) *(pattern_words *)(tail -= 2) = (pattern_pair){value, value};
  if (slack >= 8) *--tail = value, slack -= 8;
  if (slack > 0) {
    uint64_t mask = pattern_last(slack);
    tail[-1] = (tail[-1] & ~mask) | (value & mask);
  }
}
static inline int pattern_is_filled(const uint64_t *tail, uint64_t value, size_t slack) {
  const pattern_pair both = {value, value};
  pattern_pair all = {0, 0};
  for (; slack >= 16; slack -= 16) all |= *(const pattern_words *)(tail -= 2) ^ both;
  uint64_t difference = all[0] | all[1];
  if (slack >= 8) difference |= *--tail ^ value, slack -= 8;
  if (slack > 0) difference |= (tail[-1] ^ value) & pattern_last(slack);
  return difference == 0;
}

/* Mark a block of `size` bytes as one of `request`, at most size - PATTERN_TAIL. */
static inline void pattern_seal(struct block *block, uint32_t size, size_t request) {
  uint64_t *tail = pattern_tail(block, size);
  size_t slack = size - request;
  uint64_t value = pattern_key(tail) ^ pattern_spread(slack);
  pattern_set_tail(tail, value);
  pattern_fill(tail, value, slack - PATTERN_TAIL);
}

#define PATTERN_BROKEN SIZE_MAX
/* The request of a used block, or PATTERN_BROKEN if its tail or slack was written over. `key` is its tail's. */
static inline size_t pattern_request(const struct block *block, uint32_t size, uint64_t key) {
  const uint64_t *tail = pattern_tail(block, size);
  uint64_t value = pattern_get_tail(tail);
  uint64_t mixed = value ^ key;
  uint64_t slack = pattern_collect(mixed);
  if (UNLIKELY((mixed & ~PATTERN_SLACK) != 0 || slack - PATTERN_TAIL > size - PATTERN_TAIL)) return PATTERN_BROKEN;
  if (UNLIKELY(!pattern_is_filled(tail, value, slack - PATTERN_TAIL))) return PATTERN_BROKEN;
  return size - slack;
}

/* 1 if the word before a block is a tail, of a free block or a used one; an underflow reaches its other bytes first. */
static inline int pattern_is_tail(const uint64_t *tail) {
  return ((pattern_get_tail(tail) ^ pattern_key(tail)) & ~PATTERN_SLACK) == 0;
}

/* ---- Free blocks ---------------------------------------------------------------------------- */

/* Up to here a loop is faster than a call. */
#define PATTERN_SHORT 256u

/* Zeros, and the tail of a free block, which is `key`. */
static inline void pattern_wipe(struct block *block, uint32_t size, uint64_t key) {
  uint64_t *tail = pattern_tail(block, size);
  if (size <= PATTERN_SHORT) {
    pattern_pair *pair = (pattern_pair *)block, *end = (pattern_pair *)(tail - 1);
    for (; pair < end; pair++) *pair = (pattern_pair){0, 0};
    tail[-1] = 0;
  } else {
    memset(block, 0, size - PATTERN_TAIL);
  }
  pattern_set_tail(tail, key);
}

/* The pairs of words from `pair` to `end`, or-ed. */
static inline pattern_pair pattern_any(const pattern_pair *pair, const pattern_pair *end) {
  pattern_pair one = {0, 0}, two = one, three = one, four = one;
  /* Sums of their own, so that none waits for another. */
  for (; end - pair >= 4; pair += 4) one |= pair[0], two |= pair[1], three |= pair[2], four |= pair[3];
  for (; pair < end; pair++) one |= *pair;
  return one | two | three | four;
}

/* 1 if the block, whose first word may be anything, is as it was left (Q2). */
static inline int pattern_is_wiped(const struct block *block, uint32_t size) {
  const uint64_t *tail = pattern_tail(block, size);
  const pattern_pair *pair = (const pattern_pair *)block, *end = (const pattern_pair *)(tail - 1);
  pattern_pair all = *pair++;
  all[0] = 0;
  if (size == 16) return *tail == pattern_key(tail);
  if (size <= PATTERN_SHORT)
    for (; pair < end; pair++) all |= *pair;
  else
    all |= pattern_any(pair, end);
  return (all[0] | all[1] | tail[-1]) == 0 && *tail == pattern_key(tail);
}

/* ---- Links ----------------------------------------------------------------------------------- */

/* A word is encoded by its address, and multiplied, so that a change of any one of its bytes changes the upper ones of
 * what it decodes to, which the reader knows. */
#define PATTERN_TIMES UINT64_C(0x9e3779b97f4a7c15)
#define PATTERN_TIMES_INVERSE UINT64_C(0xf1de83e19937733d)
static_assert(PATTERN_TIMES * PATTERN_TIMES_INVERSE == 1, "what is encoded can be decoded");

static inline uintptr_t pattern_encode(const void *where, uintptr_t word) {
  return __builtin_bswap64(((word ^ (uintptr_t)where) * PATTERN_TIMES) ^ pattern_page.secret.words[2]);
}
static inline uintptr_t pattern_decode(const void *where, uintptr_t word) {
  return ((__builtin_bswap64(word) ^ pattern_page.secret.words[2]) * PATTERN_TIMES_INVERSE) ^ (uintptr_t)where;
}

/* No block is so far from another. */
#define PATTERN_REACH ((uintptr_t)1 << WINDOW_ORDER_MAX)

static inline void pattern_link(struct block *block, struct block *next) {
  block->next = (struct block *)pattern_encode(block, (uintptr_t)next);
}
static inline struct block *pattern_next(const struct block *block) {
  uintptr_t next = pattern_decode(block, (uintptr_t)block->next);
  /* The last block's link is NULL; every other leads to a block of the window. */
  if (UNLIKELY(next != 0 && (next - (uintptr_t)block + PATTERN_REACH >= 2 * PATTERN_REACH || next % 16 != 0)))
    fatal(FATAL_WRITE_AFTER_FREE, block);
  return (struct block *)next;
}

#endif
