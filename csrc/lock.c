/* lock.c: the slow halves of a lock: sleeping, waking, and what a fork needs.
 *
 * `word`: LOCK_FREE, LOCK_HELD, LOCK_AWAITED (held, and somebody sleeps), LOCK_FORKING. The last is for the
 * thread that forks, which holds all locks meanwhile: handlers of other libraries that run then may
 * allocate, so that thread passes. */
#define _GNU_SOURCE
#include "lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Tries before sleeping: about as long as the longest critical section without a system call. */
#define SPINS 100

static __thread uint8_t forking __attribute__((tls_model("initial-exec")));

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

COLD void lock_wait(struct lock *lock) {
  if (forking && __atomic_load_n(&lock->word, __ATOMIC_RELAXED) == LOCK_FORKING) return;
  for (int spin = 0; spin < SPINS; spin++) {
    if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == LOCK_FREE && lock_try(lock)) return;
    pause_cpu();
  }
  int saved_errno = errno;
  for (;;) {
    uint32_t word = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
    if (word == LOCK_FREE && replace(lock, LOCK_FREE, LOCK_AWAITED)) break;
    if (word == LOCK_HELD && replace(lock, LOCK_HELD, LOCK_AWAITED)) word = LOCK_AWAITED;
    if (word == LOCK_AWAITED || word == LOCK_FORKING) syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, word, NULL, NULL, 0);
  }
  errno = saved_errno;
}

static void wake(struct lock *lock, int count) {
  int saved_errno = errno;
  syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
  errno = saved_errno;
}

COLD void lock_release_slowly(struct lock *lock) {
  if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == LOCK_FORKING) return; /* passed, not acquired */
  /* seq_cst: as in lock_release(). */
  __atomic_store_n(&lock->word, LOCK_FREE, __ATOMIC_SEQ_CST);
  wake(lock, 1);
}

void lock_before_fork(struct lock *lock) {
  lock_acquire(lock);
  forking = 1;
  __atomic_store_n(&lock->word, LOCK_FORKING, __ATOMIC_RELAXED);
}

void lock_after_fork(struct lock *lock) {
  forking = 0;
  /* seq_cst: as in lock_release(). */
  __atomic_store_n(&lock->word, LOCK_FREE, __ATOMIC_SEQ_CST);
  wake(lock, INT_MAX);
}
