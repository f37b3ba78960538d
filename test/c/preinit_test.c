/* preinit_test.c: a program whose first call comes before libc itself is initialised; see CMakeLists.txt. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EARLY_SIZE = 5000 };

static void *early;

/* More than is in stock of any class. */
static void allocate_in_handler(void) {
  void *blocks[100];
  for (size_t size = 8; size < 3000000; size = size * 3 / 2) {
    for (size_t i = 0; i < 100 && size * i < 10000000; i++) blocks[i] = malloc(size);
    for (size_t i = 0; i < 100 && size * i < 10000000; i++) free(blocks[i]);
  }
}

static void allocate(void) {
  pthread_atfork(allocate_in_handler, allocate_in_handler, allocate_in_handler);
  content_fill(early = malloc(EARLY_SIZE), EARLY_SIZE, 1);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = allocate;

TEST("a block allocated before every constructor holds until main() and can be resized and freed") {
  content_verify(early, EARLY_SIZE, 1);
  early = realloc(early, 2 * EARLY_SIZE);
  content_verify(early, EARLY_SIZE, 1);
  free(early);
}

TEST("handlers of fork() that were registered before the first allocation may allocate") {
  pid_t child = fork();
  if (child == 0) _exit(0);
  int status = -1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
}

#ifdef DOOR_STATIC
TEST("the environment decides the options though the first call comes before it is known") {
  const char *delay = getenv("BUDDYMALLOC_PURGE_DELAY");
  CHECK(delay == NULL || bm_option_get(BM_OPT_PURGE_DELAY) == atoi(delay));
}
#endif
