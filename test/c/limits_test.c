/* limits_test.c: little memory: RLIMIT_AS, RLIMIT_DATA, and a thread that starts when none is left. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void limit_addresses(size_t bytes) {
  const struct rlimit limits = {bytes, bytes};
  CHECK_EQ(setrlimit(RLIMIT_AS, &limits), 0);
}

static void limit_data(size_t bytes) {
  const struct rlimit limits = {bytes, bytes};
  CHECK_EQ(setrlimit(RLIMIT_DATA, &limits), 0);
}

/* Bytes of addresses that the process has now. */
static size_t address_space(void) {
  char text[64] = {0};
  size_t pages = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  CHECK(statm != NULL);
  CHECK(fgets(text, sizeof text, statm) != NULL);
  CHECK_EQ(sscanf(text, "%zu", &pages), 1);
  fclose(statm);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A list of blocks through their first words; the list needs no memory of its own. */
struct link {
  struct link *next;
};

static size_t allocate_all(struct link **list, size_t size) {
  size_t count = 0;
  errno = 0;
  for (struct link *block; (block = malloc(size)) != NULL; count++) {
    memset(block, 0x5a, size);
    block->next = *list;
    *list = block;
  }
  CHECK_EQ(errno, ENOMEM);
  return count;
}

static void free_all(struct link **list) {
  while (*list != NULL) {
    struct link *block = *list;
    *list = block->next;
    free(block);
  }
}

static void exhaust_and_reuse(size_t size) {
  struct link *list = NULL;
  size_t first = allocate_all(&list, size);
  CHECK_GE(first, 1);
  for (unsigned round = 0; round < 3; round++) {
    free_all(&list);
    CHECK_GE(allocate_all(&list, size), first - first / 10);
  }
  free_all(&list);
}

TEST_IF(NEEDS_NATIVE, "when RLIMIT_AS is reached malloc() gives NULL, and memory freed then can be allocated again") {
  static const size_t sizes[] = {16, 100, 1000, 5000, 40000, 300000, 1500000, 5000000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    CHECK_EXITS({
      limit_addresses(address_space() + ((size_t)48 << 20));
      exhaust_and_reuse(sizes[i]);
      CHECK_EQ(door_check(), 0);
    });
}

TEST_IF(NEEDS_NATIVE, "when RLIMIT_DATA is reached malloc() gives NULL, and memory freed then can be allocated again") {
  CHECK_EXITS({
    limit_data((size_t)32 << 20);
    exhaust_and_reuse(1000);
    exhaust_and_reuse(100000);
    CHECK_EQ(door_check(), 0);
  });
}

TEST_IF(NEEDS_NATIVE, "calloc(), realloc() and memalign() give NULL when memory runs out, and lose nothing") {
  limit_addresses(address_space() + ((size_t)32 << 20));
  struct link *list = NULL;
  void *kept = malloc(1000);
  content_fill(kept, 1000, 9);
  allocate_all(&list, 100000);
  allocate_all(&list, 1000);
  errno = 0;
  CHECK_EQ(calloc(1, 10000000), NULL);
  CHECK_EQ(errno, ENOMEM);
  errno = 0;
  CHECK_EQ(realloc(kept, 10000000), NULL);
  CHECK_EQ(errno, ENOMEM);
  errno = 0;
  CHECK_EQ(memalign(65536, 10000000), NULL);
  CHECK_EQ(errno, ENOMEM);
  content_verify(kept, 1000, 9);
  free_all(&list);
  kept = realloc(kept, 3000000);
  CHECK(kept != NULL);
  content_verify(kept, 1000, 9);
  free(kept);
}

/* The thread starts with memory for its stack, then finds nothing left for an arena. */
static pthread_barrier_t exhausted;

static void *allocate_when_exhausted(void *unused) {
  (void)unused;
  pthread_barrier_wait(&exhausted);
  size_t failures = 0;
  for (size_t size = 1; size < 5000000; size = size * 2 + 1) {
    void *block = malloc(size);
    if (block == NULL)
      failures++;
    else
      memset(block, 1, size);
    free(block);
  }
  CHECK_GE(failures, 1);
  return NULL;
}

TEST_IF(NEEDS_NATIVE, "a thread that starts when no memory is left gets NULL") {
  CHECK_EQ(pthread_barrier_init(&exhausted, NULL, 2), 0);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, allocate_when_exhausted, NULL), 0);
  limit_addresses(address_space() + ((size_t)16 << 20));
  struct link *list = NULL;
  allocate_all(&list, 100000);
  allocate_all(&list, 16);
  pthread_barrier_wait(&exhausted);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  free_all(&list);
}

