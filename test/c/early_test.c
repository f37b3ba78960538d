/* early_test.c: calls before main(), from destructors of thread-specific data, and at exit. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum { EARLY_SIZE = 5000 };

static void *from_constructor;

__attribute__((constructor(101))) static void allocate_in_constructor(void) {
  from_constructor = calloc(1, EARLY_SIZE);
  if (from_constructor != NULL) content_fill(from_constructor, EARLY_SIZE, 2); /* a test of faults lets it get nothing */
}

TEST("a block allocated in the first constructor holds until main() and can be resized and freed") {
  CHECK(from_constructor != NULL);
  content_verify(from_constructor, EARLY_SIZE, 2);
  from_constructor = realloc(from_constructor, 2 * EARLY_SIZE);
  content_verify(from_constructor, EARLY_SIZE, 2);
  free(from_constructor);
}

static void use_allocator(uint64_t seed) {
  static const size_t sizes[] = {10, 200, 5000, 40000, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    void *block = malloc(sizes[i]);
    CHECK(block != NULL);
    content_fill(block, sizes[i], seed);
    block = realloc(block, sizes[i] * 2);
    content_verify(block, sizes[i] & ~(size_t)7, seed);
    free(block);
  }
}

static void at_exit(void) {
  use_allocator(3);
  CHECK_EQ(door_check(), 0);
  CHECK_EQ(write(STDERR_FILENO, "", 0), 0);
}

TEST("functions registered with atexit() can allocate and free") {
  CHECK_EXITS({
    CHECK_EQ(atexit(at_exit), 0);
    use_allocator(4);
    exit(0);
  });
}

/* More keys than one are registered before and after the allocator's own, so that some
 * destructors run later than its own whatever the order is. */
enum { KEYS = 20, THREADS = 50 };
static pthread_key_t keys[KEYS];
static unsigned destroyed;

static void destroy(void *value) {
  void **block = value;
  use_allocator(5);
  content_verify(block, 1000, 6);
  free(block);
  __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
}

/* Sets its value anew until the system gives up: the last rounds run after all other destructors. */
static void destroy_and_return(void *value) {
  free(value);
  void *block = malloc(1000);
  content_fill(block, 1000, 6);
  pthread_setspecific(keys[0], block);
}

static void *use_keys(void *unused) {
  (void)unused;
  for (size_t i = 1; i < KEYS; i++) {
    void *block = malloc(1000);
    content_fill(block, 1000, 6);
    pthread_setspecific(keys[i], block);
  }
  pthread_setspecific(keys[0], malloc(8));
  return NULL;
}

TEST("destructors of thread-specific data can allocate and free, however late they run") {
  CHECK_EQ(pthread_key_create(&keys[0], destroy_and_return), 0);
  for (size_t i = 1; i < KEYS; i++) {
    if (i == KEYS / 2) free(malloc(1));
    CHECK_EQ(pthread_key_create(&keys[i], destroy), 0);
  }
  for (size_t i = 0; i < THREADS; i++) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, use_keys, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  CHECK_EQ(destroyed, (KEYS - 1) * THREADS);
}
