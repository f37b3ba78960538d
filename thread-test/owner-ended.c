/* owner-ended.c: threads allocate and end; others free their blocks after that, from several threads. */
#include "scene.h"

enum { FREERS = 3, BLOCKS = 3000 };
static void *blocks[BLOCKS];

static void *allocate(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument + 1;
  for (size_t i = 0; i < BLOCKS; i++) blocks[i] = scene_block(random_size(&state, i % 300 == 0 ? 3000000 : 5000));
  return NULL;
}

static void *free_share(void *argument) {
  for (size_t i = (size_t)(uintptr_t)argument; i < BLOCKS; i += FREERS) scene_block_free(blocks[i]);
  return NULL;
}

int main(int argc, char **argv) {
  size_t rounds = scene_scale(argc, argv, 30);
  scene_begin();
  for (size_t round = 0; round < rounds; round++) {
    scene_join(scene_start(allocate, (void *)round));
    pthread_t threads[FREERS];
    for (size_t i = 0; i < FREERS; i++) threads[i] = scene_start(free_share, (void *)i);
    for (size_t i = 0; i < FREERS; i++) scene_join(threads[i]);
  }
  return scene_end("owner-ended");
}