/* Runs in a program that was started under 96 MiB of addresses; anywhere else it takes so many more. */
TEST_IF(NEEDS_NATIVE | NEEDS_OURS, "memory freed in one size is reused in every other, however little there is") {
  struct rlimit limits;
  CHECK_EQ(getrlimit(RLIMIT_AS, &limits), 0);
  if (limits.rlim_cur == RLIM_INFINITY) limit_addresses(address_space() + ((size_t)96 << 20));
  static const size_t sizes[] = {64, 1 << 20, 5000, 100, 300000, 24, 40000, 2000, 16, 700000, 1000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct link *list = NULL;
    size_t bytes = allocate_all(&list, sizes[i]) * sizes[i];
    CHECK_GE(bytes, (size_t)36 << 20);
    free_all(&list);
    door_flush();
  }
}

/* Runs in a program that was started under 64 MiB of addresses, and anywhere else. */
TEST_IF(NEEDS_NATIVE, "a program with few addresses has most of them for blocks of any size") {
  static const size_t sizes[] = {16, 200, 3000, 50000, 700000, 3000000};
  enum { BYTES = 20 << 20 };
  for (unsigned round = 0; round < 3; round++)
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      struct link *list = NULL;
      for (size_t bytes = 0; bytes < BYTES; bytes += sizes[i]) {
        struct link *block = malloc(sizes[i]);
        CHECK(block != NULL);
        memset(block, 0x5a, sizes[i]);
        block->next = list;
        list = block;
      }
      free_all(&list);
    }
}

static void start_again_under(size_t bytes, char *name) {
  char program[] = "/proc/self/exe", flag[] = "--in-process";
  char *arguments[] = {program, flag, name, NULL};
  limit_addresses(bytes);
  execv(program, arguments);
  _exit(1);
}

TEST_IF(NEEDS_NATIVE, "a program starts and works under 64 MiB of addresses") {
  char name[] = "a program with few addresses has most of them";
  CHECK_EXITS(start_again_under((size_t)64 << 20, name));
}

TEST_IF(NEEDS_NATIVE | NEEDS_OURS, "under 96 MiB of addresses memory freed in one size is reused in every other") {
  char name[] = "memory freed in one size is reused in every other, however";
  CHECK_EXITS(start_again_under((size_t)96 << 20, name));
}

/* Runs in a program that was started under 96 MiB of addresses; anywhere else it takes so many more. */
TEST_IF(NEEDS_NATIVE | NEEDS_OURS, "addresses that the heap gave back serve it again, however often") {
  enum { ROUNDS = 60, HUGE_BYTES = 36 << 20 };
  struct rlimit limits;
  CHECK_EQ(getrlimit(RLIMIT_AS, &limits), 0);
  if (limits.rlim_cur == RLIM_INFINITY) limit_addresses(address_space() + ((size_t)96 << 20));
  for (unsigned round = 0; round < ROUNDS; round++) {
    struct link *list = NULL;
    CHECK_GE(allocate_all(&list, 1000), HUGE_BYTES / 1000);
    free_all(&list);
    void *huge = malloc(HUGE_BYTES);
    CHECK(huge != NULL);
    free(huge);
  }
  CHECK_EQ(door_check(), 0);
}

TEST_IF(NEEDS_NATIVE | NEEDS_OURS, "under 96 MiB of addresses the heap gives them back and takes them again sixty times") {
  char name[] = "addresses that the heap gave back serve it again, however often";
  CHECK_EXITS(start_again_under((size_t)96 << 20, name));
}

/* Limits may come while the program runs, and go. */
static void limit_midway(void) {
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  struct link *list = NULL;
  for (unsigned round = 0; round < 3; round++) {
    struct rlimit some = {address_space() + ((size_t)8 << 20), RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_AS, &some), 0);
    allocate_all(&list, 100000);
    CHECK_EQ(setrlimit(RLIMIT_AS, &none), 0);
    for (size_t i = 0; i < 300; i++) {
      struct link *block = malloc(200000);
      CHECK(block != NULL);
      block->next = list;
      list = block;
    }
    free_all(&list);
  }
  CHECK_EQ(door_check(), 0);
}

TEST_IF(NEEDS_NATIVE, "a program that was refused memory for a while gets it when the limit is lifted") {
  CHECK_EXITS(limit_midway());
}
