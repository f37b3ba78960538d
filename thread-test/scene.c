/* scene.c: see scene.h. The harness's functions are given here anew, without forked cases. */
#include "scene.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct bm_stats at_begin;

void harness_fail(const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s:%d: ", file, line);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  _exit(1);
}

void harness_equal(const char *file, int line, const char *expression, uintmax_t actual, uintmax_t expected) {
  if (actual != expected) harness_fail(file, line, "%s is %ju, expected %ju", expression, actual, expected);
}

void harness_order(const char *file, int line, const char *expression, uintmax_t actual, uintmax_t limit, int at_most) {
  if (at_most ? actual <= limit : actual >= limit) return;
  harness_fail(file, line, "%s is %ju, expected at %s %ju", expression, actual, at_most ? "most" : "least", limit);
}

size_t scene_scale(int argc, char **argv, size_t by_default) {
  return argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : by_default;
}

pthread_t scene_start(void *(*body)(void *), void *argument) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
  return thread;
}

void scene_join(pthread_t thread) { CHECK_EQ(pthread_join(thread, NULL), 0); }

void mailbox_put(struct mailbox *box, void *letter) {
  pthread_mutex_lock(&box->lock);
  while (box->count == MAILBOX_CAPACITY) pthread_cond_wait(&box->changed, &box->lock);
  box->letters[(box->first + box->count++) % MAILBOX_CAPACITY] = letter;
  pthread_cond_broadcast(&box->changed);
  pthread_mutex_unlock(&box->lock);
}

void *mailbox_take(struct mailbox *box) {
  pthread_mutex_lock(&box->lock);
  while (box->count == 0) pthread_cond_wait(&box->changed, &box->lock);
  void *letter = box->letters[box->first];
  box->first = (box->first + 1) % MAILBOX_CAPACITY;
  box->count--;
  pthread_cond_broadcast(&box->changed);
  pthread_mutex_unlock(&box->lock);
  return letter;
}

void *scene_block(size_t size) {
  if (size < sizeof size) size = sizeof size;
  char *block = malloc(size);
  CHECK(block != NULL);
  memcpy(block, &size, sizeof size);
  content_fill(block + sizeof size, size - sizeof size, size);
  return block;
}

void scene_block_free(void *pointer) {
  char *block = pointer;
  size_t size;
  memcpy(&size, block, sizeof size);
  content_verify(block + sizeof size, size - sizeof size, size);
  free(block);
}

void scene_begin(void) {
  free(malloc(1));
  door_flush();
  door_stats(&at_begin);
}

void scene_check(void) { CHECK_EQ(door_check(), 0); }

int scene_end(const char *name) {
  struct bm_stats stats;
  door_flush();
  scene_check();
  door_stats(&stats);
  CHECK_EQ(stats.allocated_blocks, stats.alloc_requests - stats.free_requests);
#ifdef DOOR_STATIC /* libc itself keeps blocks for threads and output when its malloc is replaced */
  CHECK_EQ(stats.allocated_blocks, at_begin.allocated_blocks);
  CHECK_EQ(stats.allocated_bytes, at_begin.allocated_bytes);
  CHECK_EQ(stats.mmapped_regions, at_begin.mmapped_regions);
  CHECK_EQ(stats.free_bytes, stats.heap_bytes - (at_begin.heap_bytes - at_begin.free_bytes));
#endif
  printf("%s: %ju blocks, %ju freed by strangers, %ju arenas, %ju MiB of heap, all free again\n", name,
         (uintmax_t)(stats.alloc_requests - at_begin.alloc_requests), (uintmax_t)stats.remote_frees,
         (uintmax_t)stats.arenas, (uintmax_t)(stats.heap_bytes >> 20));
  return 0;
}
