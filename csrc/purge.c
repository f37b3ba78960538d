/* purge.c: when free memory goes back.
 *
 * Memory that was left alone for options.purge_delay is purged: free slots, the free pages of
 * orphans, cached huge mappings. Busy threads look at the clock on their slow paths. A program
 * that frees much and then sleeps has no slow path, so a thread is started once there is much to
 * purge; it goes when nothing is left.
 *
 * free() is called with the C library's own locks held (it frees stacks under the lock that
 * pthread_create() takes), so the thread is made by clone() itself. The C library does not know of it: it
 * stays as fast for programs of one thread as it was, and the thread may use nothing of it but
 * bare system calls, and of those none that looks at credentials (confine.c). Its thread-local storage is a block of
 * zeros of its own. A fork, and whoever else must be the only thread, ends it first.
 *
 * Owner:     the atomics below, each on its own; purge_lock is held while purging.
 * Invariant: G1  at most one background thread exists; it holds no lock while it sleeps, has all
 *                signals blocked, and never allocates. */
#define _GNU_SOURCE
#include "purge.h"

#include "arena.h"
#include "chunk.h"
#include "client.h"
#include "confine.h"
#include "huge.h"
#include "large.h"
#include "lock.h"
#include "options.h"
#include "orphan.h"
#include "os.h"
#include "park.h"
#include "remote.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 50u
/* The background thread's stack, of which it uses a few KiB, and the room around its thread pointer. */
#define STACK_BYTES ((size_t)32 << 10)
#define STORAGE_BYTES ((ptrdiff_t)512 << 10)
/* Rounds that the background thread waits for more once nothing is left. */
#define LAST_ROUNDS 2
/* Rounds in which the system gives nothing back, all due, before it gives up: memory may be locked. */
#define FRUITLESS_ROUNDS 20
/* Between two looks whether it has ended; looks. */
#define STOP_TRY_MS 10u
#define STOP_TRIES 100
/* The same once it has left the memory, until the kernel has forgotten it. */
#define FORGET_TRY_NS 20000
#define FORGET_TRIES 1000

struct lock purge_lock;
const struct purge_client *purge_client;
static uint32_t last_tick;
static uint32_t running; /* 1 while the background thread exists; the kernel clears it */
static uint32_t refused; /* 1 if it could not be started; purge_tick() tries again */
static uint32_t stopping; /* 1 while somebody waits for its end; what it sleeps on. Written under purge_lock */
static pid_t thread_number; /* of the last one; the kernel writes it when that starts */
/* 1 while the calling thread starts it. */
static __thread uint8_t starting __attribute__((tls_model("initial-exec")));

/* Of what no thread has. */
static size_t unowned_purgeable(void) {
  /* relaxed: an estimate. */
  size_t bytes = __atomic_load_n(&heap.dirty_bytes, __ATOMIC_RELAXED) + orphan_purgeable() + huge_cached_bytes();
  return purge_client == NULL ? bytes : bytes + purge_client->purgeable();
}

static size_t purgeable(void) {
  size_t bytes = unowned_purgeable();
  for (const struct arena *arena = __atomic_load_n(&arenas.all, __ATOMIC_ACQUIRE); arena != NULL; arena = arena->next)
    bytes += park_purgeable(arena) + remote_purgeable(arena);
  return bytes;
}

/* What arenas have kept since the last look goes back to the heap, to be purged in its turn. */
static void drop_kept(uint32_t delay) {
  for (struct arena *arena = __atomic_load_n(&arenas.all, __ATOMIC_ACQUIRE); arena != NULL; arena = arena->next) {
    for (uint32_t i = 0; i < KEPT_SLOTS_MAX; i++) {
      struct slot *kept = __atomic_load_n(&arena->kept[i], __ATOMIC_RELAXED);
      if (kept != NULL && (delay == 0 || kept == arena->kept_seen[i])) large_drop_kept(arena, i + 1);
      arena->kept_seen[i] = kept;
    }
  }
}

