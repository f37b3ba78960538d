/* realloc_test.c: realloc() and reallocarray() keep contents on every path. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static size_t smaller_of(size_t a, size_t b) { return a < b ? a : b; }

/* Whole words only: a filled block ends with a partial word. */
static void verify_kept(const void *block, size_t old_size, size_t new_size, uint64_t seed) {
  content_verify(block, smaller_of(old_size, new_size) & ~(size_t)7, seed);
}

static const size_t path_sizes[] = {
    1,      15,     16,     17,      48,      64,      65,      100,     200,     256,     257,      600,
    1024,   1025,   1500,   2048,    4096,    5000,    10000,   32768,   32769,   40000,   65536,    65537,
    100000, 131072, 200000, 500000,  1000000, 1048576, 2000000, 2097152, 2097153, 3000000, 4194304,  5000000,
    9000000,
};
enum { PATH_SIZES = sizeof path_sizes / sizeof path_sizes[0] };

TEST("realloc() keeps the contents from every size to every other") {
  for (size_t from = 0; from < PATH_SIZES; from++)
    for (size_t to = 0; to < PATH_SIZES; to++) {
      void *block = malloc(path_sizes[from]);
      content_fill(block, path_sizes[from], from);
      void *moved = realloc(block, path_sizes[to]);
      CHECK(moved != NULL);
      CHECK_EQ((uintptr_t)moved % 16, 0);
      CHECK_GE(malloc_usable_size(moved), path_sizes[to]);
      verify_kept(moved, path_sizes[from], path_sizes[to], from);
      content_fill(moved, path_sizes[to], to);
      free(moved);
    }
}

TEST("realloc() keeps the contents and spares the neighbours while blocks grow in turn") {
  enum { COUNT = 8 };
  void *blocks[COUNT] = {NULL};
  size_t size = 0;
  for (size_t next = 8; next <= (size_t)6 << 20; next += next / 3 + 8) {
    for (size_t i = 0; i < COUNT; i++) {
      blocks[i] = realloc(blocks[i], next);
      CHECK(blocks[i] != NULL);
      if (size != 0) verify_kept(blocks[i], size, next, i);
      content_fill(blocks[i], next, i);
    }
    size = next;
  }
  for (size_t i = 0; i < COUNT; i++) {
    content_verify(blocks[i], size, i);
    free(blocks[i]);
  }
}

TEST("realloc() keeps the contents and spares the neighbours while blocks shrink in turn") {
  enum { COUNT = 8 };
  void *blocks[COUNT];
  size_t size = (size_t)6 << 20;
  for (size_t i = 0; i < COUNT; i++) content_fill(blocks[i] = malloc(size), size, i);
  while (size > 8) {
    size_t next = size - size / 4 - 1;
    for (size_t i = 0; i < COUNT; i++) {
      blocks[i] = realloc(blocks[i], next);
      CHECK(blocks[i] != NULL);
      verify_kept(blocks[i], size, next, i);
    }
    size = next;
  }
  for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
}

TEST("realloc() in steps of 64 KiB to 64 MiB keeps the contents") {
  const size_t step = 65536;
  char *block = NULL;
  for (size_t size = step; size <= (size_t)64 << 20; size += step) {
    block = realloc(block, size);
    CHECK(block != NULL);
    memset(block + size - step, (int)(size / step % 251), step);
  }
  for (size_t size = step; size <= (size_t)64 << 20; size += step) {
    CHECK_EQ((unsigned char)block[size - step], size / step % 251);
    CHECK_EQ((unsigned char)block[size - 1], size / step % 251);
  }
  free(block);
}

TEST("realloc(NULL, size) allocates") {
  void *block = realloc(NULL, 100);
  CHECK(block != NULL);
  content_fill(block, 100, 1);
  free(block);
  block = realloc(NULL, 0);
  CHECK(block != NULL);
  free(block);
}

TEST("realloc(block, 0) frees and gives NULL, as glibc does") {
  for (size_t i = 0; i < PATH_SIZES; i++) {
    void *block = malloc(path_sizes[i]);
    CHECK_EQ(realloc(block, 0), NULL);
  }
}

TEST("realloc() that fails gives NULL and ENOMEM and leaves the block as it was") {
  const volatile size_t impossible[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 4096,
                                        (size_t)PTRDIFF_MAX, (size_t)1 << 60};
  for (size_t i = 0; i < PATH_SIZES; i++) {
    void *block = malloc(path_sizes[i]);
    content_fill(block, path_sizes[i], i);
    for (size_t j = 0; j < sizeof impossible / sizeof impossible[0]; j++) {
      errno = 0;
      CHECK_EQ(realloc(block, impossible[j]), NULL);
      CHECK_EQ(errno, ENOMEM);
    }
    content_verify(block, path_sizes[i], i);
    free(block);
  }
}

TEST("realloc() that succeeds leaves errno alone") {
  for (size_t i = 0; i < PATH_SIZES; i++) {
    void *block = malloc(100);
    errno = EXDEV;
    block = realloc(block, path_sizes[i]);
    CHECK_EQ(errno, EXDEV);
    free(block);
  }
}

TEST_OURS("realloc() within the block returns the same block") {
  for (size_t i = 0; i < PATH_SIZES; i++) {
    void *block = malloc(path_sizes[i]);
    CHECK_EQ(realloc(block, path_sizes[i]), block);
    CHECK_EQ(realloc(block, malloc_usable_size(block)), block);
    free(block);
  }
}

TEST("realloc() keeps the contents of aligned blocks") {
  for (size_t alignment = 32; alignment <= (size_t)4 << 20; alignment *= 4)
    for (size_t i = 0; i < PATH_SIZES; i += 3) {
      void *block = memalign(alignment, path_sizes[i]);
      content_fill(block, path_sizes[i], i);
      size_t size = path_sizes[(i + 7) % PATH_SIZES];
      block = realloc(block, size);
      verify_kept(block, path_sizes[i], size, i);
      free(block);
    }
}

TEST("reallocarray() resizes to the product and keeps the contents") {
  void *block = reallocarray(NULL, 10, 10);
  content_fill(block, 100, 3);
  block = reallocarray(block, 1000, 50);
  CHECK_GE(malloc_usable_size(block), 50000);
  verify_kept(block, 100, 50000, 3);
  free(block);
}

TEST("reallocarray() whose product overflows gives NULL and ENOMEM and leaves the block as it was") {
  static const volatile size_t table[][2] = {{SIZE_MAX, 2}, {2, SIZE_MAX}, {SIZE_MAX / 2 + 1, 2},
                                             {(size_t)1 << 32, (size_t)1 << 32},
                                             {(size_t)PTRDIFF_MAX, 2}};
  void *block = malloc(500);
  content_fill(block, 500, 4);
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    errno = 0;
    CHECK_EQ(reallocarray(block, table[i][0], table[i][1]), NULL);
    CHECK_EQ(errno, ENOMEM);
    content_verify(block, 500, 4);
  }
  free(block);
}
