/* os.c: every call to the system for memory, in one place, so that a test can make each fail.
 *
 * Owner:     no state.
 * Invariant: O1  errno is what it was before the call.
 *            O2  a failed call changed nothing. */
#define _GNU_SOURCE
#include "os.h"

#include "client.h"
#include "sys.h"

#include <assert.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#if !defined(__x86_64__)
size_t os_page(void) {
  static size_t page;
  if (page == 0) page = (size_t)sysconf(_SC_PAGESIZE);
  return page;
}
#endif

void *os_sbrk(size_t bytes) {
  int saved_errno = errno;
  void *old = sbrk((intptr_t)bytes);
  /* Where a filter refuses brk() glibc takes the error for the new break. */
  if (bytes != 0 && old != (void *)-1 && sbrk(0) == (void *)-1) old = (void *)-1;
  errno = saved_errno;
  if (old == (void *)-1) return NULL;
  client_close(old, bytes);
  return old;
}

void *os_break(void) { return os_sbrk(0); }

static void *map(void *address, size_t bytes, int protection, int flags) {
  void *result = sys_mmap(address, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags);
  return result == MAP_FAILED ? NULL : result;
}

void *os_map(size_t bytes) {
  void *result = map(NULL, bytes, PROT_READ | PROT_WRITE, MAP_NORESERVE);
  if (result != NULL) client_close_table(result, bytes);
  return result;
}

static void *map_at(void *address, size_t bytes, int protection) {
  void *result = map(address, bytes, protection, MAP_NORESERVE | MAP_FIXED_NOREPLACE);
  if (result == address || result == NULL) return result;
  os_unmap(result, bytes); /* a kernel before 4.17 takes the address for a hint */
  return NULL;
}

void *os_map_at(void *address, size_t bytes) {
  void *result = map_at(address, bytes, PROT_READ | PROT_WRITE);
  if (result != NULL) client_close(result, bytes);
  return result;
}

void *os_map_closed_at(void *address, size_t bytes) { return map_at(address, bytes, PROT_READ); }

void *os_reserve(size_t bytes) { return map(NULL, bytes, PROT_NONE, MAP_NORESERVE); }

void *os_map_closed(size_t bytes) { return map(NULL, bytes, PROT_READ, MAP_NORESERVE); }

int os_open(void *address, size_t bytes) { return sys_mprotect(address, bytes, PROT_READ | PROT_WRITE); }

int os_unmap(void *address, size_t bytes) {
  client_give_back(address, bytes);
  return sys_munmap(address, bytes);
}

int os_seal(void *address, size_t bytes) { return sys_mprotect(address, bytes, PROT_READ); }

int os_close(void *address, size_t bytes) { return sys_mprotect(address, bytes, PROT_NONE); }

int os_purge(void *address, size_t bytes) { return sys_madvise(address, bytes, MADV_DONTNEED); }

int os_present(void *address, size_t bytes, unsigned char *present) { return sys_mincore(address, bytes, present); }

/* Of so many bytes at a time it is asked whether they are in memory; of less they are simply written. */
#define ZERO_STEP ((size_t)1 << 20)

static int is_mostly_absent(void *address, size_t bytes) {
  unsigned char present[ZERO_STEP / 4096]; /* no page is smaller */
  size_t pages = bytes / OS_PAGE, count = 0;
  if (os_present(address, bytes, present) != 0) return 0;
  for (size_t i = 0; i < pages; i++) count += present[i] & 1u;
  return count < pages / 4;
}

void os_zero(void *address, size_t bytes) {
  char *part = address;
  while (bytes > 0) {
    size_t length = bytes < ZERO_STEP ? bytes : ZERO_STEP;
    size_t whole = length & ~(OS_PAGE - 1);
    /* Absent pages may be on swap: they must be purged, not skipped. */
    if (whole < ZERO_STEP / 4 || !is_mostly_absent(part, whole) || os_purge(part, whole) != 0)
      memset(part, 0, length);
    else
      memset(part + whole, 0, length - whole);
    part += length;
    bytes -= length;
  }
}

void os_hugepages(void *address, size_t bytes, int wanted) {
  sys_madvise(address, bytes, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void os_dontdump(void *address, size_t bytes) {
  sys_madvise(address, bytes, MADV_DONTDUMP);
}

void *os_remap(void *address, size_t old_bytes, size_t new_bytes, int may_move) {
  client_give_back(address, old_bytes);
  void *result = sys_mremap(address, old_bytes, new_bytes, may_move ? MREMAP_MAYMOVE : 0);
  return result == MAP_FAILED ? NULL : result;
}

int os_barrier(void) {
  if (sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return 0;
  if (sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0) return -1;
  return sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

uint32_t os_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

uint32_t os_first_ms(void) { return (uint32_t)sys_now_ms(); }

/* The instructions before the last change nothing; valgrind knows the sequence and puts its answer into a register
 * (valgrind.h, which need not be there for it). */
int os_is_simulated(void) {
  uintptr_t answer = 0;
#if defined(__x86_64__) || defined(__aarch64__)
  const uintptr_t request[6] = {0x1001}; /* RUNNING_ON_VALGRIND */
#if defined(__x86_64__)
  __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; xchgq %%rbx, %%rbx"
                   : "+d"(answer)
                   : "a"(request)
                   : "cc", "memory");
#else
  __asm__ volatile(
      "mov x3, #0; mov x4, %1; ror x12, x12, #3; ror x12, x12, #13; ror x12, x12, #51; ror x12, x12, #61;"
      "orr x10, x10, x10; mov %0, x3"
      : "=r"(answer)
      : "r"(request)
      : "cc", "memory", "x3", "x4");
#endif
#endif
  return answer != 0;
}

size_t os_memory(void) {
  size_t bytes = sys_memory();
  return bytes != 0 ? bytes : (size_t)1 << 32;
}

size_t os_address_limit(void) {
  size_t addresses = sys_limit(RLIMIT_AS), data = sys_limit(RLIMIT_DATA);
  return addresses < data ? addresses : data;
}

uint64_t os_random(void) {
  uint64_t word = sys_random();
  if (word != 0) return word;
  /* Early in the system's start: what the kernel gave this process for its own. */
  const void *given = (const void *)getauxval(AT_RANDOM);
  if (given != NULL) memcpy(&word, given, sizeof word);
  return word ^ (uint64_t)sys_now_ms() << 20 ^ (uintptr_t)&word;
}
