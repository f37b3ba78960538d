/* lock.h: a mutex of one word, for critical sections of a few dozen instructions.
 *
 * pthread's may allocate, or call back into a program that replaced it; this needs
 * nothing but the kernel's futex and is ready without initialisation. */
#ifndef BM_LOCK_H
#define BM_LOCK_H

#include "config.h"

#include <stdint.h>

struct lock {
  uint32_t word; /* 0 free, 1 held, 2 held and somebody sleeps */
};

void lock_wait(struct lock *lock);
void lock_wake(struct lock *lock);

static inline void lock_acquire(struct lock *lock) {
  uint32_t free = 0;
  /* acquire: pairs with the release in lock_release(). */
  if (UNLIKELY(!__atomic_compare_exchange_n(&lock->word, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
    lock_wait(lock);
}

/* Returns 1 with the lock held, or 0. */
static inline int lock_try(struct lock *lock) {
  uint32_t free = 0;
  return __atomic_compare_exchange_n(&lock->word, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void lock_release(struct lock *lock) {
  /* release: whoever acquires the lock next sees everything written under it. */
  if (UNLIKELY(__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2)) lock_wake(lock);
}

#endif
