/* remote_test.c: how a block that a stranger frees travels home. */
#include "remote.h"

#include "door.h"
#include "harness.h"

#include <pthread.h>

enum { BLOCKS = REMOTE_BATCH_BLOCKS };

struct delivery {
  void *blocks[BLOCKS];
  const struct arena *owner;
};

static void check_collected(const struct delivery *delivery) {
  CHECK(!arena_is_none(arena_mine));
  CHECK(!remote_waiting(delivery->owner));
}

static void *free_all_but_one(void *argument) {
  struct delivery *delivery = argument;
  for (int i = 0; i + 1 < BLOCKS; i++) {
    free(delivery->blocks[i]);
    check_collected(delivery);
  }
  return NULL;
}

static void *free_all(void *argument) {
  struct delivery *delivery = argument;
  free_all_but_one(argument);
  free(delivery->blocks[BLOCKS - 1]);
  CHECK(remote_waiting(delivery->owner));
  return NULL;
}

static void deliver(void *(*body)(void *), size_t bytes) {
  struct delivery delivery;
  for (int i = 0; i < BLOCKS; i++) CHECK((delivery.blocks[i] = malloc(bytes)) != NULL);
  delivery.owner = arena_mine;
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, body, &delivery), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK(remote_waiting(delivery.owner));
}

TEST_IF(NEEDS_SIZES, "a thread that only frees collects blocks and sends them when the batch is full") { deliver(free_all, 100); }

TEST_IF(NEEDS_SIZES, "a thread that only frees sends what it has collected when it ends") { deliver(free_all_but_one, 100); }
