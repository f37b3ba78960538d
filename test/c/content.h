/* content.h: recognisable contents for blocks, the sizes worth trying, random numbers. */
#ifndef TEST_C_CONTENT_H
#define TEST_C_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Write `size` bytes that depend on `seed` and on the offset. */
void content_fill(void *block, size_t size, uint64_t seed);
/* Fails the case unless the first `size` bytes are those of `seed`. */
void content_verify(const void *block, size_t size, uint64_t seed);
/* Fails the case unless all `size` bytes are zero. */
void content_is_zero(const void *block, size_t size);

/* Every size from 0 to 4 MiB at the steps around class boundaries: each power of two, its
 * eighths, 17/32 and 9/16 of it, and the sizes one and sixteen bytes below and above, and seven
 * and eight below. Returns 0 and goes back to the start after the last one. */
struct size_steps {
  unsigned index;
};
int size_steps_next(struct size_steps *steps, size_t *size);

/* xorshift64*; the state is the seed and must not be 0. */
uint64_t random_next(uint64_t *state);
size_t random_below(uint64_t *state, size_t limit);
/* Mostly small sizes, up to `limit`: a random order first, then a size in it. */
size_t random_size(uint64_t *state, size_t limit);

#ifdef __cplusplus
}
#endif

#endif
