/* lock.h: a mutex of one word, for critical sections of a few dozen instructions.
 *
 * pthread's may allocate, or call back into a program that replaced it; this needs
 * nothing but the kernel's futex and is ready without initialisation. */
#ifndef BM_LOCK_H
#define BM_LOCK_H

#include "config.h"

#include <stdint.h>

enum { LOCK_FREE = 0, LOCK_HELD = 1, LOCK_AWAITED = 2, LOCK_FORKING = 3 };

struct lock {
  uint32_t word; /* one of the above; see lock.c */
};

void lock_wait(struct lock *lock);
void lock_release_slowly(struct lock *lock);
/* Hold the lock across a fork: until the second call, in the parent and in the child, the calling thread
 * may acquire it as if it were free. */
void lock_before_fork(struct lock *lock);
void lock_after_fork(struct lock *lock);

/* Returns 1 with the lock held, or 0. */
static inline int lock_try(struct lock *lock) {
  uint32_t word = LOCK_FREE;
  /* acquire: pairs with the release in lock_release(); seq_cst, also where it fails, for orphan_drain(). */
  return __atomic_compare_exchange_n(&lock->word, &word, LOCK_HELD, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* 1 if somebody sleeps until the lock, which the caller holds, is released. */
static inline int lock_is_awaited(const struct lock *lock) {
  return __atomic_load_n(&lock->word, __ATOMIC_RELAXED) == LOCK_AWAITED;
}

static inline void lock_acquire(struct lock *lock) {
  if (UNLIKELY(!lock_try(lock))) lock_wait(lock);
}

static inline void lock_release(struct lock *lock) {
  uint32_t word = LOCK_HELD;
  /* release: whoever acquires the lock next sees everything written under it; seq_cst for orphan_drain(). */
  if (UNLIKELY(!__atomic_compare_exchange_n(&lock->word, &word, LOCK_FREE, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)))
    lock_release_slowly(lock);
}

#endif
