/* chunk_test.c: the buddy system of whole slots: freelist.c, heap.c and chunk.c. */
#include "harness.h"

#include "buddymalloc.h"
#include "chunk.h"
#include "content.h"
#include "freelist.h"
#include "heap.h"
#include "huge.h"
#include "os.h"
#include "purge.h"
#include "wrap.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void begin(void) {
  CHECK(heap_init());
  lock_acquire(&heap.lock);
}

static void end(void) { lock_release(&heap.lock); }

static struct slot *take(uint32_t count) {
  struct slot *slot = chunk_take(count);
  CHECK(slot != NULL);
  slot->kind = SLOT_LARGE;
  slot->used = (uint16_t)count;
  for (uint32_t i = 1; i < count; i++) slot[i].kind = SLOT_REST;
  return slot;
}

static uint32_t count_free(unsigned order) {
  uint32_t count = 0;
  for (uint32_t number = heap.blocks[order - SLOT_ORDER]; number != 0; number = slot_at(number)->next) count++;
  return count;
}

TEST("a split produces two buddies of half the size, which differ in one address bit") {
  begin();
  struct slot *slot = take(CHUNK_SLOTS);
  slot->kind = SLOT_FREE;
  slot->order = CHUNK_ORDER;
  for (unsigned order = CHUNK_ORDER; order-- > SLOT_ORDER;) {
    chunk_split(slot);
    struct slot *upper = slot_at(heap.blocks[order - SLOT_ORDER]);
    CHECK_EQ(slot->order, order);
    CHECK_EQ(upper->order, order);
    CHECK_EQ(slot_base(slot) ^ slot_base(upper), (uintptr_t)1 << order);
    CHECK_EQ(block_buddy(slot_base(slot), order), slot_base(upper));
  }
  uint32_t chunks = count_free(CHUNK_ORDER);
  chunk_give(slot, 1);
  CHECK_EQ(count_free(CHUNK_ORDER), chunks + 1);
  end();
}

/* Blocks smaller than a chunk, taken so that a test sees only what it gives. */
struct crumbs {
  struct slot *slots[256];
  uint32_t count;
};

static void take_crumbs(struct crumbs *crumbs) {
  crumbs->count = 0;
  for (unsigned order = SLOT_ORDER; order < CHUNK_ORDER; order++)
    while (heap.blocks[order - SLOT_ORDER] != 0) {
      CHECK_LE(crumbs->count, 255);
      crumbs->slots[crumbs->count++] = take(1u << (order - SLOT_ORDER));
    }
}

static void give_crumbs(const struct crumbs *crumbs) {
  for (uint32_t i = 0; i < crumbs->count; i++) chunk_give(crumbs->slots[i], crumbs->slots[i]->used);
}

TEST("taking splits the smallest free block that is large enough") {
  begin();
  struct crumbs crumbs;
  take_crumbs(&crumbs);
  struct slot *whole = take(CHUNK_SLOTS);
  uint32_t chunks = count_free(CHUNK_ORDER);
  chunk_give(whole + 2, 2);
  chunk_give(whole + 8, 8);
  chunk_give(whole + 32, 32);
  CHECK_EQ(chunk_take(1), whole + 2);
  whole[2].kind = SLOT_LARGE;
  whole[2].used = 1;
  CHECK_EQ(take(4), whole + 8);
  CHECK_EQ(take(16), whole + 32);
  CHECK_EQ(count_free(CHUNK_ORDER), chunks);
  chunk_give(whole + 32, 16);
  chunk_give(whole + 8, 4);
  chunk_give(whole + 2, 1);
  chunk_give(whole, 2);
  chunk_give(whole + 4, 4);
  chunk_give(whole + 16, 16);
  CHECK_EQ(count_free(CHUNK_ORDER), chunks + 1);
  give_crumbs(&crumbs);
  end();
}

TEST("a block of any number of slots is aligned to the next power of two, and giving it back restores the chunk") {
  begin();
  struct slot *keeper = take(1);
  for (uint32_t count = 1; count <= CHUNK_SLOTS; count++) {
    uint32_t free_before = 0;
    for (unsigned order = SLOT_ORDER; order <= CHUNK_ORDER; order++) free_before += count_free(order);
    struct slot *slot = take(count);
    uintptr_t rounded = 1;
    while (rounded < count) rounded *= 2;
    CHECK_EQ(slot_base(slot) % (rounded * SLOT_BYTES), 0);
    chunk_give(slot, count);
    uint32_t free_after = 0;
    for (unsigned order = SLOT_ORDER; order <= CHUNK_ORDER; order++) free_after += count_free(order);
    CHECK_LE(free_after, free_before + 1);
  }
  chunk_give(keeper, 1);
  end();
}

