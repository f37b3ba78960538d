/* lock.c: the two slow halves of a lock: sleeping and waking (Drepper, "Futexes are tricky"). */
#define _GNU_SOURCE
#include "lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Tries before sleeping: about as long as the longest critical section without a system call. */
#define SPINS 100

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

COLD void lock_wait(struct lock *lock) {
  int saved_errno = errno;
  for (int spin = 0; spin < SPINS; spin++) {
    if (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) == 0 && lock_try(lock)) return;
    pause_cpu();
  }
  /* acquire: pairs with the release in lock_release(). */
  while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0)
    syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
  errno = saved_errno;
}

COLD void lock_wake(struct lock *lock) {
  int saved_errno = errno;
  syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  errno = saved_errno;
}
