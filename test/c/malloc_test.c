/* malloc_test.c: malloc() against its man page, C23 and glibc's documented behaviour. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

TEST("malloc() of every size up to 4 MiB around a class boundary gives a writable block aligned to 16") {
  struct size_steps steps = {0};
  for (size_t size; size_steps_next(&steps, &size);) {
    unsigned char *block = malloc(size);
    CHECK(block != NULL);
    CHECK_EQ((uintptr_t)block % 16, 0);
    CHECK_GE(malloc_usable_size(block), size);
    content_fill(block, size, size);
    content_verify(block, size, size);
    free(block);
  }
}

TEST("blocks of all sizes up to 2 KiB that live at the same time do not overlap") {
  enum { SIZES = 2049, ROUNDS = 3 };
  static unsigned char *blocks[SIZES * ROUNDS];
  for (size_t i = 0; i < SIZES * ROUNDS; i++) {
    blocks[i] = malloc(i % SIZES);
    CHECK(blocks[i] != NULL);
    content_fill(blocks[i], malloc_usable_size(blocks[i]), i);
  }
  for (size_t i = 0; i < SIZES * ROUNDS; i++) {
    content_verify(blocks[i], malloc_usable_size(blocks[i]), i);
    free(blocks[i]);
  }
}

TEST("blocks of every boundary size up to 4 MiB that live at the same time do not overlap") {
  static unsigned char *blocks[4096];
  struct size_steps steps = {0};
  size_t count = 0;
  for (size_t size; size_steps_next(&steps, &size); count++) {
    CHECK_LE(count, 4095);
    blocks[count] = malloc(size);
    CHECK(blocks[count] != NULL);
    content_fill(blocks[count], malloc_usable_size(blocks[count]), count);
  }
  for (size_t i = 0; i < count; i++) {
    content_verify(blocks[i], malloc_usable_size(blocks[i]), i);
    free(blocks[i]);
  }
}

TEST("malloc(0) gives a different pointer each time, and each can be freed") {
  void *blocks[100];
  for (size_t i = 0; i < 100; i++) {
    blocks[i] = malloc(0);
    CHECK(blocks[i] != NULL);
    for (size_t j = 0; j < i; j++) CHECK(blocks[i] != blocks[j]);
  }
  for (size_t i = 0; i < 100; i++) free(blocks[i]);
}

TEST("malloc() of more than PTRDIFF_MAX bytes gives NULL and ENOMEM") {
  const size_t half = (size_t)PTRDIFF_MAX;
  const volatile size_t sizes[] = {half + 1,        half + 2,        half + 4096,     SIZE_MAX - 4096,
                                   SIZE_MAX - 4095, SIZE_MAX - 64,   SIZE_MAX - 16,   SIZE_MAX - 15,
                                   SIZE_MAX - 1,    SIZE_MAX,        SIZE_MAX / 4 * 3};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    errno = 0;
    CHECK_EQ(malloc(sizes[i]), NULL);
    CHECK_EQ(errno, ENOMEM);
  }
}

TEST("malloc() of a legal size that no machine has gives NULL and ENOMEM") {
  const volatile size_t sizes[] = {(size_t)PTRDIFF_MAX,        (size_t)PTRDIFF_MAX - 1,
                                   (size_t)PTRDIFF_MAX - 4095, (size_t)PTRDIFF_MAX - 4096,
                                   (size_t)1 << 62,            (size_t)1 << 50};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    errno = 0;
    CHECK_EQ(malloc(sizes[i]), NULL);
    CHECK_EQ(errno, ENOMEM);
  }
}

TEST("malloc() that succeeds leaves errno alone") {
  static const size_t sizes[] = {0, 1, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    errno = EXDEV;
    void *block = malloc(sizes[i]);
    CHECK(block != NULL);
    CHECK_EQ(errno, EXDEV);
    free(block);
  }
}

TEST("blocks keep their contents through 200,000 random steps of every kind") {
  enum { LIVE = 500, STEPS = 200000 };
  static struct {
    unsigned char *block;
    size_t size;
    uint64_t seed;
  } live[LIVE];
  uint64_t state = 20171026;
  for (uint64_t step = 0; step < STEPS; step++) {
    size_t at = random_below(&state, LIVE);
    size_t size = random_size(&state, step % 100 == 0 ? (size_t)4 << 20 : (size_t)8 << 10);
    if (live[at].block != NULL) {
      content_verify(live[at].block, live[at].size, live[at].seed);
      if (step % 3 == 0 && size != 0) {
        unsigned char *moved = realloc(live[at].block, size);
        CHECK(moved != NULL);
        content_verify(moved, size < live[at].size ? size & ~(size_t)7 : live[at].size & ~(size_t)7,
                       live[at].seed);
        live[at].block = moved;
      } else {
        free(live[at].block);
        live[at].block = NULL;
        continue;
      }
    } else if (step % 5 == 0) {
      live[at].block = calloc(1, size);
      content_is_zero(live[at].block, size);
    } else {
      live[at].block = malloc(size);
    }
    live[at].size = size;
    live[at].seed = step;
    content_fill(live[at].block, size, step);
  }
  for (size_t at = 0; at < LIVE; at++) free(live[at].block);
}

TEST_IF(NEEDS_NATIVE, "100,000 blocks of 64 bytes freed in random order are reused before the heap grows") {
  enum { COUNT = 100000, ROUNDS = 5 };
  static void *blocks[COUNT];
  struct bm_stats before;
  struct bm_stats after;
  uint64_t state = 7;
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < COUNT; i++) CHECK((blocks[i] = malloc(64)) != NULL);
    if (round == 0) door_stats(&before);
    for (size_t i = COUNT; i > 1; i--) {
      size_t other = random_below(&state, i);
      void *block = blocks[i - 1];
      blocks[i - 1] = blocks[other];
      blocks[other] = block;
    }
    for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
  }
  door_stats(&after);
  CHECK_EQ(after.heap_bytes, before.heap_bytes);
}

TEST_IF(NEEDS_OURS | NEEDS_SIZES, "a request for 200 bytes is served by a block of 256 bytes, aligned to 256") {
  void *block = malloc(200);
  CHECK_EQ(malloc_usable_size(block), 256);
  CHECK_EQ((uintptr_t)block % 256, 0);
  free(block);
}

struct rounding {
  size_t request;
  size_t usable;
};

static void check_rounding(const struct rounding *table, size_t count) {
  for (size_t i = 0; i < count; i++) {
    void *block = malloc(table[i].request);
    CHECK_EQ(malloc_usable_size(block), table[i].usable);
    free(block);
  }
}

TEST_IF(NEEDS_EIGHTHS, "a request takes the smallest block of 4 to 8 eighths, 9 sixteenths or 17 thirty-seconds, that holds it") {
  static const struct rounding table[] = {
      {0, 16},         {16, 16},        {17, 32},          {33, 48},         {49, 64},
      {65, 80},        {81, 96},        {97, 128},         {129, 160},       {130, 160},
      {161, 192},      {193, 256},      {200, 256},        {257, 320},       {321, 384},
      {385, 512},      {513, 640},      {641, 768},        {769, 1024},      {1025, 1088},
      {1088, 1088},    {1089, 1280},    {1281, 1536},      {1537, 1792},     {1793, 2048},     {2049, 2176},
      {2176, 2176},    {2177, 2560},    {2561, 3072},      {3073, 3584},     {3585, 4096},     {4097, 4608},
      {4608, 4608},    {4609, 5120},    {8193, 9216},      {9217, 10240},
      {5121, 6144},    {6145, 7168},    {7169, 8192},      {16385, 18432},   {18433, 20480}, {20481, 24576},
      {24577, 28672},  {28673, 32768},
  };
  check_rounding(table, sizeof table / sizeof table[0]);
}

TEST_IF(NEEDS_PLAIN, "a request takes the smallest power of two that holds it") {
  for (size_t order = 4; order <= 21; order++) {
    const struct rounding table[] = {{((size_t)1 << order) / 2 + 1, (size_t)1 << order},
                                     {((size_t)1 << order) / 8 * 5, (size_t)1 << order},
                                     {((size_t)1 << order) - 1, (size_t)1 << order},
                                     {(size_t)1 << order, (size_t)1 << order}};
    check_rounding(table, 4);
  }
}

TEST_IF(NEEDS_OURS | NEEDS_SIZES, "a block up to 2 MiB is aligned to the largest power of two that divides its size") {
  struct size_steps steps = {0};
  for (size_t size; size_steps_next(&steps, &size) && size <= (size_t)2 << 20;) {
    void *block = malloc(size);
    size_t usable = malloc_usable_size(block);
    CHECK_EQ((uintptr_t)block & ((usable & -usable) - 1), 0);
    free(block);
  }
}
