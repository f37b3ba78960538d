/* park_test.c: slots that their owner leaves to whoever purges. */
#include "harness.h"

#include "arena.h"
#include "arena_inside.h"
#include "buddymalloc.h"
#include "park.h"
#include "purge.h"
#include "slot.h"
#include "tidy.h"
#include "wrap.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 1024, COUNT = 64 * 8, KEPT = 16 };

static void *blocks[COUNT];

/* Fill slots of one class, of 64 blocks each; all but two blocks of a slot are freed. */
static void fill(void) {
  for (size_t i = 0; i < COUNT; i++) {
    CHECK((blocks[i] = bm_malloc(SIZE)) != NULL);
    memset(blocks[i], (int)i + 1, SIZE);
  }
}

static int is_kept(size_t i) { return i % 32 == KEPT; }

static void free_most(void) {
  for (size_t i = 0; i < COUNT; i++)
    if (!is_kept(i)) bm_free(blocks[i]);
}

static void check_kept(void) {
  for (size_t i = 0; i < COUNT; i++) {
    if (!is_kept(i)) continue;
    const unsigned char *bytes = blocks[i];
    for (size_t k = 0; k < SIZE; k++) CHECK_EQ(bytes[k], (unsigned char)(i + 1));
  }
}

/* Park every slot that is listed, as the passing of time does. */
static void park_all(void) {
  struct arena *arena = arena_mine;
  for (unsigned class = 0; class < CLASS_COUNT; class++)
    for (uint32_t number = arena->listed[class].first; number != 0; number = slot_at(number)->next)
      if (slot_is_open_to(slot_at(number), arena) && slot_at(number)->in_stock == 0) park_put(arena, slot_at(number));
}

static size_t sweep(int all) {
  lock_acquire(&purge_lock);
  size_t bytes = park_sweep(all, &purge_lock);
  lock_release(&purge_lock);
  return bytes;
}

static size_t count_in(enum slot_place place) {
  size_t count = 0;
  for (uint32_t number = CHUNK_SLOTS; number < heap.top; number++)
    count += slot_at(number)->kind == SLOT_CUT && slot_owner(slot_at(number)) == arena_mine && slot_at(number)->place == place;
  return count;
}

/* This thread's slots alone: nothing else sweeps. */
static void begin(void) {
  CHECK_EQ(bm_mallopt(BM_OPT_PURGE_DELAY, -1), 1);
  fill();
  free_most();
  park_all();
  CHECK_GE(count_in(PLACE_PARKED), 4);
}

TEST_IF(NEEDS_EXACT | NEEDS_NATIVE, "the free pages of a parked slot go back once it was left alone for some rounds, the rest stays") {
  begin();
  size_t parked = count_in(PLACE_PARKED);
  for (unsigned round = 0; round < OWNER_AGE_MAX; round++) CHECK_EQ(sweep(0), 0);
  CHECK_GE(sweep(0), 8 * parked * 4096);
  CHECK_EQ(count_in(PLACE_SWEPT), parked);
  CHECK_EQ(sweep(0), 0);
  check_kept();
  CHECK_EQ(bm_check(), 0);
}

TEST_IF(NEEDS_EXACT | NEEDS_NATIVE, "a block that comes back to a parked slot makes it wait anew, and is purged then too") {
  begin();
  size_t parked = count_in(PLACE_PARKED);
  CHECK_GE(sweep(1), parked);
  bm_free(blocks[64 * 4 + KEPT + 64]);
  blocks[64 * 4 + KEPT + 64] = NULL;
  CHECK_EQ(bm_check(), 0);
  for (unsigned round = 0; round < OWNER_AGE_MAX; round++) CHECK_EQ(sweep(0), 0);
  CHECK_EQ(sweep(0), 4096);
}

TEST_IF(NEEDS_EXACT, "a parked slot serves again, purged or not, with blocks that nobody has") {
  begin();
  for (int swept = 0; swept < 2; swept++) {
    if (swept) sweep(1);
    size_t slots = heap.top;
    for (size_t i = 0; i < COUNT; i++) {
      if (is_kept(i)) continue;
      CHECK((blocks[i] = bm_malloc(SIZE)) != NULL);
      memset(blocks[i], (int)i + 1, SIZE);
    }
    check_kept();
    CHECK_EQ(count_in(PLACE_PARKED) + count_in(PLACE_SWEPT), 0);
    CHECK_EQ(heap.top, slots);
    CHECK_EQ(bm_check(), 0);
    free_most();
    park_all();
  }
}

