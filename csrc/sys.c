/* sys.c: the system calls for memory. See sys.h.
 *
 * Owner:     no state. */
#define _GNU_SOURCE
#include "sys.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || !(defined(__x86_64__) || defined(__aarch64__))
#include <errno.h>
#include <unistd.h>
/* The sanitizers must see every mapping. */
static long call(long number, long a, long b, long c, long d, long e) {
  int saved_errno = errno;
  long result = -1;
  if (number == SYS_mmap)
    result = (long)mmap((void *)a, (size_t)b, (int)c, (int)d, -1, 0);
  else if (number == SYS_munmap)
    result = munmap((void *)a, (size_t)b);
  else
    result = syscall(number, a, b, c, d, e);
  errno = saved_errno;
  return result;
}
#elif defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = 0;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
#else
static long call(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = 0;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#endif

/* The kernel's errors are the last page of numbers. */
static int failed(long result) { return (unsigned long)result > (unsigned long)-4096; }

static void *address_or_failed(long result) { return failed(result) ? MAP_FAILED : (void *)result; }

void *sys_mmap(void *address, size_t bytes, int protection, int flags) {
  return address_or_failed(call(SYS_mmap, (long)address, (long)bytes, protection, flags, -1));
}

int sys_munmap(void *address, size_t bytes) {
  return failed(call(SYS_munmap, (long)address, (long)bytes, 0, 0, 0)) ? -1 : 0;
}

void *sys_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags) {
  return address_or_failed(call(SYS_mremap, (long)address, (long)old_bytes, (long)new_bytes, flags, 0));
}

int sys_madvise(void *address, size_t bytes, int advice) {
  return failed(call(SYS_madvise, (long)address, (long)bytes, advice, 0, 0)) ? -1 : 0;
}

int sys_mprotect(void *address, size_t bytes, int protection) {
  return failed(call(SYS_mprotect, (long)address, (long)bytes, protection, 0, 0)) ? -1 : 0;
}

int sys_mincore(void *address, size_t bytes, unsigned char *present) {
  return failed(call(SYS_mincore, (long)address, (long)bytes, (long)present, 0, 0)) ? -1 : 0;
}

int sys_membarrier(int command) { return failed(call(SYS_membarrier, command, 0, 0, 0, 0)) ? -1 : 0; }

size_t sys_memory(void) {
  struct sysinfo info;
  return failed(call(SYS_sysinfo, (long)&info, 0, 0, 0, 0)) ? 0 : ((size_t)info.totalram + info.totalswap) * info.mem_unit;
}

size_t sys_limit(int resource) {
  struct {
    uint64_t soft, hard;
  } limit;
  if (failed(call(SYS_prlimit64, 0, resource, 0, (long)&limit, 0))) return SIZE_MAX;
  return limit.soft > SIZE_MAX ? SIZE_MAX : (size_t)limit.soft; /* no limit is all ones */
}

uint64_t sys_now_ms(void) {
  struct timespec now = {0, 0};
  call(SYS_clock_gettime, CLOCK_MONOTONIC_COARSE, (long)&now, 0, 0, 0);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t sys_random(void) {
  uint64_t word = 0;
  return call(SYS_getrandom, (long)&word, sizeof word, GRND_NONBLOCK, 0, 0) == (long)sizeof word ? word : 0;
}
