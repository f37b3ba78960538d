/* stats_test.c: bm_stats(), bm_walk() and bm_stats_text() agree with what the program did. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 3000 };
static void *blocks[COUNT];

static struct bm_stats now(void) {
  struct bm_stats stats;
  bm_stats(&stats);
  return stats;
}

static void *allocate_share(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument + 3;
  for (size_t i = (size_t)(uintptr_t)argument; i < COUNT; i += 3)
    blocks[i] = malloc(random_size(&state, i % 100 == 0 ? 4000000 : 50000));
  return NULL;
}

static void *free_share(void *argument) {
  for (size_t i = (size_t)(uintptr_t)argument; i < COUNT; i += 3) free(blocks[(i * 7) % COUNT]);
  return NULL;
}

static void in_threads(void *(*body)(void *)) {
  pthread_t threads[3];
  for (size_t i = 0; i < 3; i++) CHECK_EQ(pthread_create(&threads[i], NULL, body, (void *)i), 0);
  for (size_t i = 0; i < 3; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST("the counts of requests, blocks and bytes are exact after threads allocated and others freed") {
  struct bm_stats before = now();
  in_threads(allocate_share);
  struct bm_stats during = now();
  uint64_t bytes = 0;
  for (size_t i = 0; i < COUNT; i++) bytes += malloc_usable_size(blocks[i]);
  CHECK_EQ(during.alloc_requests - before.alloc_requests, COUNT);
  CHECK_EQ(during.free_requests, before.free_requests);
  CHECK_EQ(during.allocated_blocks - before.allocated_blocks, COUNT);
  CHECK_EQ(during.allocated_bytes - before.allocated_bytes, bytes);
  in_threads(free_share);
  struct bm_stats after = now();
  CHECK_EQ(after.free_requests - before.free_requests, COUNT);
  CHECK_EQ(after.alloc_requests - before.alloc_requests, COUNT);
  CHECK_EQ(after.allocated_blocks, before.allocated_blocks);
  CHECK_EQ(after.allocated_bytes, before.allocated_bytes);
  CHECK_EQ(after.mmapped_regions, before.mmapped_regions);
}

TEST("every kind of request counts as one, whatever path it takes") {
  static const size_t sizes[] = {1, 1000, 30000, 100000, 3000000};
  for (size_t i = 0; i < 5; i++) {
    struct bm_stats before = now();
    void *first = malloc(sizes[i]);
    void *second = calloc(1, sizes[i]);
    void *third = memalign(64, sizes[i]);
    CHECK_EQ(now().alloc_requests, before.alloc_requests + 3);
    CHECK_EQ(now().allocated_blocks, before.allocated_blocks + 3);
    free(first);
    free(second);
    free(third);
    CHECK_EQ(now().free_requests, before.free_requests + 3);
    CHECK_EQ(now().allocated_bytes, before.allocated_bytes);
  }
}

TEST("huge blocks are counted as mapped regions with their bytes") {
  struct bm_stats before = now();
  void *block = malloc(10000000);
  CHECK_EQ(now().mmapped_regions, before.mmapped_regions + 1);
  CHECK_EQ(now().mmapped_bytes, before.mmapped_bytes + malloc_usable_size(block));
  free(block);
  CHECK_EQ(now().mmapped_regions, before.mmapped_regions);
}

TEST("frees by strangers are counted") {
  struct bm_stats before = now();
  in_threads(allocate_share);
  for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
  CHECK_GE(now().remote_frees, before.remote_frees + COUNT / 3);
}

struct sums {
  struct bm_stats stats;
  const char *end, *chunk_end;
  uint64_t chunks, wanted_seen;
};

static int add(const struct bm_walk_entry *entry, void *context) {
  struct sums *sums = context;
  const char *address = entry->address;
  switch (entry->kind) {
    case BM_WALK_CHUNK:
      CHECK_EQ(sums->end, sums->chunk_end);
      CHECK(address >= sums->chunk_end);
      CHECK_EQ((uintptr_t)address % entry->size, 0);
      sums->chunks += entry->size;
      sums->end = address;
      sums->chunk_end = address + entry->size;
      return 0;
    case BM_WALK_HUGE:
      sums->stats.mmapped_regions++;
      sums->stats.mmapped_bytes += entry->size;
      break;
    case BM_WALK_USED:
      sums->stats.allocated_blocks++;
      sums->stats.allocated_bytes += entry->size;
      break;
    case BM_WALK_FREE:
      sums->stats.free_bytes += entry->size;
      break;
    case BM_WALK_META:
      break;
  }
  for (size_t i = 0; i < COUNT; i++)
    if (blocks[i] == address && (entry->kind == BM_WALK_USED || entry->kind == BM_WALK_HUGE)) {
      CHECK_EQ(entry->size, malloc_usable_size(blocks[i]));
      CHECK_LE(entry->size, (size_t)16 << entry->level);
      sums->wanted_seen++;
    }
  if (entry->kind == BM_WALK_HUGE) return 0;
  CHECK_EQ(address, sums->end);
  sums->end = address + entry->size;
  return 0;
}

static int ours(const struct bm_walk_entry *entry, void *context) {
  (void)entry;
  return ++*(int *)context == 5 ? 77 : 0;
}

TEST("the walk covers every chunk without a gap, sees every live block once, and agrees with the statistics") {
  in_threads(allocate_share);
  for (size_t i = 0; i < COUNT; i += 2) {
    free(blocks[i]);
    blocks[i] = NULL;
  }
  struct sums sums;
  memset(&sums, 0, sizeof sums);
  /* malloc_usable_size() takes no lock for blocks in the heap; for huge ones the walk holds it. */
  for (size_t i = 0; i < COUNT; i++)
    if (blocks[i] != NULL && malloc_usable_size(blocks[i]) > ((size_t)2 << 20)) {
      free(blocks[i]);
      blocks[i] = NULL;
    }
  uint64_t live = 0;
  for (size_t i = 0; i < COUNT; i++) live += blocks[i] != NULL;
  CHECK_EQ(bm_walk(add, &sums), 0);
  CHECK_EQ(sums.wanted_seen, live);
  struct bm_stats stats = now();
  CHECK_EQ(sums.chunks, stats.heap_bytes);
  CHECK_EQ(sums.stats.allocated_blocks + sums.stats.mmapped_regions, stats.allocated_blocks);
  CHECK_EQ(sums.stats.allocated_bytes + sums.stats.mmapped_bytes, stats.allocated_bytes);
  CHECK_EQ(sums.stats.free_bytes, stats.free_bytes);
}

