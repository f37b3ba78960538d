/* door.c: finds the functions that only buddymalloc has; see door.h. */
#include "door.h"

#include "harness.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#ifdef DOOR_STATIC

static int is_ours(void) { return 1; }
int door_check(void) { return bm_check(); }
void door_flush(void) { bm_thread_flush(); }
void door_stats(struct bm_stats *out) { bm_stats(out); }
void door_free_sized(void *block, size_t size) { bm_free_sized(block, size); }
void door_free_aligned_sized(void *block, size_t alignment, size_t size) {
  bm_free_aligned_sized(block, alignment, size);
}
void door_delete_sized(void *block, size_t size) { bm_delete_sized(block, size); }
void door_delete_aligned_sized(void *block, size_t alignment, size_t size) {
  bm_delete_aligned_sized(block, alignment, size);
}

#else

/* ISO C has no cast from dlsym()'s object pointer to a function pointer; POSIX
 * guarantees that the representation is the same. */
#define FIND(function, name)                      \
  do {                                            \
    void *found = dlsym(RTLD_DEFAULT, name);      \
    memcpy(&(function), &found, sizeof found);    \
  } while (0)

static int is_ours(void) { return dlsym(RTLD_DEFAULT, "bm_check") != NULL; }

int door_check(void) {
  int (*check)(void);
  FIND(check, "bm_check");
  return check != NULL ? check() : 0;
}

void door_flush(void) {
  void (*flush)(void);
  FIND(flush, "bm_thread_flush");
  if (flush != NULL) flush();
}

void door_stats(struct bm_stats *out) {
  void (*stats)(struct bm_stats *);
  FIND(stats, "bm_stats");
  memset(out, 0, sizeof *out);
  if (stats != NULL) stats(out);
}

/* The tests that call these run on buddymalloc only. */
void door_free_sized(void *block, size_t size) {
  void (*free_sized)(void *, size_t);
  FIND(free_sized, "free_sized");
  free_sized(block, size);
}

void door_free_aligned_sized(void *block, size_t alignment, size_t size) {
  void (*free_aligned_sized)(void *, size_t, size_t);
  FIND(free_aligned_sized, "free_aligned_sized");
  free_aligned_sized(block, alignment, size);
}

void door_delete_sized(void *block, size_t size) {
  void (*delete_sized)(void *, size_t);
  FIND(delete_sized, "bm_delete_sized");
  delete_sized(block, size);
}

void door_delete_aligned_sized(void *block, size_t alignment, size_t size) {
  void (*delete_aligned_sized)(void *, size_t, size_t);
  FIND(delete_aligned_sized, "bm_delete_aligned_sized");
  delete_aligned_sized(block, alignment, size);
}

#endif

/* Preloaded, by its name: nothing must be allocated here. */
static int is_hardened(void) {
#if defined(BM_HARDENED) && BM_HARDENED
  return 1;
#endif
  const char *preloaded = getenv("LD_PRELOAD");
  return preloaded != NULL && strstr(preloaded, "-hardened") != NULL;
}

unsigned door_offers(void) {
  unsigned offers = 0;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (getenv("TEST_INSTRUMENTED") == NULL) offers |= NEEDS_NATIVE;
#endif
  if (!is_ours()) return offers;
  offers |= NEEDS_OURS;
  int hardened = is_hardened();
  if (!hardened) offers |= NEEDS_SIZES;
#if !defined(BM_UNCHECKED) || !BM_UNCHECKED
  offers |= NEEDS_EXACT;
#endif
#if defined(BM_PLAIN_BUDDY) && BM_PLAIN_BUDDY
  offers |= NEEDS_PLAIN;
#else
  if (!hardened) offers |= NEEDS_EIGHTHS;
#endif
  return offers;
}