TEST("blocks taken and given at random never overlap, and coalesce to whole chunks at the end") {
  enum { LIVE = 200, STEPS = 100000 };
  static struct slot *live[LIVE];
  static uint32_t counts[LIVE];
  static uint8_t taken[1 << 16];
  begin();
  uint64_t state = 42;
  for (unsigned step = 0; step < STEPS; step++) {
    size_t at = random_below(&state, LIVE);
    if (live[at] == NULL) {
      counts[at] = 1 + (uint32_t)random_below(&state, (size_t)1 << random_below(&state, 7)) % CHUNK_SLOTS;
      live[at] = take(counts[at]);
    }
    uint32_t first = slot_number(live[at]);
    CHECK_LE(first + counts[at], sizeof taken);
    uint8_t expected = taken[first];
    for (uint32_t i = 0; i < counts[at]; i++) {
      CHECK_EQ(taken[first + i], expected);
      taken[first + i] = !expected;
    }
    if (!expected) continue;
    chunk_give(live[at], counts[at]);
    live[at] = NULL;
  }
  for (size_t at = 0; at < LIVE; at++)
    if (live[at] != NULL) chunk_give(live[at], counts[at]);
  end();
}

TEST("a block grows into the free slots behind it, and only into those") {
  begin();
  struct slot *slot = take(CHUNK_SLOTS);
  uint32_t chunks = count_free(CHUNK_ORDER);
  chunk_give(slot + 1, 20);
  CHECK_EQ(chunk_extend(slot + 1, 21), 0);
  CHECK_EQ(chunk_extend(slot + 1, 5), 1);
  CHECK_EQ(chunk_extend(slot + 6, 15), 1);
  CHECK_EQ(chunk_extend(slot + 21, 1), 0);
  chunk_give(slot + CHUNK_SLOTS - 1, 1);
  CHECK_EQ(chunk_extend(slot + CHUNK_SLOTS - 1, 2), 0);
  CHECK_EQ(chunk_extend(slot + CHUNK_SLOTS - 1, 1), 1);
  chunk_give(slot, CHUNK_SLOTS);
  CHECK_EQ(count_free(CHUNK_ORDER), chunks + 1);
  end();
}

TEST("a list of slots keeps its order through append and remove") {
  begin();
  struct slot *slots = take(8);
  struct slot_list list = {0, 0};
  slot_list_append(&list, slots);
  slot_list_append(&list, slots + 1);
  slot_list_append(&list, slots + 2);
  slot_list_append(&list, slots + 3);
  slot_list_remove(&list, slots + 1);
  uint32_t expected[] = {slot_number(slots), slot_number(slots + 2), slot_number(slots + 3), 0};
  uint32_t number = list.first;
  for (size_t i = 0; i < 4; i++) {
    CHECK_EQ(number, expected[i]);
    if (number != 0) number = slot_at(number)->next;
  }
  slot_list_remove(&list, slots + 3);
  CHECK_EQ(list.last, slot_number(slots + 2));
  slot_list_remove(&list, slots);
  slot_list_remove(&list, slots + 2);
  CHECK_EQ(list.first, 0);
  CHECK_EQ(list.last, 0);
  chunk_give(slots, 8);
  end();
}

TEST("touched free memory is purged before its time if it was not needed for a part of it, and no more than was not") {
  enum { COUNT = 8, DELAY = 600000 };
  struct lock held = {0};
  const uint32_t later = DELAY / SPARE_DIVISOR;
  uint32_t now = os_now_ms();
  chunk_purge(now, 0, SIZE_MAX, &held);
  chunk_purge(now += later, DELAY, SIZE_MAX, &held);
  begin();
  struct crumbs crumbs;
  take_crumbs(&crumbs);
  struct slot *whole = take(CHUNK_SLOTS);
  chunk_set_dirty(whole, COUNT);
  chunk_give(whole, COUNT);
  end();
  CHECK_EQ(chunk_purge(now + later - 1, DELAY, SIZE_MAX, &held), 0);
  CHECK_EQ(chunk_purge(now += later, DELAY, SIZE_MAX, &held), 0); /* it was not there all the time */
  begin();
  CHECK_EQ(take(3), whole);
  chunk_give(whole, 3);
  end();
  CHECK_EQ(chunk_purge(now += later, DELAY, SIZE_MAX, &held), (COUNT - 3) * SLOT_BYTES);
  CHECK_EQ(chunk_dirty(whole, COUNT), 7);
  CHECK_EQ(chunk_purge(now += later, DELAY, SIZE_MAX, &held), 3 * SLOT_BYTES);
  CHECK_EQ(heap.dirty_bytes, 0);
  begin();
  chunk_give(whole + COUNT, CHUNK_SLOTS - COUNT);
  give_crumbs(&crumbs);
  end();
}

