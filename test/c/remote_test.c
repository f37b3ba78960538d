/* remote_test.c: how a block that a stranger frees travels home. */
#include "remote.h"

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
