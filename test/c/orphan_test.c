/* orphan_test.c: the orphanage takes in what arrives while it is locked. */
#include "orphan.h"

#include "door.h"
#include "harness.h"
#include "remote.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 10 }; /* too few for the thread to look at the clock, and to purge */

/* Blocks that a thread allocates, and leaves when it ends. */
struct legacy {
  size_t bytes; /* of each */
  void *blocks[BLOCKS];
};

static void *allocate(void *argument) {
  struct legacy *legacy = argument;
  for (int i = 0; i < BLOCKS; i++) CHECK((legacy->blocks[i] = malloc(legacy->bytes)) != NULL);
  return NULL;
}

static void *free_one(void *block) {
  free(block);
  return NULL;
}

static void run(void *(*body)(void *), void *argument) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A block of an orphan that was freed while the orphanage was locked by somebody who has left since. */
static void leave_block_behind(void *block) {
  lock_acquire(&orphan_lock);
  run(free_one, block);
  CHECK(remote_waiting(&orphanage));
  lock_release(&orphan_lock);
}

TEST("a block that was freed while the orphanage was locked is taken in when a thread gives a slot away") {
  struct legacy first = {.bytes = 200}, second = {.bytes = 1000}; /* of another class: it adopts nothing */
  run(allocate, &first);
  leave_block_behind(first.blocks[0]);
  run(allocate, &second);
  CHECK(!remote_waiting(&orphanage));
}

TEST("a block that was freed while the orphanage was locked is taken in when the process has forked") {
  struct legacy legacy = {.bytes = 200};
  run(allocate, &legacy);
  leave_block_behind(legacy.blocks[0]);
  CHECK_EXITS({});
  CHECK(!remote_waiting(&orphanage));
}

static void *freed_while_forking;

/* Registered before all constructors, some of which allocate: so it runs when the library's locks are held. */
static void free_while_forking(void) {
  if (freed_while_forking != NULL) run(free_one, freed_while_forking);
}
static void register_first(void) { pthread_atfork(free_while_forking, NULL, NULL); }
__attribute__((section(".preinit_array"), used)) static void (*const first_of_all)(void) = register_first;

TEST("a block that is freed in the middle of a fork is taken in by the parent and by the child") {
  struct legacy legacy = {.bytes = 200};
  run(allocate, &legacy);
  freed_while_forking = legacy.blocks[0];
  pid_t child = fork();
  freed_while_forking = NULL;
  CHECK(!remote_waiting(&orphanage));
  CHECK_EQ(bm_check(), 0);
  if (child == 0) _exit(0);
  int status = 1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
}
