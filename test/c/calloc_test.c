/* calloc_test.c: calloc() zeroes whatever memory it gives, and detects overflow. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

TEST("calloc() of every size up to 4 MiB around a class boundary gives zeroes") {
  struct size_steps steps = {0};
  for (size_t size; size_steps_next(&steps, &size);) {
    void *block = calloc(1, size);
    CHECK(block != NULL);
    CHECK_EQ((uintptr_t)block % 16, 0);
    content_is_zero(block, size);
    free(block);
  }
}

TEST("calloc() gives zeroes where a dirty block of the same size was freed") {
  struct size_steps steps = {0};
  for (size_t size; size_steps_next(&steps, &size);) {
    void *dirty[3];
    for (size_t i = 0; i < 3; i++) {
      dirty[i] = malloc(size);
      content_fill(dirty[i], malloc_usable_size(dirty[i]), i);
    }
    for (size_t i = 0; i < 3; i++) free(dirty[i]);
    for (size_t i = 0; i < 3; i++) content_is_zero(dirty[i] = calloc(size, 1), size);
    for (size_t i = 0; i < 3; i++) free(dirty[i]);
  }
}

TEST("calloc() gives zeroes where dirty blocks of other sizes were freed and coalesced") {
  enum { COUNT = 4096 };
  static void *blocks[COUNT];
  for (size_t small = 48; small <= 40000; small *= 5) {
    for (size_t i = 0; i < COUNT; i++) content_fill(blocks[i] = malloc(small), small, i);
    for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
    door_flush();
    for (size_t size = 16; size <= (size_t)2 << 20; size *= 2) {
      void *block = calloc(size / 16, 16);
      content_is_zero(block, size);
      free(block);
    }
  }
}

TEST("calloc() gives zeroes after the memory went back to the system") {
  for (size_t size = 65536; size <= (size_t)8 << 20; size *= 2) {
    void *dirty = malloc(size);
    content_fill(dirty, size, size);
    free(dirty);
    malloc_trim(0);
    void *block = calloc(1, size);
    content_is_zero(block, size);
    free(block);
  }
}

TEST("calloc() gives zeroes after realloc() shrank a dirty block and grew a zeroed one") {
  for (size_t size = 16384; size <= (size_t)16 << 20; size *= 4) {
    size_t rest = size / 2 - 4096;
    void *shrunk = malloc(size);
    content_fill(shrunk, size, 5);
    shrunk = realloc(shrunk, size / 2 + 1);
    void *zeroes = calloc(1, rest);
    content_is_zero(zeroes, rest);
    content_fill(zeroes, rest, 6);
    free(shrunk);
    zeroes = realloc(zeroes, size);
    free(zeroes);
    zeroes = calloc(1, size);
    content_is_zero(zeroes, size);
    free(zeroes);
  }
}

TEST("calloc() gives zeroes in a longer block than the one that was freed there, on memory that small blocks had") {
  enum { SMALL = 20000, BYTES = 40, SHORT = 41 << 10, LONG = 55 << 10, LARGE = 10 };
  static void *blocks[SMALL];
  for (size_t i = 0; i < SMALL; i++) memset(blocks[i] = malloc(BYTES), 7, BYTES);
  for (size_t i = 0; i < SMALL; i++) free(blocks[i]);
  for (size_t i = 0; i < LARGE; i++) {
    free(malloc(SHORT));
    CHECK((blocks[i] = calloc(1, LONG)) != NULL);
    content_is_zero(blocks[i], LONG);
  }
  for (size_t i = 0; i < LARGE; i++) free(blocks[i]);
}

static size_t pages_present(void *block, size_t size) {
  static unsigned char present[64];
  size_t count = 0;
  CHECK_LE(size / 4096, sizeof present);
  CHECK_EQ(mincore((void *)((uintptr_t)block & ~(uintptr_t)4095), size, present), 0);
  for (size_t i = 0; i < size / 4096; i++) count += present[i] & 1;
  return count;
}

TEST_IF(NEEDS_OURS | NEEDS_NATIVE, "a large block of calloc() takes no memory before it is written, where dirty ones were freed") {
  enum { COUNT = 64, SIZE = 65536 };
  static void *blocks[COUNT];
  size_t present = 0;
  if (sysconf(_SC_PAGESIZE) != 4096) return;
  for (size_t i = 0; i < COUNT; i++) content_fill(blocks[i] = malloc(SIZE), SIZE, i);
  for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
  for (size_t i = 0; i < COUNT; i++) blocks[i] = calloc(1, SIZE);
  for (size_t i = 0; i < COUNT; i++) present += pages_present(blocks[i], SIZE);
  CHECK_LE(present, COUNT * SIZE / 4096 / 4);
  for (size_t i = 0; i < COUNT; i++) content_is_zero(blocks[i], SIZE);
  for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
}

TEST("calloc() of nothing gives a different pointer each time") {
  void *blocks[] = {calloc(0, 0), calloc(0, 8), calloc(8, 0), calloc(SIZE_MAX, 0), calloc(0, SIZE_MAX)};
  for (size_t i = 0; i < 5; i++) {
    CHECK(blocks[i] != NULL);
    for (size_t j = 0; j < i; j++) CHECK(blocks[i] != blocks[j]);
  }
  for (size_t i = 0; i < 5; i++) free(blocks[i]);
}

TEST("calloc() whose product overflows or passes PTRDIFF_MAX gives NULL and ENOMEM") {
  static const volatile size_t table[][2] = {
      {SIZE_MAX, SIZE_MAX},     {SIZE_MAX, 2},           {2, SIZE_MAX},
      {SIZE_MAX / 2, 3},        {SIZE_MAX / 2 + 1, 2},   {SIZE_MAX / 16 + 1, 16},
      {(size_t)1 << 32, (size_t)1 << 32}, {((size_t)1 << 32) + 1, ((size_t)1 << 32) - 1},
      {SIZE_MAX, 1},            {1, SIZE_MAX},           {(size_t)PTRDIFF_MAX / 2 + 1, 2},
      {(size_t)PTRDIFF_MAX + 1, 1},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    errno = 0;
    CHECK_EQ(calloc(table[i][0], table[i][1]), NULL);
    CHECK_EQ(errno, ENOMEM);
  }
}
