/* lock.h: a mutex of one word, for critical sections of a few dozen instructions.
 *
 * pthread's may allocate, or call back into a program that replaced it; this needs
 * nothing but the kernel's futex and is ready without initialisation. */
#ifndef BM_LOCK_H
#define BM_LOCK_H

#include "config.h"

#include <stdint.h>

/* What a lock's word consists of; 0 is a lock that nobody holds. */
#define LOCK_AWAITED 0x80000000u /* somebody sleeps until it is released */
#define LOCK_FORKING 0x40000000u /* held for a fork */
#define LOCK_HOLDER 0x3fffffffu  /* lock_self() of the thread that holds it; the kernel's numbers are smaller */

struct lock {
  uint32_t word; /* see above, and lock.c */
};

/* The calling thread's number in the words of locks, 0 until it needs one; the thread's own. */
extern HIDDEN __thread uint32_t lock_number __attribute__((tls_model("initial-exec")));

/* Ask the kernel for the calling thread's number anew: it is another one in a forked child. Returns it. */
uint32_t lock_renew(void);
void lock_wait(struct lock *lock);
void lock_release_slowly(struct lock *lock);

/* Whoever slept for the lock finds it marked as awaited, whether or not others sleep: take the mark off, for those to put it on again.
 * Requires the caller to hold the lock. */
void lock_unmark(struct lock *lock);

/* Hold the lock across a fork: until lock_after_fork(), in the parent and in the child, the calling thread
 * may acquire it as if it were free. */
void lock_before_fork(struct lock *lock);
/* The same, unless the lock cannot be had within some milliseconds. */
void lock_try_before_fork(struct lock *lock);
/* Release the lock, if it was held for the fork. */
void lock_after_fork(struct lock *lock);
/* In the child, before lock_after_fork(): the only thread there was number `old`, and has a new one. What it
 * holds it still holds; what others held is free. */
void lock_inherit(struct lock *lock, uint32_t old);

static inline uint32_t lock_self(void) { return LIKELY(lock_number != 0) ? lock_number : lock_renew(); }

/* 1 if the calling thread holds the lock. */
static inline int lock_is_mine(const struct lock *lock) {
  return (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & LOCK_HOLDER) == lock_self();
}

/* 1 if the lock is held for a fork, by whoever: it may be long until it is released. */
static inline int lock_is_forking(const struct lock *lock) {
  return (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & LOCK_FORKING) != 0;
}

/* Returns 1 with the lock held, or 0. */
static inline int lock_try(struct lock *lock) {
  uint32_t word = 0;
  /* acquire: pairs with the release in lock_release(); seq_cst, also where it fails, for orphan_drain(). */
  return __atomic_compare_exchange_n(&lock->word, &word, lock_self(), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* 1 if somebody sleeps until the lock, which the caller holds, is released; or did when the caller got it, see lock_unmark(). */
static inline int lock_is_awaited(const struct lock *lock) {
  return (__atomic_load_n(&lock->word, __ATOMIC_RELAXED) & LOCK_AWAITED) != 0;
}

static inline void lock_acquire(struct lock *lock) {
  if (UNLIKELY(!lock_try(lock))) lock_wait(lock);
}

static inline void lock_release(struct lock *lock) {
  uint32_t word = lock_self();
  /* release: whoever acquires the lock next sees everything written under it; seq_cst for orphan_drain(). */
  if (UNLIKELY(!__atomic_compare_exchange_n(&lock->word, &word, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)))
    lock_release_slowly(lock);
}

#endif
