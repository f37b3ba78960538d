/* free_test.c: free(), free_sized() and free_aligned_sized(). */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wfree-nonheap-object"
#endif

static const size_t sizes[] = {0,     1,     24,     200,     1000,    1500,    5000,
                               20000, 40000, 100000, 1000000, 3000000, 20000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

TEST("free(NULL) does nothing") {
  free(NULL);
  errno = ERANGE;
  free(NULL);
  CHECK_EQ(errno, ERANGE);
}

TEST("free() leaves errno alone, whatever the size of the block") {
  for (size_t i = 0; i < SIZES; i++) {
    void *block = malloc(sizes[i]);
    errno = E2BIG;
    free(block);
    CHECK_EQ(errno, E2BIG);
  }
}

static void *free_in_thread(void *block) {
  free(block);
  return NULL;
}

TEST("free() of a block from another thread leaves its neighbours as they were") {
  for (size_t i = 0; i < SIZES; i++) {
    void *before = malloc(sizes[i]);
    void *block = malloc(sizes[i]);
    void *after = malloc(sizes[i]);
    content_fill(before, sizes[i], 1);
    content_fill(after, sizes[i], 2);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, free_in_thread, block), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    content_verify(before, sizes[i], 1);
    content_verify(after, sizes[i], 2);
    free(before);
    free(after);
  }
}

static void *free_batch_in_thread(void *argument) {
  void **blocks = argument;
  for (; *blocks != NULL; blocks++) free(*blocks);
  return NULL;
}

TEST_OURS("blocks freed by a thread that does not own them can be handed out again") {
  enum { COUNT = 2000, ROUNDS = 30 };
  static void *blocks[COUNT + 1];
  struct bm_stats first;
  struct bm_stats last;
  for (unsigned round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < COUNT; i++) blocks[i] = malloc(1000);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, free_batch_in_thread, blocks), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    if (round == 1) door_stats(&first);
  }
  door_stats(&last);
  CHECK_EQ(last.heap_bytes, first.heap_bytes);
}

static void free_in_order(unsigned order) {
  enum { COUNT = 3000 };
  static void *blocks[COUNT];
  uint64_t state = 99;
  for (size_t i = 0; i < COUNT; i++) {
    size_t size = random_size(&state, 100000);
    CHECK((blocks[i] = malloc(size)) != NULL);
  }
  for (size_t i = 0; i < COUNT; i++) {
    size_t at = order == 0 ? i : order == 1 ? COUNT - 1 - i : i * 1009 % COUNT;
    free(blocks[at]);
  }
}

TEST("blocks can be freed in the order of allocation") { free_in_order(0); }
TEST("blocks can be freed in the opposite order") { free_in_order(1); }
TEST("blocks can be freed in a scattered order") { free_in_order(2); }

TEST_OURS("free_sized() accepts the size that was asked for, for every way to allocate") {
  struct size_steps steps = {0};
  for (size_t size; size_steps_next(&steps, &size);) {
    door_free_sized(malloc(size), size);
    door_free_sized(calloc(1, size), size);
    if (size != 0) door_free_sized(realloc(malloc(100), size), size);
  }
  door_free_sized(NULL, 100);
}

TEST_OURS("free_sized() accepts the size of the last realloc(), wherever it left the block") {
  static const size_t lengths[] = {1, 20, 100, 1000, 5000, 30000, 40000, 100000, 1000000, 2097152, 3000000, 9000000};
  enum { LENGTHS = sizeof lengths / sizeof lengths[0] };
  for (size_t from = 0; from < LENGTHS; from++)
    for (size_t to = 0; to < LENGTHS; to++)
      for (size_t less = 0; less < lengths[to]; less = less * 2 + lengths[to] / 16 + 1)
        door_free_sized(realloc(malloc(lengths[from]), lengths[to] - less), lengths[to] - less);
}

TEST_OURS("free_aligned_sized() accepts the alignment and size that were asked for") {
  struct size_steps steps = {0};
  for (size_t size; size_steps_next(&steps, &size);)
    for (size_t alignment = 1; alignment <= 65536; alignment *= 16)
      door_free_aligned_sized(aligned_alloc(alignment, size), alignment, size);
  door_free_aligned_sized(NULL, 64, 100);
}

/* C++'s new asks for one byte at least, and some for a multiple of the alignment. */
TEST_OURS("bm_delete_sized() and bm_delete_aligned_sized() accept the size that new was given") {
  struct size_steps steps = {0};
  for (size_t size; size_steps_next(&steps, &size);) {
    size_t least = size == 0 ? 1 : size;
    door_delete_sized(malloc(least), size);
    for (size_t alignment = 1; alignment <= 65536; alignment *= 16) {
      size_t rounded = (least + alignment - 1) / alignment * alignment;
      door_delete_aligned_sized(aligned_alloc(alignment, least), alignment, size);
      door_delete_aligned_sized(aligned_alloc(alignment, rounded), alignment, size);
    }
  }
  door_delete_sized(NULL, 100);
  door_delete_aligned_sized(NULL, 64, 100);
}
