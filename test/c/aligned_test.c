/* aligned_test.c: memalign(), aligned_alloc(), posix_memalign(), valloc(), pvalloc(). */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#define LARGEST_ALIGNMENT ((size_t)1 << 30)

static const size_t sizes[] = {0, 1, 16, 17, 200, 1000, 4096, 5000, 40000, 65536, 100000, 2097152, 3000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* Any allocator reserves more than the alignment; a sanitizer's shadow makes that slow. */
static size_t largest_alignment(void) {
  return (door_offers() & NEEDS_NATIVE) != 0 ? LARGEST_ALIGNMENT : (size_t)1 << 22;
}

static void check_block(void *block, size_t alignment, size_t size) {
  CHECK(block != NULL);
  CHECK_EQ((uintptr_t)block % alignment, 0);
  CHECK_EQ((uintptr_t)block % 16, 0);
  CHECK_GE(malloc_usable_size(block), size);
  content_fill(block, size, size);
  size_t usable = malloc_usable_size(block);
  if (usable > 0) ((volatile unsigned char *)block)[usable - 1] ^= 0xff;
  if (usable > 0) ((volatile unsigned char *)block)[usable - 1] ^= 0xff;
  content_verify(block, size, size);
}

TEST("memalign() honours every alignment from 1 byte to 1 GiB") {
  for (size_t alignment = 1; alignment <= largest_alignment(); alignment *= 2)
    for (size_t i = 0; i < SIZES; i++) {
      void *block = memalign(alignment, sizes[i]);
      check_block(block, alignment, sizes[i]);
      free(block);
    }
}

TEST("aligned_alloc() honours every alignment from 1 byte to 1 GiB") {
  for (size_t alignment = 1; alignment <= largest_alignment(); alignment *= 2)
    for (size_t i = 0; i < SIZES; i++) {
      void *block = aligned_alloc(alignment, sizes[i]);
      check_block(block, alignment, sizes[i]);
      free(block);
    }
}

TEST("posix_memalign() honours every alignment from a pointer's size to 1 GiB") {
  for (size_t alignment = sizeof(void *); alignment <= largest_alignment(); alignment *= 2)
    for (size_t i = 0; i < SIZES; i++) {
      void *block = NULL;
      CHECK_EQ(posix_memalign(&block, alignment, sizes[i]), 0);
      check_block(block, alignment, sizes[i]);
      free(block);
    }
}

TEST("aligned blocks of many alignments that live at the same time do not overlap") {
  enum { COUNT = 2000 };
  static void *blocks[COUNT];
  uint64_t state = 11;
  for (size_t i = 0; i < COUNT; i++) {
    size_t alignment = (size_t)1 << random_below(&state, 17);
    blocks[i] = memalign(alignment, random_size(&state, 20000));
    CHECK_EQ((uintptr_t)blocks[i] % alignment, 0);
    content_fill(blocks[i], malloc_usable_size(blocks[i]), i);
  }
  for (size_t i = 0; i < COUNT; i++) {
    content_verify(blocks[i], malloc_usable_size(blocks[i]), i);
    free(blocks[i]);
  }
}

TEST("posix_memalign() of a bad alignment gives EINVAL and leaves errno and the pointer alone") {
  static const size_t bad[] = {0, 1, 2, 3, 4, 7, 9, 12, 24, 48, 100, 4095, 4097, SIZE_MAX, SIZE_MAX / 2};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    void *block = &block;
    errno = EXDEV;
    CHECK_EQ(posix_memalign(&block, bad[i], 100), EINVAL);
    CHECK_EQ(errno, EXDEV);
    CHECK_EQ(block, &block);
  }
}

/* glibc itself sets errno here, against its manual. */
TEST_OURS("posix_memalign() without memory gives ENOMEM and leaves errno and the pointer alone") {
  static const volatile size_t table[][2] = {
      {16, SIZE_MAX},           {16, (size_t)PTRDIFF_MAX + 1}, {4096, SIZE_MAX - 4095},
      {64, SIZE_MAX - 64},      {(size_t)1 << 62, 16},         {(size_t)1 << 63, 16},
      {(size_t)1 << 62, (size_t)1 << 62}, {4096, (size_t)PTRDIFF_MAX},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    void *block = &block;
    errno = EXDEV;
    CHECK_EQ(posix_memalign(&block, table[i][0], table[i][1]), ENOMEM);
    CHECK_EQ(errno, EXDEV);
    CHECK_EQ(block, &block);
  }
}

TEST("memalign() and aligned_alloc() without memory give NULL and ENOMEM") {
  static const volatile size_t table[][2] = {
      {32, SIZE_MAX},      {64, SIZE_MAX - 64},    {4096, SIZE_MAX - 4095}, {4096, (size_t)PTRDIFF_MAX},
      {(size_t)1 << 62, 1}, {(size_t)1 << 62, (size_t)1 << 62}, {(size_t)1 << 22, (size_t)PTRDIFF_MAX},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    errno = 0;
    CHECK_EQ(memalign(table[i][0], table[i][1]), NULL);
    CHECK_EQ(errno, ENOMEM);
    errno = 0;
    CHECK_EQ(aligned_alloc(table[i][0], table[i][1]), NULL);
    CHECK_EQ(errno, ENOMEM);
  }
}

TEST_OURS("memalign() and aligned_alloc() of an alignment that is no power of two give NULL and EINVAL") {
  static const size_t bad[] = {0, 3, 7, 9, 12, 24, 48, 100, 4095, 4097};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    CHECK_EQ(memalign(bad[i], 100), NULL);
    CHECK_EQ(errno, EINVAL);
    errno = 0;
    CHECK_EQ(aligned_alloc(bad[i], 100), NULL);
    CHECK_EQ(errno, EINVAL);
  }
}

TEST("valloc() gives blocks aligned to the page") {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < SIZES; i++) {
    void *block = valloc(sizes[i]);
    check_block(block, page, sizes[i]);
    free(block);
  }
}

TEST("pvalloc() gives whole pages aligned to the page") {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < SIZES; i++) {
    void *block = pvalloc(sizes[i]);
    check_block(block, page, (sizes[i] + page - 1) / page * page);
    free(block);
  }
}

TEST("valloc() and pvalloc() of impossible sizes give NULL and ENOMEM") {
  static const volatile size_t bad[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    errno = 0;
    CHECK_EQ(valloc(bad[i]), NULL);
    CHECK_EQ(errno, ENOMEM);
    errno = 0;
    CHECK_EQ(pvalloc(bad[i]), NULL);
    CHECK_EQ(errno, ENOMEM);
  }
}

TEST("malloc_usable_size() of NULL is 0") { CHECK_EQ(malloc_usable_size(NULL), 0); }
