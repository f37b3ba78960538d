/* names_test.c: the older and inner names of libc's functions, which some programs call. Not for the static door. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

static void find(const char *name, void *function) {
  void *found = dlsym(RTLD_DEFAULT, name);
  if (found == NULL) harness_fail(__FILE__, __LINE__, "there is no %s", name);
  memcpy(function, &found, sizeof found);
}

static void free_by(const char *name, void *block) {
  void (*release)(void *);
  find(name, &release);
  release(block);
}

TEST_OURS("blocks of libc's inner names are those of its own, and each frees the other's") {
  void *(*inner_malloc)(size_t), *(*inner_calloc)(size_t, size_t), *(*inner_realloc)(void *, size_t);
  void *(*inner_valloc)(size_t), *(*inner_pvalloc)(size_t), *(*inner_memalign)(size_t, size_t);
  int (*inner_posix_memalign)(void **, size_t, size_t);
  find("__libc_malloc", &inner_malloc);
  find("__libc_calloc", &inner_calloc);
  find("__libc_realloc", &inner_realloc);
  find("__libc_memalign", &inner_memalign);
  find("__libc_valloc", &inner_valloc);
  find("__libc_pvalloc", &inner_pvalloc);
  find("__posix_memalign", &inner_posix_memalign);
  for (size_t size = 0; size < 3000000; size = size * 3 + 7) {
    void *block = inner_malloc(size);
    content_fill(block, size, size);
    block = inner_realloc(block, 2 * size + 1);
    content_verify(block, size & ~(size_t)7, size);
    free(block);
    block = inner_calloc(size, 1);
    content_is_zero(block, size);
    free_by("__libc_free", block);
    block = inner_memalign(256, size);
    CHECK_EQ((uintptr_t)block % 256, 0);
    free_by("cfree", block);
    block = inner_valloc(size);
    CHECK_EQ((uintptr_t)block % 4096, 0);
    free_by("__libc_cfree", block);
    block = inner_pvalloc(size);
    CHECK_GE(malloc_usable_size(block), (size + 4095) & ~(size_t)4095);
    free(block);
    CHECK_EQ(inner_posix_memalign(&block, 64, size), 0);
    CHECK_EQ((uintptr_t)block % 64, 0);
    free_by("__libc_free", block);
    free_by("__libc_free", malloc(size));
  }
  CHECK_EQ(door_check(), 0);
}

TEST("mallinfo() counts as mallinfo2() does, in int") {
  void *block = malloc(100000);
  struct mallinfo2 info = mallinfo2();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  struct mallinfo old = mallinfo();
#pragma GCC diagnostic pop
  CHECK_EQ(old.uordblks, info.uordblks);
  CHECK_EQ(old.arena, info.arena);
  CHECK_EQ(old.hblkhd, info.hblkhd);
  free(block);
}

TEST_OURS("mallinfo() shows the most that an int can hold for what is more") {
  /* Never touched, so that it costs addresses alone. */
  void *block = malloc((size_t)3 << 30);
  CHECK(block != NULL);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  CHECK_EQ(mallinfo().hblkhd, 0x7fffffff);
#pragma GCC diagnostic pop
  free(block);
}
