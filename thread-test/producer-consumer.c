/* producer-consumer.c: two threads allocate, two others free, through one mailbox. */
#include "scene.h"

enum { PAIRS = 2 };
static struct mailbox box = MAILBOX_INIT;
static size_t blocks_each;

static void *produce(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument;
  for (size_t i = 0; i < blocks_each; i++)
    mailbox_put(&box, scene_block(random_size(&state, i % 1000 == 0 ? 3000000 : 2000)));
  mailbox_put(&box, NULL);
  return NULL;
}

static void *consume(void *unused) {
  for (void *block; (block = mailbox_take(&box)) != NULL;) scene_block_free(block);
  return unused;
}

int main(int argc, char **argv) {
  blocks_each = scene_scale(argc, argv, 50000);
  scene_begin();
  pthread_t threads[2 * PAIRS];
  for (size_t i = 0; i < PAIRS; i++) {
    threads[2 * i] = scene_start(produce, (void *)(i + 1));
    threads[2 * i + 1] = scene_start(consume, NULL);
  }
  for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) scene_join(threads[i]);
  return scene_end("producer-consumer");
}