TEST("what is freed after whoever purges has looked at the clock is young to it") {
  enum { COUNT = 8, DELAY = 600000 };
  struct lock held = {0};
  uint32_t now = os_now_ms() - 1;
  chunk_purge(now, 0, SIZE_MAX, &held);
  begin();
  struct crumbs crumbs;
  take_crumbs(&crumbs);
  struct slot *whole = take(CHUNK_SLOTS);
  chunk_set_dirty(whole, COUNT);
  chunk_give(whole, CHUNK_SLOTS);
  end();
  CHECK_EQ(chunk_purge(now, DELAY, SIZE_MAX, &held), 0);
  CHECK_EQ(chunk_purge(now, 0, SIZE_MAX, &held), COUNT * SLOT_BYTES);
  begin();
  give_crumbs(&crumbs);
  end();
  void *huge = bm_malloc(LARGE_MAX + 1);
  bm_free(huge);
  size_t cached = huge_cached_bytes();
  CHECK_GE(cached, LARGE_MAX);
  huge_decay(now, DELAY);
  CHECK_EQ(huge_cached_bytes(), cached);
}

/* Processor time, in microseconds, of purging so many slots, none of which lies next to another. */
static uint64_t time_to_purge(size_t count) {
  static struct slot *slots[2 * 32000];
  struct lock held = {0};
  struct timespec before, after;
  begin();
  for (size_t i = 0; i < 2 * count; i++) chunk_set_dirty(slots[i] = take(1), 1);
  for (size_t i = 0; i < 2 * count; i += 2) chunk_give(slots[i], 1);
  end();
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  CHECK_GE(chunk_purge(os_now_ms(), 0, SIZE_MAX, &held), count * SLOT_BYTES);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  begin();
  for (size_t i = 1; i < 2 * count; i += 2) chunk_give(slots[i], 1);
  end();
  return (uint64_t)((after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000);
}

TEST_IF(NEEDS_NATIVE, "sixteen times as many free blocks take not much more than sixteen times as long to purge") {
  uint64_t few = time_to_purge(2000);
  CHECK_LE(time_to_purge(32000), 64 * (few + 100));
}

/* Pages in memory of the slot that a new thread's first request of a class is served from. */
static void *count_pages(void *count) {
  void *block = bm_malloc(200);
  unsigned char present[SLOT_BYTES / 4096];
  CHECK_EQ(os_present((void *)slot_base(slot_of((uintptr_t)block)), SLOT_BYTES, present), 0);
  for (size_t i = 0; i < SLOT_BYTES / OS_PAGE; i++) *(size_t *)count += present[i] & 1u;
  bm_free(block);
  return NULL;
}

TEST_IF(NEEDS_OURS | NEEDS_NATIVE, "an arena's first slot of a class goes without the pages that others left in it") {
  enum { COUNT = 64, BYTES = 32768 };
  void *blocks[COUNT];
  size_t pages = 0;
  if (OS_PAGE != 4096) return;
  for (size_t i = 0; i < COUNT; i++) memset(blocks[i] = bm_malloc(BYTES), 1, BYTES);
  for (size_t i = 0; i < COUNT; i++) bm_free(blocks[i]);
  bm_thread_flush();
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, count_pages, &pages), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_GE(pages, 1);
  CHECK_LE(pages, 2);
}

TEST_OURS("what is free in the heap is purged when a huge block of no more bytes is made") {
  enum { COUNT = 256, BYTES = 32768 };
  void *blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) memset(blocks[i] = bm_malloc(BYTES), 1, BYTES);
  for (size_t i = 0; i < COUNT; i++) bm_free(blocks[i]);
  bm_thread_flush();
  struct bm_stats before, after;
  bm_stats(&before);
  size_t half = COUNT * BYTES / 2;
  void *huge = bm_malloc(half);
  bm_stats(&after);
  CHECK_GE(after.purged_bytes, before.purged_bytes + half);
  bm_free(huge);
}

static void *trim(void *unused) {
  (void)unused;
  return (void *)(intptr_t)bm_malloc_trim(0);
}

TEST_OURS("malloc_trim() gives back what is free also if it had to wait for somebody else's purge") {
  enum { BYTES = 1 << 20 };
  CHECK_EQ(bm_mallopt(BM_OPT_PURGE_DELAY, -1), 1);
  void *block = bm_malloc(BYTES), *result = NULL;
  memset(block, 1, BYTES);
  bm_free(block);
  bm_thread_flush();
  CHECK_GE(heap.dirty_bytes, BYTES);
  pthread_t thread;
  lock_acquire(&purge_lock);
  CHECK_EQ(pthread_create(&thread, NULL, trim, NULL), 0);
  while (!lock_is_awaited(&purge_lock)) sched_yield();
  lock_release(&purge_lock);
  CHECK_EQ(pthread_join(thread, &result), 0);
  CHECK_EQ(result, 1);
  CHECK_LE(heap.dirty_bytes, BYTES / 2);
}

