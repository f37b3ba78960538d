/* scene.h: what the thread programs share: threads, a mailbox, and the examination at the end. */
#ifndef THREAD_TEST_SCENE_H
#define THREAD_TEST_SCENE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "content.h"
#include "door.h"
#include "harness.h"

/* The number in the program's first argument, or `by_default`. */
size_t scene_scale(int argc, char **argv, size_t by_default);

pthread_t scene_start(void *(*body)(void *), void *argument);
void scene_join(pthread_t thread);

/* A queue of pointers with one lock; `put` and `take` wait while it is full or empty. */
enum { MAILBOX_CAPACITY = 256 };
struct mailbox {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  size_t first, count;
  void *letters[MAILBOX_CAPACITY];
};
#define MAILBOX_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, {NULL}}
void mailbox_put(struct mailbox *box, void *letter);
void *mailbox_take(struct mailbox *box);

/* A block whose contents tell its size, so that a stranger can verify it. */
void *scene_block(size_t size);
void scene_block_free(void *block);

/* Remember the counts; call it once, before the first thread. */
void scene_begin(void);
/* Flush this thread and demand: the walker is content, every block that was handed out came
 * back, and every chunk is one maximal free block again. Prints one line; returns the exit code. */
int scene_end(const char *name);
/* The walker alone, for a forked child. */
void scene_check(void);

#endif
