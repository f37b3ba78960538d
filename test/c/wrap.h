/* wrap.h: makes the system calls of the static library fail, at the k-th use.
 *
 * The linker's --wrap leads the library's calls here, so the objects under test are those that
 * are shipped. */
#ifndef TEST_C_WRAP_H
#define TEST_C_WRAP_H

#include <stddef.h>
#include <stdint.h>

enum wrapped_call {
  WRAPPED_SBRK = 1,
  WRAPPED_MMAP = 2,
  WRAPPED_MUNMAP = 4,
  WRAPPED_MREMAP = 8,
  WRAPPED_MADVISE = 16,
  WRAPPED_KEY = 32,    /* pthread_key_create, pthread_setspecific */
  WRAPPED_CLONE = 64,  /* clone(), for the thread that purges */
  WRAPPED_MPROTECT = 128,
  WRAPPED_MEMBARRIER = 256,
  WRAPPED_MINCORE = 512,
  WRAPPED_ALL = 1023
};

/* From now on count the calls of these kinds, and let those from number `from` on (counted
 * from 1; 0 for none) fail, `count` of them. The environment variables TEST_FAIL_CALLS and
 * TEST_FAIL_FROM do the same from the start of the program, for all that follow. */
void wrap_arm(unsigned calls, unsigned long from, unsigned long count);
/* Let every call through again; returns how many calls were counted. */
unsigned long wrap_disarm(void);

/* Called before each call of these kinds (of sbrk, those that move the break). NULL for none. */
void wrap_disturb(unsigned calls, void (*disturb)(void));
/* Bytes added to the break by the real sbrk(). */
void *wrap_real_sbrk(intptr_t bytes);

#endif
