/* preinit_test.c: a program whose first call comes before libc itself is initialised; see CMakeLists.txt. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <stdlib.h>
#include <unistd.h>

enum { EARLY_SIZE = 5000 };

static void *early;

static void allocate(void) { content_fill(early = malloc(EARLY_SIZE), EARLY_SIZE, 1); }

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = allocate;

TEST("a block allocated before every constructor holds until main() and can be resized and freed") {
  content_verify(early, EARLY_SIZE, 1);
  early = realloc(early, 2 * EARLY_SIZE);
  content_verify(early, EARLY_SIZE, 1);
  free(early);
}

#ifdef DOOR_STATIC
TEST("the environment decides the options though the first call comes before it is known") {
  const char *delay = getenv("BUDDYMALLOC_PURGE_DELAY");
  CHECK(delay == NULL || bm_option_get(BM_OPT_PURGE_DELAY) == atoi(delay));
}
#endif
