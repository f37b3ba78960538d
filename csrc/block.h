/* block.h: size <-> class <-> level <-> address of a block; pure arithmetic.
 *
 * A block is a power of two, or 5/8, 6/8 or 7/8 of one: a power of two whose last eighths
 * were given back. 5/8 and 6/8 exist from 64 bytes up, 7/8 above 1 KiB. One more in each order above 1 KiB is for a power of
 * two and a header, which databases ask for: 17/32 to 4 KiB, 9/16 above (docs/adr/0002, 0012). */
#ifndef BM_BLOCK_H
#define BM_BLOCK_H

#include "config.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* State bytes that a slot's own bookkeeping has room for; for more blocks there is states.c. */
#define INLINE_STATES 52u

#define SMALL_CLASS_COUNT 16u
#define CLASS_COUNT 41u
/* log2: the tables of classes have an entry for each step of so many bytes; in the unchecked build for each byte, which makes them 2 KiB
 * long and spares malloc() two instructions. */
#define STEP_ORDER (BM_UNCHECKED ? 0u : 4u)
#define SMALL_STEP_COUNT ((SMALL_MAX >> STEP_ORDER) + 1u)

/* What a free block holds. */
struct block {
  struct block *next;
};

/* The state byte of a block. */
enum block_state {
  BLOCK_FREE = 0,   /* in the allocator's hands */
  BLOCK_USED = 1,   /* in the program's hands */
  BLOCK_REMOTE = 2, /* freed by a thread that does not own it, on its way home */
  BLOCK_PURGED = 3, /* free, its page given back; on no list (slot.c) */
  BLOCK_QUARANTINED = 4, /* freed, not to be reused yet (hardened/quarantine.c) */
  BLOCK_HELD = 5 /* on its way home, and in the hands of whoever purges meanwhile (remote.c) */
};

/* Blocks at the beginning of a slot that are never handed out: in the hardened build one, a guard before the next. */
#define SLOT_GUARDS (BM_HARDENED ? 1u : 0u)

struct block_class {
  uint32_t size;       /* bytes of a block */
  uint32_t capacity;   /* blocks in a slot */
  uint32_t reciprocal; /* ceil(2^32 / size) */
};

extern HIDDEN const struct block_class block_classes[CLASS_COUNT];
#define TIMES2(...) __VA_ARGS__, __VA_ARGS__
#define TIMES4(...) TIMES2(__VA_ARGS__), TIMES2(__VA_ARGS__)
#define TIMES8(...) TIMES4(__VA_ARGS__), TIMES4(__VA_ARGS__)
#define TIMES16(...) TIMES8(__VA_ARGS__), TIMES8(__VA_ARGS__)

/* The entries of 16 bytes. */
#if BM_UNCHECKED
#define OF_STEP(c) TIMES16(c)
#else
#define OF_STEP(c) c
#endif

/* The initialiser of a table by steps of what F makes of the class that holds them. */
#if BM_PLAIN_BUDDY
#define BLOCK_STEPS(F)                                                                                     \
  {F(0),                  OF_STEP(F(0)),          OF_STEP(F(1)),           TIMES2(OF_STEP(F(3))),   \
   TIMES4(OF_STEP(F(6))), TIMES8(OF_STEP(F(9))),  TIMES16(OF_STEP(F(12))), TIMES16(OF_STEP(F(15))), \
   TIMES16(OF_STEP(F(15)))}
#else
#define BLOCK_STEPS(F)                                                                                   \
  {F(0),                   OF_STEP(F(0)),          OF_STEP(F(1)),          OF_STEP(F(2)),          \
   OF_STEP(F(3)),          OF_STEP(F(4)),          OF_STEP(F(5)),          TIMES2(OF_STEP(F(6))),  \
   TIMES2(OF_STEP(F(7))),  TIMES2(OF_STEP(F(8))),  TIMES4(OF_STEP(F(9))),  TIMES4(OF_STEP(F(10))), \
   TIMES4(OF_STEP(F(11))), TIMES8(OF_STEP(F(12))), TIMES8(OF_STEP(F(13))), TIMES8(OF_STEP(F(14))), \
   TIMES16(OF_STEP(F(15)))}
#endif

/* The step that a request of at most SMALL_MAX bytes falls into. */
static inline size_t block_step(size_t size) { return (size + (1u << STEP_ORDER) - 1) >> STEP_ORDER; }

/* The class of a request in the step. */
extern HIDDEN const uint8_t block_step_class[SMALL_STEP_COUNT];

static_assert(sizeof(struct block) <= 1u << MIN_ORDER, "a free block holds its link");
static_assert(SLOT_BLOCK_MAX == 1u << (SLOT_ORDER - 1u), "two of the largest class fill a slot");

/* log2 of the smallest power of two that holds `size`, at least MIN_ORDER. Requires size <= 2^62. */
static inline unsigned block_order(size_t size) {
  return size <= 1u << MIN_ORDER ? MIN_ORDER : 64u - (unsigned)__builtin_clzll(size - 1);
}

/* The level of a request: order minus the smallest order. */
static inline unsigned block_level(size_t size) { return block_order(size) - MIN_ORDER; }

/* The class of a request of SMALL_MAX + 1 .. SLOT_BLOCK_MAX bytes. */
static inline unsigned block_medium_class(size_t size) {
  unsigned order = 64u - (unsigned)__builtin_clzll(size - 1);
  /* Five in each order: the first ends at 17/32, above 4 KiB at 9/16, the others at 5, 6, 7 and 8 eighths. */
  size_t half = (size_t)1 << (order - 1);
  size_t above = BM_PLAIN_BUDDY ? half - 1 : size - 1 - half;
  size_t first = half >> (order < 13 ? 4 : 3);
  return SMALL_CLASS_COUNT + (order - 11) * 5 + (unsigned)(above >> (order - 3)) + (above >= first);
}

static inline int block_is_medium(unsigned class) { return class >= SMALL_CLASS_COUNT; }

/* The class of a request of 0 .. SLOT_BLOCK_MAX bytes. */
static inline unsigned block_class_of(size_t size) {
  return size <= SMALL_MAX ? block_step_class[block_step(size)] : block_medium_class(size);
}

/* The smallest class whose blocks hold `size` and are aligned to `alignment`, or CLASS_COUNT. */
unsigned block_aligned_class(size_t alignment, size_t size);

/* The blocks that a block of `slots` slots is made of: the slots of a large request (bytes). */
size_t block_large_slots(size_t size);

/* The address of the buddy of the block of 2^order bytes at `address`. */
static inline uintptr_t block_buddy(uintptr_t address, unsigned order) {
  return address ^ ((uintptr_t)1 << order);
}

#endif