TEST_IF(NEEDS_EXACT, "the last block that comes back to a parked slot gives the slot back") {
  begin();
  for (size_t i = 0; i < COUNT; i++)
    if (is_kept(i)) bm_free(blocks[i]);
  CHECK_LE(count_in(PLACE_PARKED), 1);
  CHECK_EQ(bm_check(), 0);
}

static void *free_kept(void *unused) {
  for (size_t i = 0; i < COUNT; i++)
    if (is_kept(i)) bm_free(blocks[i]);
  bm_thread_flush();
  return unused;
}

TEST_IF(NEEDS_EXACT, "blocks of parked slots that a stranger frees come home") {
  begin();
  sweep(1);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, free_kept, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  bm_thread_flush();
  CHECK_EQ(count_in(PLACE_PARKED) + count_in(PLACE_SWEPT), 0);
  CHECK_EQ(bm_check(), 0);
}

TEST_IF(NEEDS_EXACT, "a second free() of a block in a parked slot is a double free, purged or not") {
  begin();
  CHECK_FATAL("double free", blocks[64 * 4], bm_free(blocks[64 * 4]));
  sweep(1);
  CHECK_FATAL("double free", blocks[64 * 4], bm_free(blocks[64 * 4]));
  CHECK_FATAL("interior pointer", (char *)blocks[64 * 4 + KEPT] + 16, bm_free((char *)blocks[64 * 4 + KEPT] + 16));
}

TEST_IF(NEEDS_EXACT, "nothing is purged in a parked slot where the system has no barrier for all threads") {
  begin();
  wrap_arm(WRAPPED_MEMBARRIER, 1, 1000);
  CHECK_EQ(sweep(1), 0);
  wrap_disarm();
  CHECK_EQ(count_in(PLACE_SWEPT), 0);
  check_kept();
  CHECK_EQ(bm_check(), 0);
}

/* ---- The owner against whoever sweeps ------------------------------------------------------------ */

static int stop;

static void *sweep_all_the_time(void *unused) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) sweep(1);
  return unused;
}

TEST_IF(NEEDS_EXACT, "an owner that takes its slots back while they are swept loses nothing") {
  pthread_t thread;
  CHECK_EQ(bm_mallopt(BM_OPT_PURGE_DELAY, -1), 1);
  fill();
  CHECK_EQ(pthread_create(&thread, NULL, sweep_all_the_time, NULL), 0);
  for (unsigned round = 0; round < 200; round++) {
    free_most();
    park_all();
    for (size_t i = 0; i < COUNT; i++) {
      if (is_kept(i)) continue;
      CHECK((blocks[i] = bm_malloc(SIZE)) != NULL);
      memset(blocks[i], (int)i + 1, SIZE);
    }
    for (size_t i = 0; i < COUNT; i++) CHECK_EQ(((unsigned char *)blocks[i])[SIZE - 1], (unsigned char)(i + 1));
  }
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(bm_check(), 0);
}

/* ---- Idle slots ---------------------------------------------------------------------------------- */

/* Time goes by, and the class is looked through. */
static void tidy(unsigned class) {
  arena_mine->tidy_class = (uint8_t)class;
  arena_mine->tidied = arena_mine->now - 2 * TIDY_MS;
  tidy_tick(arena_mine);
}

TEST_IF(NEEDS_EXACT | NEEDS_NATIVE, "of many idle slots all are parked in the end") {
  enum { SLOTS = 3 * TIDY_SLOTS, BLOCKS = 64 * SLOTS };
  static void *many[BLOCKS];
  CHECK_EQ(bm_mallopt(BM_OPT_PURGE_DELAY, -1), 1);
  for (size_t i = 0; i < BLOCKS; i++) CHECK((many[i] = bm_malloc(SIZE)) != NULL);
  for (size_t i = 0; i < BLOCKS; i++)
    if (i % 64 < 32) bm_free(many[i]);
  struct arena *arena = arena_mine;
  unsigned class = block_class_of(SIZE);
  for (uint32_t number = arena->listed[class].first; number != 0; number = slot_at(number)->next) {
    arena_unpark(arena, slot_at(number));
    slot_at(number)->stamp = arena->now - 2 * IDLE_SLOT_MS;
  }
  size_t listed = count_in(PLACE_LISTED);
  CHECK_GE(listed, 2 * TIDY_SLOTS + 1);
  for (size_t look = 0; look < (listed + TIDY_SLOTS - 1) / TIDY_SLOTS; look++) tidy(class);
  CHECK_EQ(count_in(PLACE_PARKED), listed);
  CHECK_EQ(bm_check(), 0);
}
