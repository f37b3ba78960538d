/* remote_test.c: how a block that a stranger frees travels home. */
#include "remote.h"

#include "buddymalloc.h"
#include "content.h"
#include "door.h"
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

/* What a thread without an arena sends singly, and a batch. */
enum { SINGLES = REMOTE_SINGLES, BLOCKS = SINGLES + REMOTE_BATCH_BLOCKS };

struct delivery {
  void *blocks[BLOCKS];
  struct arena *owner;
};

static void *free_all_but_one(void *argument) {
  struct delivery *delivery = argument;
  for (int i = 0; i < SINGLES; i++) {
    free(delivery->blocks[i]);
    CHECK(arena_is_none(arena_mine));
    CHECK(remote_waiting(delivery->owner));
  }
  uintptr_t waiting = delivery->owner->remote;
  for (int i = SINGLES; i + 1 < BLOCKS; i++) {
    free(delivery->blocks[i]);
    CHECK(!arena_is_none(arena_mine));
    CHECK_EQ(delivery->owner->remote, waiting);
  }
  return NULL;
}

static void *free_all(void *argument) {
  struct delivery *delivery = argument;
  free_all_but_one(argument);
  uintptr_t waiting = delivery->owner->remote;
  free(delivery->blocks[BLOCKS - 1]);
  CHECK(delivery->owner->remote != waiting);
  return NULL;
}

static void deliver(void *(*body)(void *), int blocks) {
  struct delivery delivery;
  for (int i = 0; i < BLOCKS; i++) CHECK((delivery.blocks[i] = malloc(100)) != NULL);
  delivery.owner = arena_mine;
  uint64_t before = arena_mine->drained;
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, body, &delivery), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  remote_drain(arena_mine);
  CHECK_EQ(arena_mine->drained - before, (uint64_t)blocks);
}

TEST_IF(NEEDS_SIZES, "a thread that only frees collects blocks after its first ones, and sends them when the batch is full") {
  deliver(free_all, BLOCKS);
}

TEST_IF(NEEDS_SIZES, "a thread that only frees sends what it has collected when it ends") { deliver(free_all_but_one, BLOCKS - 1); }

enum { OWNERS = 2 * REMOTE_OWNERS, EACH = 400 };
static void *given[OWNERS][EACH];
static pthread_barrier_t given_all, freed_all;

static void *give_and_sleep(void *blocks) {
  for (int i = 0; i < EACH; i++) CHECK((((void **)blocks)[i] = malloc(20)) != NULL);
  pthread_barrier_wait(&given_all);
  pthread_barrier_wait(&freed_all);
  remote_drain(arena_mine);
  return NULL;
}

/* Batches at the front of the queue. */
static uint64_t count_batches(struct arena *arena) {
  uint64_t count = 0;
  for (uintptr_t item = arena->remote; item != 0 && (item & 1) == 0; item = *(uintptr_t *)item) count++;
  return count;
}

TEST_IF(NEEDS_SIZES, "blocks of many threads that sleep, freed in turn, take no batch each") {
  pthread_t threads[OWNERS];
  struct arena *owners[OWNERS];
  pthread_barrier_init(&given_all, NULL, OWNERS + 1);
  pthread_barrier_init(&freed_all, NULL, OWNERS + 1);
  for (int i = 0; i < OWNERS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, give_and_sleep, given[i]), 0);
  pthread_barrier_wait(&given_all);
  for (int i = 0; i < OWNERS; i++) owners[i] = slot_owner(slot_of((uintptr_t)given[i][0]));
  free(malloc(1)); /* an arena to collect them in */
  for (int k = 0; k < EACH; k++)
    for (int i = 0; i < OWNERS; i++) free(given[i][k]);
  uint64_t batches = 0;
  for (int i = 0; i < OWNERS; i++) batches += count_batches(owners[i]);
  CHECK_LE(batches, OWNERS);
  remote_flush(arena_mine);
  pthread_barrier_wait(&freed_all);
  for (int i = 0; i < OWNERS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
  CHECK_EQ(bm_check(), 0);
}

static void *free_them(void *blocks) {
  for (int i = 0; i < BLOCKS; i++) free(((void **)blocks)[i]);
  return NULL;
}

TEST_IF(NEEDS_SIZES, "a thread that asks for large blocks alone takes in what others freed") {
  static void *blocks[BLOCKS];
  for (int i = 0; i < BLOCKS; i++) CHECK((blocks[i] = malloc(100)) != NULL);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, free_them, blocks), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK(remote_waiting(arena_mine));
  free(malloc(1500000));
  CHECK(!remote_waiting(arena_mine));
}

/* ---- An owner that sleeps ----------------------------------------------------------------------- */

enum { PILE = 100000, PILE_BYTES = 100, KEPT_EVERY = 4096 };
static unsigned char *pile[PILE];
static pthread_barrier_t piled, taken_down;

static void *pile_up_and_sleep(void *unused) {
  for (int i = 0; i < PILE; i++) content_fill(pile[i] = malloc(PILE_BYTES), PILE_BYTES, (uint64_t)i);
  pthread_barrier_wait(&piled);
  pthread_barrier_wait(&taken_down);
  for (int i = 0; i < PILE; i++) { /* takes in what the other has freed */
    if (i % KEPT_EVERY == 0) continue;
    CHECK((pile[i] = malloc(PILE_BYTES)) != NULL);
    content_fill(pile[i], PILE_BYTES, (uint64_t)i);
  }
  for (int i = 0; i < PILE; i++) {
    content_verify(pile[i], PILE_BYTES, (uint64_t)i);
    free(pile[i]);
  }
  return unused;
}

TEST_IF(NEEDS_EXACT | NEEDS_NATIVE, "what was freed for a thread that sleeps is purged where it lies, and comes home when it wakes") {
  pthread_t thread;
  struct bm_stats before, after;
  if (BM_HARDENED) return;
  CHECK_EQ(bm_mallopt(BM_OPT_PURGE_DELAY, -1), 1);
  pthread_barrier_init(&piled, NULL, 2);
  pthread_barrier_init(&taken_down, NULL, 2);
  CHECK_EQ(pthread_create(&thread, NULL, pile_up_and_sleep, NULL), 0);
  pthread_barrier_wait(&piled);
  for (int i = 0; i < PILE; i++)
    if (i % KEPT_EVERY != 0) free(pile[i]);
  bm_thread_flush();
  bm_stats(&before);
  bm_malloc_trim(0);
  bm_stats(&after);
  CHECK_GE(after.purged_bytes - before.purged_bytes, PILE / 4 * 3 * PILE_BYTES);
  CHECK_EQ(bm_check(), 0);
  for (int i = 0; i < PILE; i += KEPT_EVERY) content_verify(pile[i], PILE_BYTES, (uint64_t)i);
  CHECK_FATAL("double free", pile[1], free(pile[1]));
  pthread_barrier_wait(&taken_down);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(bm_check(), 0);
}