static size_t purge_waiting(int at_once) {
  size_t purged = 0;
  for (struct arena *arena = __atomic_load_n(&arenas.all, __ATOMIC_ACQUIRE); arena != NULL && !lock_is_awaited(&purge_lock); arena = arena->next)
    purged += remote_purge(arena, at_once, &purge_lock);
  return purged;
}

/* Requires purge_lock, and need not do all of it if somebody awaits that: a fork, say. */
static size_t purge(uint32_t now, uint32_t delay) {
  drop_kept(delay);
  return chunk_purge(now, delay, SIZE_MAX, &purge_lock) + orphan_purge(now, delay, &purge_lock) + park_sweep(delay == 0, &purge_lock) +
         purge_waiting(delay == 0) + huge_decay(now, delay);
}

size_t purge_run(uint32_t now, uint32_t delay) {
  lock_acquire(&purge_lock);
  lock_unmark(&purge_lock); /* who waited for somebody else's round is not in a hurry to end its own */
  size_t purged = purge(now, delay);
  lock_release(&purge_lock);
  return purged;
}

void purge_for(size_t bytes) {
  /* relaxed: an estimate. */
  if (LIKELY(__atomic_load_n(&heap.dirty_bytes, __ATOMIC_RELAXED) < bytes) || options.purge_delay < 0) return;
  if (!lock_try(&purge_lock)) return; /* somebody purges */
  chunk_purge(os_now_ms(), 0, bytes, &purge_lock);
  lock_release(&purge_lock);
}