TEST_IF(NEEDS_OURS | NEEDS_NATIVE, "the thread that purges waits as long as it takes for somebody else who does, and then goes on") {
  enum { COUNT = 16, BYTES = 1 << 20, DELAY = 3, ROUNDS = 10 };
  void *blocks[COUNT];
  CHECK_EQ(bm_mallopt(BM_OPT_PURGE_DELAY, DELAY), 1);
  lock_acquire(&purge_lock);
  for (size_t i = 0; i < COUNT; i++) memset(blocks[i] = bm_malloc(BYTES), 1, BYTES);
  for (size_t i = 0; i < COUNT; i++) bm_free(blocks[i]);
  uint32_t start = os_now_ms();
  while (os_now_ms() - start < ROUNDS * DELAY) sched_yield();
  lock_release(&purge_lock);
  while (__atomic_load_n(&heap.dirty_bytes, __ATOMIC_RELAXED) >= COUNT / 2 * BYTES && os_now_ms() - start < 10000) sched_yield();
  CHECK_LE(heap.dirty_bytes, COUNT / 2 * BYTES);
}

static void *freed;
static unsigned purges;

static void free_again(void) {
  if (purges++ == 0) CHECK_FATAL("double free", freed, bm_free(freed));
}

TEST_IF(NEEDS_EXACT, "a second free() of a large block is a double free while and after its pages are given back") {
  void *before = bm_malloc(LARGE_MAX / 2);
  freed = bm_malloc(LARGE_MAX / 2);
  void *after = bm_malloc(LARGE_MAX / 2);
  memset(freed, 1, LARGE_MAX / 2);
  bm_free(freed);
  wrap_disturb(WRAPPED_MADVISE, free_again);
  bm_malloc_trim(0);
  wrap_disturb(0, NULL);
  CHECK_GE(purges, 1);
  CHECK_FATAL("double free", freed, bm_free(freed));
  bm_free(before);
  bm_free(after);
}

TEST_IF(NEEDS_SIZES, "a cached mapping goes once the heap has begun to use as much untouched memory") {
  enum { BYTES = 8 << 20, PIECE = 4000 };
  void *huge = bm_malloc(BYTES);
  CHECK(huge != NULL);
  bm_free(huge);
  size_t cached = huge_cached_bytes();
  CHECK_GE(cached, BYTES);
  for (size_t bytes = 0; bytes < BYTES / 2; bytes += PIECE) CHECK(bm_malloc(PIECE) != NULL);
  CHECK_EQ(huge_cached_bytes(), cached);
  for (size_t bytes = 0; bytes < BYTES; bytes += PIECE) CHECK(bm_malloc(PIECE) != NULL);
  CHECK_EQ(huge_cached_bytes(), 0);
}

TEST("blocks of more than 32 KiB are mappings where the heap's window is full") {
  enum { COUNT = 64, BYTES = 1 << 20 };
  void *blocks[COUNT];
  bm_free(bm_malloc(1));
  heap.span = heap.full_span = (size_t)heap.top << SLOT_ORDER;
  for (size_t i = 0; i < COUNT; i++) {
    CHECK((blocks[i] = i % 2 == 0 ? bm_malloc(BYTES) : bm_memalign(BYTES, BYTES)) != NULL);
    content_fill(blocks[i], BYTES, i);
  }
  CHECK(!heap_contains((uintptr_t)blocks[COUNT - 1]));
  CHECK((blocks[0] = bm_realloc(blocks[0], BYTES + BYTES / 2)) != NULL);
  for (size_t i = 0; i < COUNT; i++) {
    content_verify(blocks[i], BYTES, i);
    bm_free(blocks[i]);
  }
  CHECK_EQ(bm_check(), 0);
}

TEST_OURS("cached mappings go where they would make the program larger than it ever was beside a new one") {
  enum { COUNT = 8, BYTES = 3 << 20 };
  void *blocks[COUNT];
  CHECK_EQ(bm_mallopt(BM_OPT_PURGE_DELAY, -1), 1);
  for (size_t i = 0; i < COUNT; i++) CHECK((blocks[i] = bm_malloc(BYTES)) != NULL);
  for (size_t i = 0; i < COUNT; i++) bm_free(blocks[i]);
  CHECK_EQ(huge_cached_bytes(), COUNT * BYTES);
  void *block = bm_malloc((COUNT - 2) * BYTES);
  CHECK_EQ(huge_cached_bytes(), 2 * BYTES);
  bm_free(block);
  for (size_t i = 0; i < COUNT / 2; i++) CHECK((blocks[i] = bm_malloc(BYTES)) != NULL);
  for (size_t i = 0; i < COUNT / 2; i++) bm_free(blocks[i]);
  CHECK_EQ(bm_check(), 0);
}
