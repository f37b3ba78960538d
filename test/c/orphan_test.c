/* orphan_test.c: the orphanage takes in what arrives while it is locked. */
#include "orphan.h"

#include "content.h"
#include "door.h"
#include "harness.h"
#include "os.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"
#include "wrap.h"

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

/* ---- Purging what nobody owns -------------------------------------------------------------------- */

enum { MANY = 600, SPARSE_SIZE = 1000, KEPT_EVERY = 20 };

static void *sparse[MANY];

/* Leaves slots with few used blocks, and none of these on most pages. */
static void *leave_sparse_slots(void *unused) {
  for (unsigned i = 0; i < MANY; i++) {
    CHECK((sparse[i] = malloc(SPARSE_SIZE)) != NULL);
    content_fill(sparse[i], SPARSE_SIZE, i);
  }
  for (unsigned i = 0; i < MANY; i++)
    if (i % KEPT_EVERY != 0) free(sparse[i]);
  return unused;
}

static uint64_t purged_bytes(void) {
  struct bm_stats stats;
  bm_stats(&stats);
  return stats.purged_bytes;
}

/* Take all the memory there was, write all of it, and give everything back. */
static void use_all_again(unsigned first_kept) {
  static void *again[2 * MANY];
  for (unsigned i = 0; i < 2 * MANY; i++) {
    CHECK((again[i] = malloc(SPARSE_SIZE)) != NULL);
    content_fill(again[i], SPARSE_SIZE, MANY + i);
  }
  for (unsigned i = first_kept; i < MANY; i += KEPT_EVERY) {
    content_verify(sparse[i], SPARSE_SIZE, i);
    free(sparse[i]);
  }
  for (unsigned i = 0; i < 2 * MANY; i++) {
    content_verify(again[i], SPARSE_SIZE, MANY + i);
    free(again[i]);
  }
  bm_thread_flush();
  CHECK_EQ(bm_check(), 0);
}

TEST("free pages of slots that nobody owns go back, and their used blocks and all later ones keep their contents") {
  run(leave_sparse_slots, NULL);
  uint64_t before = purged_bytes();
  malloc_trim(0);
  CHECK_GE(purged_bytes() - before, MANY / 2 * SPARSE_SIZE);
  CHECK_EQ(bm_check(), 0);
  run(free_one, sparse[0]); /* into a slot that was swept */
  CHECK_EQ(bm_check(), 0);
  use_all_again(KEPT_EVERY);
}

static unsigned next_freed;

/* In the middle of a purge: the blocks come home to a slot that nobody may adopt or release meanwhile. */
static void free_one_while_purging(void) {
  if (next_freed >= MANY) return;
  run(free_one, sparse[next_freed]);
  next_freed += KEPT_EVERY;
}

TEST("blocks that are freed into a slot while its pages are purged come home, and a slot without any goes back") {
  struct bm_stats before, after;
  bm_stats(&before);
  run(leave_sparse_slots, NULL);
  next_freed = 0;
  wrap_disturb(WRAPPED_MADVISE, free_one_while_purging);
  malloc_trim(0);
  wrap_disturb(0, NULL);
  CHECK_GE(next_freed, 2 * KEPT_EVERY);
  CHECK_EQ(bm_check(), 0);
  use_all_again(next_freed);
  bm_stats(&after);
  CHECK_EQ(after.allocated_blocks, before.allocated_blocks);
}

TEST("a slot that nobody owns is left alone by a purge of what is older") {
  run(leave_sparse_slots, NULL);
  lock_acquire(&purge_lock);
  CHECK_EQ(orphan_purge(os_now_ms(), 60000, &purge_lock), 0);
  lock_release(&purge_lock);
  CHECK_GE(orphan_purgeable(), MANY / 2 * SPARSE_SIZE);
  CHECK_EQ(bm_check(), 0);
  use_all_again(0);
}

/* ---- The child of a fork inherits ------------------------------------------------------------------ */

static pthread_barrier_t there, over;

static void *keep_sparse_slots(void *unused) {
  leave_sparse_slots(unused);
  pthread_barrier_wait(&there);
  pthread_barrier_wait(&over);
  return unused;
}

