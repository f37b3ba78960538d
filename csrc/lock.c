/* lock.c: the slow halves of a lock: sleeping, waking, and what a fork needs.
 *
 * The word names the thread that holds the lock, so that a fork can tell what it holds itself: a signal
 * handler that interrupted the allocator may fork. LOCK_FORKING is for the thread that forks, which holds all
 * locks meanwhile: handlers of other libraries that run then may allocate, so that thread passes. */
#define _GNU_SOURCE
#include "lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Tries before sleeping: about as long as the longest critical section without a system call. */
#define SPINS 100
/* Tries of lock_try_before_fork(), and the time between two of them. */
#define FORK_TRIES 100
#define FORK_TRY_NS 100000

__thread uint32_t lock_number __attribute__((tls_model("initial-exec")));

COLD uint32_t lock_renew(void) { return lock_number = (uint32_t)syscall(SYS_gettid) & LOCK_HOLDER; }

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int replace(struct lock *lock, uint32_t old, uint32_t new) {
  /* acquire: pairs with the releases in lock_release() and lock_after_fork(). Nobody gives up after it, so it
   * need not be seq_cst as lock_try() is. */
  return __atomic_compare_exchange_n(&lock->word, &old, new, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static uint32_t word_of(const struct lock *lock) { return __atomic_load_n(&lock->word, __ATOMIC_RELAXED); }

static int is_held_for_my_fork(const struct lock *lock) { return word_of(lock) == (lock_self() | LOCK_FORKING); }

COLD void lock_wait(struct lock *lock) {
  if (is_held_for_my_fork(lock)) return;
  for (int spin = 0; spin < SPINS; spin++) {
    if (word_of(lock) == 0 && lock_try(lock)) return;
    pause_cpu();
  }
  int saved_errno = errno;
  for (;;) {
    uint32_t word = word_of(lock);
    if (word == 0) {
      if (replace(lock, 0, lock_self() | LOCK_AWAITED)) break;
      continue;
    }
    /* lock_after_fork() wakes everybody, so that LOCK_FORKING needs no mark. */
    if ((word & (LOCK_AWAITED | LOCK_FORKING)) == 0) {
      if (!replace(lock, word, word | LOCK_AWAITED)) continue;
      word |= LOCK_AWAITED;
    }
    syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, word, NULL, NULL, 0);
  }
  errno = saved_errno;
}

static void wake(struct lock *lock, int count) {
  int saved_errno = errno;
  syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
  errno = saved_errno;
}

COLD void lock_release_slowly(struct lock *lock) {
  if (word_of(lock) & LOCK_FORKING) return; /* passed, not acquired */
  /* seq_cst: as in lock_release(). */
  __atomic_store_n(&lock->word, 0, __ATOMIC_SEQ_CST);
  wake(lock, 1);
}

void lock_unmark(struct lock *lock) {
  /* The others are woken one after another: each marks the lock anew before it sleeps again, and wakes the next when it releases it. */
  if (replace(lock, lock_self() | LOCK_AWAITED, lock_self())) wake(lock, 1);
}

/* Requires the lock to be held by the caller. */
static void mark_forking(struct lock *lock) {
  __atomic_store_n(&lock->word, lock_self() | LOCK_FORKING, __ATOMIC_RELAXED);
}

void lock_before_fork(struct lock *lock) {
  lock_acquire(lock);
  mark_forking(lock);
}

COLD void lock_try_before_fork(struct lock *lock) {
  const struct timespec pause = {0, FORK_TRY_NS};
  int saved_errno = errno, taken = 0;
  for (int tries = 0; tries < FORK_TRIES && !(taken = lock_try(lock)); tries++) syscall(SYS_nanosleep, &pause, NULL);
  errno = saved_errno;
  if (taken) mark_forking(lock);
}

void lock_after_fork(struct lock *lock) {
  if (!is_held_for_my_fork(lock)) return;
  /* seq_cst: as in lock_release(). */
  __atomic_store_n(&lock->word, 0, __ATOMIC_SEQ_CST);
  wake(lock, INT_MAX);
}

void lock_inherit(struct lock *lock, uint32_t old) {
  uint32_t word = word_of(lock);
  int is_mine = (word & LOCK_HOLDER) == old;
  /* Nobody waits in the child, whatever LOCK_AWAITED said in the parent. */
  __atomic_store_n(&lock->word, is_mine ? lock_self() | (word & LOCK_FORKING) : 0, __ATOMIC_RELAXED);
}