TEST("the walk stops at the first result that is not 0 and returns it") {
  int seen = 0;
  free(malloc(1));
  CHECK_EQ(bm_walk(ours, &seen), 77);
  CHECK_EQ(seen, 5);
}

TEST("the text of the statistics is cut to the buffer, and its whole length is returned") {
  static char whole[65536];
  char part[100];
  size_t length = bm_stats_text(whole, sizeof whole);
  CHECK_EQ(strlen(whole), length);
  CHECK_EQ(bm_stats_text(part, sizeof part), length);
  CHECK_EQ(strlen(part), sizeof part - 1);
  CHECK_EQ(bm_stats_text(NULL, 0), length);
  CHECK(strstr(whole, "Number of arenas") != NULL);
}

TEST("bm_malloc_stats() allocates nothing") {
  struct bm_stats before = now();
  CHECK_WRITES("Total allocation requests", {
    bm_malloc_stats();
    CHECK_EQ(now().alloc_requests, before.alloc_requests);
  });
}

static uint64_t count_slots(int (*visit)(const struct bm_walk_entry *, void *)) {
  uint64_t count = 0;
  CHECK_EQ(bm_walk(visit, &count), 0);
  return count;
}

/* Memory that is not free in whole slots. */
static int is_bound(const struct bm_walk_entry *entry, void *context) {
  if (entry->kind == BM_WALK_USED || entry->kind == BM_WALK_META || (entry->kind == BM_WALK_FREE && entry->size < 65536))
    *(uint64_t *)context += entry->size;
  return 0;
}

static void *allocate_all(void *unused) {
  for (size_t share = 0; share < 3; share++) allocate_share((void *)share);
  return unused;
}

static void *free_all(void *unused) {
  for (size_t share = 0; share < 3; share++) free_share((void *)share);
  return unused;
}

static void expect_maximal(uint64_t bound) {
  bm_thread_flush();
  CHECK_EQ(bm_check(), 0); /* C3: no free block has a free buddy */
  CHECK_EQ(count_slots(is_bound), bound);
}

TEST("when everything was freed and caches are flushed the heap is maximal free blocks again, whoever freed and in any order") {
  bm_thread_flush();
  uint64_t bound = count_slots(is_bound);
  allocate_all(NULL);
  free_all(NULL);
  expect_maximal(bound);
  in_threads(allocate_share);
  in_threads(free_share);
  expect_maximal(bound);
  in_threads(allocate_share);
  free_all(NULL);
  expect_maximal(bound);
  allocate_all(NULL);
  in_threads(free_share);
  expect_maximal(bound);
  allocate_all(NULL);
  for (size_t i = COUNT; i-- > 0;) free(blocks[i]);
  expect_maximal(bound);
}

TEST("bm_info_text() writes no more than it may, and tells how much it needs") {
  char all[20000], some[50];
  size_t needed = bm_info_text(all, sizeof all);
  CHECK_LE(needed, sizeof all - 1);
  CHECK_EQ(strlen(all), needed);
  CHECK_GE(bm_info_text(some, sizeof some), sizeof some);
  CHECK_EQ(strlen(some), sizeof some - 1);
  CHECK_EQ(memcmp(some, all, sizeof some - 1), 0);
  CHECK_GE(bm_info_text(NULL, 0), sizeof some);
}
