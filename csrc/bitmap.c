/* bitmap.c: how the rows of a set lie in memory. */
#include "bitmap.h"

static size_t words_for(size_t count) { return (count + 63) / 64; }

size_t bitmap_words(size_t count) {
  size_t words = words_for(count), sum = words;
  while (words > 1) sum += words = words_for(words);
  return sum;
}

void bitmap_init(struct bitmap *set, uint64_t *words, size_t count) {
  size_t length = words_for(count);
  set->depth = 0;
  for (;;) {
    set->rows[set->depth++] = words;
    if (length <= 1) return;
    words += length;
    length = words_for(length);
  }
}
