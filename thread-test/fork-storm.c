/* fork-storm.c: fork() while other threads allocate; each child allocates and frees anything. With a second argument all
 * blocks are small, so that a fork costs little and there is time for many. */
#include "scene.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, EXCHANGE = 512 };
static void *exchange[EXCHANGE];
static int stop, is_small;

static size_t any_size(uint64_t *state, int may_be_huge, size_t limit) {
  if (is_small) return random_size(state, 1500);
  return random_size(state, may_be_huge ? 3000000 : limit);
}

static void *churn(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument * 15485863;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    void *block = scene_block(any_size(&state, random_below(&state, 500) == 0, 40000));
    /* acq_rel: the next taker of this place must see the block's contents. */
    block = __atomic_exchange_n(&exchange[random_below(&state, EXCHANGE)], block, __ATOMIC_ACQ_REL);
    if (block != NULL) scene_block_free(block);
    if (is_small && random_below(&state, 64) == 0) sched_yield(); /* to those that fork */
  }
  return NULL;
}

static void free_exchange(void) {
  for (size_t i = 0; i < EXCHANGE; i++)
    if (exchange[i] != NULL) scene_block_free(exchange[i]);
}

static void live_as_child(size_t number) {
  alarm(60); /* a child that hangs must not outlive the test */
  uint64_t state = number + 1;
  void *blocks[50];
  for (size_t i = 0; i < 50; i++) blocks[i] = scene_block(any_size(&state, i == 0, 50000));
  free_exchange();
  for (size_t i = 0; i < 50; i++) scene_block_free(blocks[i]);
  scene_check();
  _exit(0);
}

int main(int argc, char **argv) {
  size_t forks = scene_scale(argc, argv, 1000);
  is_small = argc > 2;
  scene_begin();
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) threads[i] = scene_start(churn, (void *)(i + 1));
  for (size_t i = 0; i < forks; i++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) live_as_child(i);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (size_t i = 0; i < THREADS; i++) scene_join(threads[i]);
  free_exchange();
  return scene_end("fork-storm");
}
