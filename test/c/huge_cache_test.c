/* huge_cache_test.c: mappings of freed blocks, used again in part, put together, and bounded. */
#include "content.h"
#include "harness.h"

#include "buddymalloc.h"
#include "huge.h"

#include <string.h>

#define MIB ((size_t)1 << 20)

TEST_IF(NEEDS_OURS | NEEDS_SIZES, "of a larger cached mapping the rest stays, grows the block before it, and becomes one with it again") {
  char *whole = bm_malloc(16 * MIB);
  bm_free(whole);
  CHECK_EQ(huge_cached_bytes(), 16 * MIB);
  char *block = bm_malloc(4 * MIB);
  CHECK_EQ(block, whole);
  CHECK_EQ(huge_cached_bytes(), 12 * MIB);
  content_fill(block, 4 * MIB, 1);
  CHECK_EQ(bm_realloc(block, 8 * MIB), block);
  CHECK_EQ(huge_cached_bytes(), 8 * MIB);
  content_verify(block, 4 * MIB, 1);
  CHECK_EQ(bm_malloc_usable_size(block), 8 * MIB);
  bm_free(block);
  CHECK_EQ(bm_malloc(16 * MIB), whole);
  CHECK_EQ(huge_cached_bytes(), 0);
  CHECK_EQ(bm_check(), 0);
}

TEST_IF(NEEDS_OURS | NEEDS_SIZES, "a huge block that grows by much moves into a cached mapping that is large enough") {
  char *large = bm_malloc(32 * MIB), *block = bm_malloc(6 * MIB);
  content_fill(block, 6 * MIB, 2);
  bm_free(large);
  char *grown = bm_realloc(block, 12 * MIB);
  CHECK_EQ(grown, large);
  content_verify(grown, 6 * MIB, 2);
  CHECK_EQ(huge_live_bytes, 12 * MIB);
  char *little = bm_realloc(grown, 13 * MIB); /* what follows it is cached, and taken */
  CHECK_EQ(little, large);
  CHECK_EQ(huge_live_bytes, 13 * MIB);
  content_verify(little, 6 * MIB, 2);
  CHECK_EQ(bm_check(), 0);
}

TEST_IF(NEEDS_OURS | NEEDS_SIZES, "live blocks and cached mappings together never have more than blocks once had") {
  enum { BLOCKS = 8, STEPS = 400 };
  char *blocks[BLOCKS] = {NULL};
  size_t sizes[BLOCKS] = {0}, most = 0;
  uint32_t random = 1;
  for (unsigned step = 0; step < STEPS; step++) {
    random = random * 1664525u + 1013904223u;
    unsigned at = random >> 8 & (BLOCKS - 1);
    size_t size = 3 * MIB + (random >> 12 & 15) * MIB;
    if ((random >> 16 & 3) == 0) {
      bm_free(blocks[at]);
      blocks[at] = NULL;
      sizes[at] = 0;
    } else {
      size_t kept = size < sizes[at] ? size : sizes[at];
      CHECK((blocks[at] = bm_realloc(blocks[at], size)) != NULL);
      if (kept > 0) content_verify(blocks[at], kept, at);
      content_fill(blocks[at], sizes[at] = size, at);
    }
    if (huge_live_bytes > most) most = huge_live_bytes;
    /* A copy has both blocks live for a moment. */
    CHECK_LE(huge_live_bytes + huge_cached_bytes(), most + 18 * MIB);
  }
  CHECK_EQ(bm_check(), 0);
}
