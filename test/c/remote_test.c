/* remote_test.c: how a block that a stranger frees travels home. */
#include "remote.h"

#include "buddymalloc.h"
#include "door.h"
#include "harness.h"

#include <pthread.h>

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