void purge_tick(uint32_t now) {
  uint32_t last = __atomic_load_n(&last_tick, __ATOMIC_RELAXED);
  if (now - last < TICK_MS || options.purge_delay < 0) return;
  if (!__atomic_compare_exchange_n(&last_tick, &last, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return;
  __atomic_store_n(&refused, 0, __ATOMIC_RELAXED);
  if (__atomic_load_n(&running, __ATOMIC_RELAXED) == 0 && purgeable() > 0)
    purge_run(now, (uint32_t)options.purge_delay);
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) && !BM_CLIENT
static char *thread_memory; /* its stack and thread-local storage; written by whoever set `running` */

/* Sleep while `*word` is `value`, for so long at most. Not FUTEX_PRIVATE: the kernel's wake at a thread's end is not. */
static void sleep_on(uint32_t *word, uint32_t value, uint32_t ms) {
  struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
  syscall(SYS_futex, word, FUTEX_WAIT, value, &time, NULL, 0);
}

static int background(void *unused) {
  (void)unused;
  arena_mine = &arena_none;
  lock_renew();
  if (!confine_thread()) {
    options.background = 0;
    return 0;
  }
  int fruitless = 0;
  for (int idle_rounds = 0; idle_rounds < LAST_ROUNDS && fruitless < FRUITLESS_ROUNDS; idle_rounds++) {
    int delay = options.purge_delay;
    if (delay < 0) break;
    sleep_on(&stopping, 0, (uint32_t)delay / 3 + 1);
    if (__atomic_load_n(&stopping, __ATOMIC_RELAXED) != 0) break;
    /* Whoever stops this thread holds the lock meanwhile. Who purges need not have seen what was freed since. */
    if (!lock_try(&purge_lock)) {
      idle_rounds = -1;
      continue;
    }
    fruitless = purge(os_now_ms(), (uint32_t)delay) > 0 ? 0 : fruitless + 1;
    lock_release(&purge_lock);
    if (purgeable() > 0) idle_rounds = -1;
  }
  if (fruitless == FRUITLESS_ROUNDS) __atomic_store_n(&refused, 1, __ATOMIC_RELAXED);
  return 0;
}

void purge_stop(void) {
  int saved_errno = errno;
  if (starting) return; /* interrupted by a signal handler that forks */
  __atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
  for (int tries = 0; tries < STOP_TRIES && __atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0; tries++) {
    syscall(SYS_futex, &stopping, FUTEX_WAKE, 1, NULL, NULL, 0);
    sleep_on(&running, 1, STOP_TRY_MS);
  }
  /* The kernel clears `running` before it takes the thread off the process. */
  const struct timespec pause = {0, FORGET_TRY_NS};
  for (int tries = 0; tries < FORGET_TRIES && thread_number != 0; tries++) {
    if (syscall(SYS_tgkill, getpid(), thread_number, 0) != 0)
      thread_number = 0;
    else
      syscall(SYS_nanosleep, &pause, NULL);
  }
  __atomic_store_n(&stopping, 0, __ATOMIC_RELAXED);
  errno = saved_errno;
}

/* The calling thread's pointer to its thread-local storage. */
static char *thread_pointer(void) {
#if defined(__x86_64__)
  char *pointer;
  __asm__("mov %%fs:0, %0" : "=r"(pointer));
  return pointer;
#else
  return __builtin_thread_pointer();
#endif
}

/* A thread pointer into zeroed memory in which the variables that the thread uses (errno and arena_mine)
 * are where the code expects them. Returns NULL if they are further away than there is memory. */
static char *make_storage(char *memory) {
  char *mine = thread_pointer(), *pointer = memory + STORAGE_BYTES / 2;
  ptrdiff_t distances[] = {(char *)&errno - mine, (char *)&arena_mine - mine};
  for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++)
    if (distances[i] > STORAGE_BYTES / 2 - (ptrdiff_t)OS_PAGE || distances[i] < (ptrdiff_t)OS_PAGE - STORAGE_BYTES / 2)
      return NULL;
#if defined(__x86_64__)
  void **words = (void **)(void *)pointer;
  words[0] = pointer; /* where %fs:0 finds it */
  words[2] = pointer; /* and the C library its own data */
#endif
  return pointer;
}

static int start_thread(void) {
  if (os_is_simulated()) return 0; /* the thread gives up system calls that valgrind itself makes in it */
  if (thread_memory == NULL) thread_memory = os_map(STORAGE_BYTES + STACK_BYTES);
  char *storage = thread_memory == NULL ? NULL : make_storage(thread_memory);
  if (storage == NULL) return 0;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
              CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  char *stack = thread_memory + STORAGE_BYTES + STACK_BYTES;
  int failed = clone(background, stack, flags, NULL, &thread_number, storage, &running) < 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return !failed;
}
#else
/* The tools must know of every thread. */
static int start_thread(void) { return 0; }
void purge_stop(void) {}
#endif

void purge_notice(void) { purge_notice_of(0); }

void purge_notice_of(size_t bytes) {
  if (LIKELY(unowned_purgeable() + park_purgeable(arena_mine) + bytes < BACKGROUND_THRESHOLD) || !options.background || options.purge_delay < 0) return;
  uint32_t none = 0;
  if (__atomic_load_n(&running, __ATOMIC_RELAXED) != 0 || __atomic_load_n(&refused, __ATOMIC_RELAXED) != 0) return;
  /* acquire: what the last thread did is seen; the kernel clears `running` when it is gone. */
  if (!__atomic_compare_exchange_n(&running, &none, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  int saved_errno = errno;
  starting = 1;
  if (!start_thread()) {
    __atomic_store_n(&refused, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&running, 0, __ATOMIC_RELEASE);
  }
  starting = 0;
  errno = saved_errno;
}

void purge_after_fork(void) {
  purge_client = NULL; /* its locks may be held by threads that the child does not have */
  /* If this thread forked in the middle of starting one, in a signal handler, it goes on with that in the child. */
  __atomic_store_n(&running, starting, __ATOMIC_RELAXED);
  thread_number = 0;
  __atomic_store_n(&stopping, 0, __ATOMIC_RELAXED);
}