TEST("a child of a fork frees and uses again the blocks of a thread that it does not have") {
  pthread_t thread;
  pthread_barrier_init(&there, NULL, 2);
  pthread_barrier_init(&over, NULL, 2);
  CHECK_EQ(pthread_create(&thread, NULL, keep_sparse_slots, NULL), 0);
  pthread_barrier_wait(&there);
  CHECK_EXITS({
    CHECK_EQ(bm_check(), 0);
    free(sparse[0]); /* into a slot whose list must be made anew */
    CHECK_EQ(bm_check(), 0);
    use_all_again(KEPT_EVERY);
  });
  pthread_barrier_wait(&over);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  use_all_again(0);
}

TEST("a child of a fork takes back what it had freed for a thread that it does not have") {
  pthread_t thread;
  pthread_barrier_init(&there, NULL, 2);
  pthread_barrier_init(&over, NULL, 2);
  CHECK_EQ(pthread_create(&thread, NULL, keep_sparse_slots, NULL), 0);
  pthread_barrier_wait(&there);
  free(malloc(1)); /* an arena, so that the block waits in a batch */
  free(sparse[0]);
  CHECK_EXITS({
    CHECK_EQ(bm_check(), 0);
    use_all_again(KEPT_EVERY);
    malloc_trim(0);
    CHECK_EQ(bm_check(), 0);
  });
  pthread_barrier_wait(&over);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  use_all_again(KEPT_EVERY);
}

enum { OURS = 60, OURS_SIZE = 200 };

static uint8_t state_of(const void *block) { return *slot_state(slot_of((uintptr_t)block), (uintptr_t)block); }

/* Fewer than are sent home together. */
static void *hold_back(void *blocks) {
  free(malloc(1)); /* an arena, so that they wait in a batch */
  for (size_t i = 0; i < OURS; i += 2) free(((void **)blocks)[i]);
  pthread_barrier_wait(&there);
  pthread_barrier_wait(&over);
  return NULL;
}

TEST("a child of a fork has back its own blocks that a thread which it does not have was about to send home") {
  static void *blocks[OURS];
  pthread_t thread;
  pthread_barrier_init(&there, NULL, 2);
  pthread_barrier_init(&over, NULL, 2);
  for (size_t i = 0; i < OURS; i++) content_fill(blocks[i] = malloc(OURS_SIZE), OURS_SIZE, i);
  CHECK_EQ(pthread_create(&thread, NULL, hold_back, blocks), 0);
  pthread_barrier_wait(&there);
  CHECK(state_of(blocks[0]) != BLOCK_FREE && state_of(blocks[0]) != BLOCK_USED);
  CHECK_EXITS({
    CHECK_EQ(state_of(blocks[0]), BLOCK_FREE);
    CHECK_EQ(bm_check(), 0);
    for (size_t i = 0; i < OURS; i += 2) content_fill(blocks[i] = malloc(OURS_SIZE), OURS_SIZE, i);
    for (size_t i = 0; i < OURS; i++) {
      content_verify(blocks[i], OURS_SIZE, i);
      free(blocks[i]);
    }
    CHECK_EQ(bm_check(), 0);
  });
  pthread_barrier_wait(&over);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  for (size_t i = 1; i < OURS; i += 2) {
    content_verify(blocks[i], OURS_SIZE, i);
    free(blocks[i]);
  }
}

enum { LARGE = 300000 };

/* A thread that is in the middle of large_free(). */
static void *be_about_to_keep(void *unused) {
  free(malloc(1));
  void *block = malloc(LARGE);
  slot_of((uintptr_t)block)->kind = SLOT_KEPT;
  pthread_barrier_wait(&there);
  pthread_barrier_wait(&over);
  slot_of((uintptr_t)block)->kind = SLOT_LARGE;
  free(block);
  return unused;
}

TEST("a child of a fork loses no large block that a thread which it does not have was about to give back") {
  pthread_t thread;
  if (BM_HARDENED) return;
  pthread_barrier_init(&there, NULL, 2);
  pthread_barrier_init(&over, NULL, 2);
  free(malloc(LARGE)); /* this thread keeps one */
  CHECK_EQ(pthread_create(&thread, NULL, be_about_to_keep, NULL), 0);
  pthread_barrier_wait(&there);
  CHECK_EXITS({
    CHECK_EQ(bm_check(), 0);
    void *one = malloc(LARGE);
    void *other = malloc(LARGE);
    CHECK(one != other);
    free(one);
    free(other);
    CHECK_EQ(bm_check(), 0);
  });
  pthread_barrier_wait(&over);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}
