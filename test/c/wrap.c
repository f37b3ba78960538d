/* wrap.c: see wrap.h. Counters are atomic: any thread makes system calls. */
#include "wrap.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__real_sbrk(intptr_t bytes);
void *__real_sys_mmap(void *address, size_t bytes, int protection, int flags);
int __real_sys_munmap(void *address, size_t bytes);
void *__real_sys_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags);
int __real_sys_madvise(void *address, size_t bytes, int advice);
int __real_sys_mprotect(void *address, size_t bytes, int protection);
int __real_sys_membarrier(int command);
int __real_sys_mincore(void *address, size_t bytes, unsigned char *present);
int __real_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __real_clone(int (*body)(void *), void *stack, int flags, void *argument, ...);

void *__wrap_sbrk(intptr_t bytes);
void *__wrap_sys_mmap(void *address, size_t bytes, int protection, int flags);
int __wrap_sys_munmap(void *address, size_t bytes);
void *__wrap_sys_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags);
int __wrap_sys_madvise(void *address, size_t bytes, int advice);
int __wrap_sys_mprotect(void *address, size_t bytes, int protection);
int __wrap_sys_membarrier(int command);
int __wrap_sys_mincore(void *address, size_t bytes, unsigned char *present);
int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_clone(int (*body)(void *), void *stack, int flags, void *argument, ...);

static unsigned armed_calls;
static unsigned long made, fail_from, fail_count;
static unsigned disturbed_calls;
static void (*disturbance)(void);

static unsigned long from_environment(const char *name) {
  const char *text = getenv(name);
  return text != NULL ? strtoul(text, NULL, 10) : 0;
}

static void read_environment(void) {
  static int done;
  if (done) return;
  done = 1;
  unsigned calls = (unsigned)from_environment("TEST_FAIL_CALLS");
  if (calls != 0) wrap_arm(calls, from_environment("TEST_FAIL_FROM"), ULONG_MAX);
}

static void interrupt(enum wrapped_call call) {
  if ((disturbed_calls & call) != 0 && disturbance != NULL) disturbance();
}

static int fails(enum wrapped_call call) {
  read_environment();
  if ((armed_calls & call) == 0) return 0;
  unsigned long number = __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
  return fail_from != 0 && number >= fail_from && number - fail_from < fail_count;
}

void wrap_arm(unsigned calls, unsigned long from, unsigned long count) {
  made = 0;
  fail_from = from;
  fail_count = count;
  armed_calls = calls;
}

unsigned long wrap_disarm(void) {
  armed_calls = 0;
  return made;
}

void wrap_disturb(unsigned calls, void (*disturb)(void)) {
  disturbed_calls = calls;
  disturbance = disturb;
}

void *wrap_real_sbrk(intptr_t bytes) { return __real_sbrk(bytes); }

void *__wrap_sbrk(intptr_t bytes) {
  if (fails(WRAPPED_SBRK)) {
    errno = ENOMEM;
    return (void *)-1;
  }
  if (bytes != 0) interrupt(WRAPPED_SBRK);
  return __real_sbrk(bytes);
}

void *__wrap_sys_mmap(void *address, size_t bytes, int protection, int flags) {
  if (fails(WRAPPED_MMAP)) return MAP_FAILED;
  interrupt(WRAPPED_MMAP);
  return __real_sys_mmap(address, bytes, protection, flags);
}

int __wrap_sys_munmap(void *address, size_t bytes) {
  if (fails(WRAPPED_MUNMAP)) return -1;
  interrupt(WRAPPED_MUNMAP);
  return __real_sys_munmap(address, bytes);
}

void *__wrap_sys_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags) {
  if (fails(WRAPPED_MREMAP)) return MAP_FAILED;
  interrupt(WRAPPED_MREMAP);
  return __real_sys_mremap(address, old_bytes, new_bytes, flags);
}

int __wrap_sys_madvise(void *address, size_t bytes, int advice) {
  if (fails(WRAPPED_MADVISE)) return -1;
  interrupt(WRAPPED_MADVISE);
  return __real_sys_madvise(address, bytes, advice);
}

int __wrap_sys_mprotect(void *address, size_t bytes, int protection) {
  if (fails(WRAPPED_MPROTECT)) return -1;
  interrupt(WRAPPED_MPROTECT);
  return __real_sys_mprotect(address, bytes, protection);
}

int __wrap_sys_membarrier(int command) {
  if (fails(WRAPPED_MEMBARRIER)) return -1;
  interrupt(WRAPPED_MEMBARRIER);
  return __real_sys_membarrier(command);
}

int __wrap_sys_mincore(void *address, size_t bytes, unsigned char *present) {
  if (fails(WRAPPED_MINCORE)) return -1;
  interrupt(WRAPPED_MINCORE);
  return __real_sys_mincore(address, bytes, present);
}

int __wrap_pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
  interrupt(WRAPPED_KEY);
  return fails(WRAPPED_KEY) ? EAGAIN : __real_pthread_key_create(key, destructor);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value) {
  interrupt(WRAPPED_KEY);
  return fails(WRAPPED_KEY) ? ENOMEM : __real_pthread_setspecific(key, value);
}

int __wrap_clone(int (*body)(void *), void *stack, int flags, void *argument, ...) {
  if (fails(WRAPPED_CLONE)) {
    errno = EAGAIN;
    return -1;
  }
  va_list rest;
  va_start(rest, argument);
  void *parent_tid = va_arg(rest, void *);
  void *storage = va_arg(rest, void *);
  void *child_tid = va_arg(rest, void *);
  va_end(rest);
  interrupt(WRAPPED_CLONE);
  return __real_clone(body, stack, flags, argument, parent_tid, storage, child_tid);
}
