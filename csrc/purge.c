/* purge.c: when free memory goes back.
 *
 * Memory that was left alone for options.purge_delay is purged: free slots, the free pages of
 * orphans, cached huge mappings. Busy threads look at the clock on their slow paths. A program
 * that frees much and then sleeps has no slow path, so a thread is started once there is much to
 * purge; it goes when nothing is left.
 *
 * Owner:     `last_tick` and `running` are atomics on their own; nothing else is kept here.
 * Invariant: G1  at most one background thread exists; it holds no lock while it sleeps, has all
 *                signals blocked, and never allocates. */
#define _GNU_SOURCE
#include "purge.h"

#include "arena.h"
#include "chunk.h"
#include "huge.h"
#include "large.h"
#include "lock.h"
#include "options.h"
#include "orphan.h"
#include "os.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define TICK_MS 100u
/* Stack of the background thread, above what the C library demands: it calls madvise. */
#define STACK_BYTES ((size_t)64 << 10)
/* Rounds that the background thread waits for more once nothing is left. */
#define LAST_ROUNDS 2

static struct lock purge_lock; /* held while purging */
static uint32_t last_tick;
static uint32_t running;
static uint32_t refused_until; /* ms; a thread could not be started */

static size_t purgeable(void) {
  /* relaxed: an estimate. */
  return __atomic_load_n(&heap.dirty_bytes, __ATOMIC_RELAXED) + orphan_purgeable() + huge_cached_bytes();
}

/* What arenas have kept since the last look goes back to the heap, to be purged in its turn. */
static void drop_kept(uint32_t delay) {
  for (struct arena *arena = __atomic_load_n(&arenas.all, __ATOMIC_ACQUIRE); arena != NULL; arena = arena->next) {
    struct slot *kept = __atomic_load_n(&arena->kept, __ATOMIC_RELAXED);
    if (kept != NULL && (delay == 0 || kept == arena->kept_seen)) large_drop_kept(arena);
    arena->kept_seen = kept;
  }
}

size_t purge_run(uint32_t now, uint32_t delay) {
  lock_acquire(&purge_lock);
  drop_kept(delay);
  size_t purged = chunk_purge(now, delay) + orphan_purge(now, delay) + huge_decay(now, delay);
  lock_release(&purge_lock);
  return purged;
}

void purge_pause(void) { lock_acquire(&purge_lock); }
void purge_resume(void) { lock_release(&purge_lock); }

void purge_tick(uint32_t now) {
  uint32_t last = __atomic_load_n(&last_tick, __ATOMIC_RELAXED);
  if (now - last < TICK_MS || options.purge_delay < 0) return;
  if (!__atomic_compare_exchange_n(&last_tick, &last, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return;
  if (__atomic_load_n(&running, __ATOMIC_RELAXED) == 0 && purgeable() > 0) purge_run(now, (uint32_t)options.purge_delay);
}

static void sleep_ms(uint32_t ms) {
  struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&time, NULL);
}

static void *background(void *unused) {
  (void)unused;
  for (int idle_rounds = 0; idle_rounds < LAST_ROUNDS; idle_rounds++) {
    int delay = options.purge_delay;
    if (delay < 0) break;
    sleep_ms((uint32_t)delay / 2 + 1);
    purge_run(os_now_ms(), (uint32_t)delay);
    if (purgeable() > 0) idle_rounds = -1;
  }
  /* release: the next thread to be started sees all that this one did. */
  __atomic_store_n(&running, 0, __ATOMIC_RELEASE);
  return NULL;
}

static int start_thread(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  if (pthread_attr_init(&attributes) != 0) return 0;
  pthread_attr_setstacksize(&attributes, STACK_BYTES + (size_t)PTHREAD_STACK_MIN);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&thread, &attributes, background, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return !failed;
}

void purge_notice(void) {
  if (LIKELY(purgeable() < BACKGROUND_THRESHOLD) || !options.background || options.purge_delay < 0) return;
  uint32_t none = 0;
  if (__atomic_load_n(&running, __ATOMIC_RELAXED) != 0) return;
  uint32_t now = os_now_ms();
  if ((int32_t)(now - __atomic_load_n(&refused_until, __ATOMIC_RELAXED)) < 0) return;
  /* acquire: pairs with the release in background(). */
  if (!__atomic_compare_exchange_n(&running, &none, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  int saved_errno = errno;
  if (!start_thread()) {
    __atomic_store_n(&refused_until, now + 1000, __ATOMIC_RELAXED);
    __atomic_store_n(&running, 0, __ATOMIC_RELEASE);
  }
  errno = saved_errno;
}

void purge_after_fork(void) {
  purge_lock.word = 0;
  __atomic_store_n(&running, 0, __ATOMIC_RELAXED);
}
