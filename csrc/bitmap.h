/* bitmap.h: a set of small numbers in which the least one is found in a few steps.
 *
 * Row 0 has a bit for each number, each further row a bit for each word of the row below that is not 0.
 * The words are not touched before they are written: an empty set of any size costs no page. */
#ifndef BM_BITMAP_H
#define BM_BITMAP_H

#include <stddef.h>
#include <stdint.h>

#define BITMAP_ROWS 4u /* numbers below 2^24 */

struct bitmap {
  uint64_t *rows[BITMAP_ROWS];
  unsigned depth; /* rows in use */
};

/* Words that a set of numbers below `count` takes, all rows together. */
size_t bitmap_words(size_t count);
/* Requires: `words` points to bitmap_words(count) zeros, which the set uses from here on. */
void bitmap_init(struct bitmap *set, uint64_t *words, size_t count);

static inline int bitmap_has(const struct bitmap *set, uint32_t number) {
  return (int)(set->rows[0][number >> 6] >> (number & 63) & 1);
}

/* Put a number in that is not there; take one out that is. Cost: up to BITMAP_ROWS words. */
static inline void bitmap_put(struct bitmap *set, uint32_t number) {
  for (unsigned row = 0; row < set->depth; row++, number >>= 6) {
    uint64_t *word = &set->rows[row][number >> 6], old = *word;
    *word = old | (uint64_t)1 << (number & 63);
    if (old != 0) return;
  }
}

static inline void bitmap_drop(struct bitmap *set, uint32_t number) {
  for (unsigned row = 0; row < set->depth; row++, number >>= 6) {
    uint64_t *word = &set->rows[row][number >> 6];
    *word &= ~((uint64_t)1 << (number & 63));
    if (*word != 0) return;
  }
}

/* The least number of a set that is not empty. */
static inline uint32_t bitmap_first(const struct bitmap *set) {
  uint32_t number = 0;
  for (unsigned row = set->depth; row-- > 0;) number = number << 6 | (uint32_t)__builtin_ctzll(set->rows[row][number]);
  return number;
}

#endif
