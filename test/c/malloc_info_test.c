/* malloc_info_test.c: mallinfo2(), malloc_stats(), malloc_info(), malloc_trim(), mallopt(). */
#include "harness.h"

#include "door.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef M_MMAP_THRESHOLD /* a C library that has no mallopt(): what glibc's programs pass */
#define M_MMAP_THRESHOLD (-3)
#define M_TRIM_THRESHOLD (-1)
#define M_ARENA_MAX (-8)
#endif

#ifdef DOOR_STATIC
typedef struct bm_mallinfo info;
static info get_info(void) { return bm_mallinfo(); }
static void print_stats(void) { bm_malloc_stats(); }
static int write_info(int options, int fd) { return bm_malloc_info(options, fd); }
#else
typedef struct mallinfo2 info;
static info get_info(void) { return mallinfo2(); }
static void print_stats(void) { malloc_stats(); }
static int write_info(int options, int fd) {
  FILE *file = fdopen(dup(fd), "w");
  int result = malloc_info(options, file);
  fclose(file);
  return result;
}
#endif

TEST("mallinfo2() counts what is handed out and what is free") {
  info before = get_info();
  void *blocks[100];
  for (size_t i = 0; i < 100; i++) blocks[i] = malloc(1000);
  info during = get_info();
  CHECK_GE(during.uordblks, before.uordblks + 100 * 1000);
  CHECK_GE(during.arena, during.uordblks);
  for (size_t i = 0; i < 100; i++) free(blocks[i]);
  CHECK_LE(get_info().uordblks, during.uordblks);
}

TEST("mallinfo2() counts blocks that have a mapping of their own") {
  info before = get_info();
  void *block = malloc((size_t)40 << 20);
  info during = get_info();
  CHECK_EQ(during.hblks, before.hblks + 1);
  CHECK_GE(during.hblkhd, before.hblkhd + ((size_t)40 << 20));
  free(block);
  CHECK_EQ(get_info().hblks, before.hblks);
}

TEST("malloc_stats() writes to standard error and changes no figure") {
  int file = memfd_create("stats", 0);
  int saved = dup(STDERR_FILENO);
  free(malloc(1000));
  info before = get_info();
  dup2(file, STDERR_FILENO);
  print_stats();
  dup2(saved, STDERR_FILENO);
  info after = get_info();
  CHECK_EQ(after.uordblks, before.uordblks);
  CHECK_EQ(after.arena, before.arena);
  char text[4096];
  ssize_t length = pread(file, text, sizeof text - 1, 0);
  CHECK_GE(length, 40);
  text[length] = '\0';
  CHECK(strstr(text, "Arena") != NULL || strstr(text, "arena") != NULL);
}

/* Elements must nest, attributes be quoted, and the whole be one element. */
static void check_well_formed(const char *text) {
  const char *open[64];
  size_t lengths[64];
  size_t depth = 0;
  unsigned roots = 0;
  for (const char *at = text; (at = strchr(at, '<')) != NULL;) {
    const char *end = strchr(at, '>');
    CHECK(end != NULL);
    if (at[1] == '?') {
      at = end;
      continue;
    }
    const char *name = at[1] == '/' ? at + 2 : at + 1;
    size_t length = strcspn(name, " />\n");
    unsigned quotes = 0;
    for (const char *c = at; c < end; c++) quotes += *c == '"';
    CHECK_EQ(quotes % 2, 0);
    if (at[1] == '/') {
      CHECK_GE(depth, 1);
      depth--;
      CHECK_EQ(lengths[depth], length);
      CHECK_EQ(strncmp(open[depth], name, length), 0);
    } else {
      roots += depth == 0;
      if (end[-1] != '/') {
        CHECK_LE(depth, 62);
        open[depth] = name;
        lengths[depth++] = length;
      }
    }
    at = end;
  }
  CHECK_EQ(depth, 0);
  CHECK_EQ(roots, 1);
}

TEST("malloc_info() writes well-formed XML") {
  void *blocks[50];
  for (size_t i = 0; i < 50; i++) blocks[i] = malloc((size_t)1 << (i / 2));
  int file = memfd_create("info", 0);
  CHECK_EQ(write_info(0, file), 0);
  static char text[1 << 20];
  ssize_t length = pread(file, text, sizeof text - 1, 0);
  CHECK_GE(length, 50);
  CHECK_EQ(strncmp(text, "<malloc", 7), 0);
  check_well_formed(text);
  for (size_t i = 0; i < 50; i++) free(blocks[i]);
}

TEST("malloc_info() of options other than 0 gives EINVAL") {
  int file = memfd_create("info", 0);
  CHECK_EQ(write_info(1, file), EINVAL);
}

TEST("malloc_trim() keeps every block and gives free memory back") {
  enum { COUNT = 200, SIZE = 100000 };
  static char *blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) memset(blocks[i] = malloc(SIZE), (int)i, SIZE);
  for (size_t i = 0; i < COUNT; i++)
    if (i % 2 != 0) free(blocks[i]);
  CHECK_EQ(malloc_trim(0), 1);
  for (size_t i = 0; i < COUNT; i += 2) {
    CHECK_EQ((unsigned char)blocks[i][0], i);
    CHECK_EQ((unsigned char)blocks[i][SIZE - 1], i);
    free(blocks[i]);
  }
  malloc_trim(0);
}

TEST_OURS("malloc_trim() tells whether there was anything to give back") {
  free(malloc(1 << 20));
  malloc_trim(0);
  CHECK_EQ(malloc_trim(0), 0);
}

TEST("mallopt() accepts glibc's options") {
  CHECK_EQ(mallopt(M_MMAP_THRESHOLD, 1 << 20), 1);
  CHECK_EQ(mallopt(M_TRIM_THRESHOLD, 1 << 20), 1);
  CHECK_EQ(mallopt(M_ARENA_MAX, 2), 1);
}
