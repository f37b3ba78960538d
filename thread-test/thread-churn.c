/* thread-churn.c: 100,000 threads, a few at a time; each leaves blocks behind for later ones. */
#include "scene.h"

enum { AT_ONCE = 4, LEFT_BEHIND = 2048 };
static void *left_behind[LEFT_BEHIND];

static void *live_briefly(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument * 104729 + 1;
  for (size_t i = 0; i < 20; i++) {
    void *block = scene_block(random_size(&state, i == 0 ? 300000 : 3000));
    if (i % 2 != 0) /* acq_rel: the next taker must see the block's contents. */
      block = __atomic_exchange_n(&left_behind[random_below(&state, LEFT_BEHIND)], block, __ATOMIC_ACQ_REL);
    if (block != NULL) scene_block_free(block);
  }
  return NULL;
}

int main(int argc, char **argv) {
  size_t generations = scene_scale(argc, argv, 100000) / AT_ONCE;
  scene_begin();
  for (size_t generation = 0; generation < generations; generation++) {
    pthread_t threads[AT_ONCE];
    for (size_t i = 0; i < AT_ONCE; i++)
      threads[i] = scene_start(live_briefly, (void *)(generation * AT_ONCE + i));
    for (size_t i = 0; i < AT_ONCE; i++) scene_join(threads[i]);
  }
  for (size_t i = 0; i < LEFT_BEHIND; i++)
    if (left_behind[i] != NULL) scene_block_free(left_behind[i]);
  return scene_end("thread-churn");
}
