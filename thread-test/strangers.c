/* strangers.c: every thread frees what others allocated, at random. */
#include "scene.h"

enum { THREADS = 4, EXCHANGE = 1024 };
static void *exchange[EXCHANGE];
static size_t steps;

static void *swap(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument * 7919;
  for (size_t i = 0; i < steps; i++) {
    void *block = scene_block(random_size(&state, i % 2000 == 0 ? 4000000 : 40000));
    /* acq_rel: the next taker of this place must see the block's contents. */
    block = __atomic_exchange_n(&exchange[random_below(&state, EXCHANGE)], block, __ATOMIC_ACQ_REL);
    if (block != NULL) scene_block_free(block);
  }
  return NULL;
}

int main(int argc, char **argv) {
  steps = scene_scale(argc, argv, 50000);
  scene_begin();
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++) threads[i] = scene_start(swap, (void *)(i + 1));
  for (size_t i = 0; i < THREADS; i++) scene_join(threads[i]);
  for (size_t i = 0; i < EXCHANGE; i++)
    if (exchange[i] != NULL) scene_block_free(exchange[i]);
  return scene_end("strangers");
}
