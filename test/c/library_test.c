/* library_test.c: libraries that come and go: their constructors, destructors, atexit functions and thread-local
 * objects allocate; one may even have a C library of its own. Not for the static door, whose names they do not use. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* TEST_LIBRARY, beside this program. */
static const char *library_path(void) {
  static char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 100);
  CHECK_GE(length, 1);
  path[length] = '\0';
  strcpy(strrchr(path, '/') + 1, TEST_LIBRARY);
  return path;
}

struct library {
  void *handle;
  void (*attach)(int *counter);
  void (*enroll)(void);
  size_t (*use_thread)(void);
  void *(*block)(size_t size, int byte);
  void (*release)(void *block);
};

static void find(void *handle, const char *name, void *function) {
  void *found = dlsym(handle, name);
  CHECK(found != NULL);
  memcpy(function, &found, sizeof found);
}

static struct library bind_library(void *handle) {
  struct library library = {.handle = handle};
  if (handle == NULL) harness_fail(__FILE__, __LINE__, "%s", dlerror());
  find(handle, "library_attach", &library.attach);
  find(handle, "library_register", &library.enroll);
  find(handle, "library_use_thread", &library.use_thread);
  find(handle, "library_block", &library.block);
  find(handle, "library_free", &library.release);
  return library;
}

static struct library load(void) { return bind_library(dlopen(library_path(), RTLD_NOW | RTLD_LOCAL)); }

static void expect_filled(const unsigned char *block, size_t size, int byte) {
  for (size_t i = 0; i < size; i++)
    if (block[i] != byte) harness_fail(__FILE__, __LINE__, "byte %zu is %d, expected %d", i, block[i], byte);
}

static struct library loaded;

static void *use_in_thread(void *unused) {
  CHECK_EQ(loaded.use_thread(), 3000);
  return unused;
}

enum { ROUNDS = 30, BLOCKS = 200 };

TEST("constructors, atexit functions, thread-local objects and destructors of a library allocate, load after load") {
  for (unsigned round = 0; round < ROUNDS; round++) {
    int count = 0;
    pthread_t thread;
    loaded = load();
    loaded.attach(&count);
    loaded.enroll();
    CHECK_EQ(pthread_create(&thread, NULL, use_in_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(count, 1);
    CHECK_EQ(dlclose(loaded.handle), 0);
    /* A C library may keep it until the process ends. */
    if (dlopen(library_path(), RTLD_NOW | RTLD_NOLOAD) == NULL) CHECK_EQ(count, 3);
  }
}

TEST("blocks of a library stay valid after it was unloaded, and the program can resize and free them") {
  static unsigned char *blocks[BLOCKS];
  for (unsigned round = 0; round < ROUNDS; round++) {
    struct library library = load();
    for (size_t i = 0; i < BLOCKS; i++) blocks[i] = library.block(i * i, (int)i);
    void *ours = malloc(1000);
    library.release(ours);
    CHECK_EQ(dlclose(library.handle), 0);
    for (size_t i = 0; i < BLOCKS; i++) {
      expect_filled(blocks[i], i * i, (int)i);
      blocks[i] = realloc(blocks[i], i * i * 2 + 1);
      expect_filled(blocks[i], i * i, (int)i);
      free(blocks[i]);
    }
  }
}

/* Both allocators grow by the break, and neither knows of the other. */
TEST_IF(NEEDS_NATIVE, "a library with a C library and a malloc of its own lives beside the program's") {
  static unsigned char *theirs[BLOCKS], *ours[BLOCKS];
  struct library library = bind_library(dlmopen(LM_ID_NEWLM, library_path(), RTLD_NOW | RTLD_LOCAL));
  for (unsigned round = 0; round < 10; round++) {
    for (size_t i = 0; i < BLOCKS; i++) {
      theirs[i] = library.block(i * 300, (int)i);
      CHECK(theirs[i] != NULL);
      content_fill(ours[i] = malloc(i * 500), i * 500, i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
      expect_filled(theirs[i], i * 300, (int)i);
      content_verify(ours[i], i * 500, i);
      library.release(theirs[i]);
      free(ours[i]);
    }
    malloc_trim(0);
  }
}
