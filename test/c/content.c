/* content.c: see content.h. */
#include "content.h"

#include "harness.h"

#include <string.h>

static uint64_t word_at(uint64_t seed, size_t index) {
  return (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + index * UINT64_C(0xbf58476d1ce4e5b9);
}

void content_fill(void *block, size_t size, uint64_t seed) {
  unsigned char *bytes = block;
  size_t index = 0;
  for (; (index + 1) * 8 <= size; index++) {
    uint64_t word = word_at(seed, index);
    memcpy(bytes + index * 8, &word, 8);
  }
  uint64_t last = word_at(seed, index);
  memcpy(bytes + index * 8, &last, size - index * 8);
}

static void fail_at(const void *block, size_t offset, size_t size, uint64_t seed) {
  harness_fail(__FILE__, __LINE__, "block %p of %zu bytes, seed %ju: byte %zu has changed", block,
               size, (uintmax_t)seed, offset);
}

void content_verify(const void *block, size_t size, uint64_t seed) {
  const unsigned char *bytes = block;
  size_t index = 0;
  for (; (index + 1) * 8 <= size; index++) {
    uint64_t word = word_at(seed, index);
    if (memcmp(bytes + index * 8, &word, 8) != 0) fail_at(block, index * 8, size, seed);
  }
  uint64_t last = word_at(seed, index);
  if (memcmp(bytes + index * 8, &last, size - index * 8) != 0) fail_at(block, index * 8, size, seed);
}

void content_is_zero(const void *block, size_t size) {
  const unsigned char *bytes = block;
  for (size_t offset = 0; offset < size; offset++)
    if (bytes[offset] != 0)
      harness_fail(__FILE__, __LINE__, "block %p of %zu bytes: byte %zu is 0x%02x, expected 0",
                   block, size, offset, bytes[offset]);
}

#define FIRST_ORDER 4u /* log2: sizes below are all tried by the first steps */
#define LAST_ORDER 22u /* log2: 4 MiB */

int size_steps_next(struct size_steps *steps, size_t *size) {
  static const int around[] = {-16, -8, -7, -1, 0, 1, 16}; /* the hardened build takes 8 bytes more than asked for */
  /* 4/8 to 7/8 of the next power of two, and the two classes behind its half: thirty-seconds. */
  static const unsigned shares[] = {16, 17, 18, 20, 24, 28};
  enum { AROUND = sizeof around / sizeof around[0], SHARES = sizeof shares / sizeof shares[0], SMALLEST = 16 };
  unsigned index = steps->index++;
  if (index < SMALLEST) {
    *size = index;
    return 1;
  }
  index -= SMALLEST;
  unsigned order = FIRST_ORDER + index / (AROUND * SHARES);
  size_t share = shares[index / AROUND % SHARES];
  if (order > LAST_ORDER || (order == LAST_ORDER && (share > 16 || index % AROUND > 4))) {
    steps->index = 0;
    return 0;
  }
  *size = ((size_t)1 << (order + 1)) / 32 * share + (size_t)around[index % AROUND];
  return 1;
}

uint64_t random_next(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C(0x2545f4914f6cdd1d);
}

size_t random_below(uint64_t *state, size_t limit) {
  return (size_t)(random_next(state) >> 11) % limit;
}

size_t random_size(uint64_t *state, size_t limit) {
  unsigned orders = 0;
  while ((limit >> orders) > 1) orders++;
  size_t size = random_below(state, (size_t)2 << random_below(state, orders));
  return size <= limit ? size : limit;
}
