/* sys.h: the system calls for memory, without the C library's functions. Those lie in a part of its text that small
 * programs do not use otherwise, and the kernel maps 64 KiB around each that is touched. See sys.c. */
#ifndef BM_SYS_H
#define BM_SYS_H

#include "config.h"

#include <stddef.h>
#include <stdint.h>

/* Each returns what the C library's function of that name does (MAP_FAILED or -1 on failure), and leaves errno alone. */
HIDDEN void *sys_mmap(void *address, size_t bytes, int protection, int flags);
HIDDEN int sys_munmap(void *address, size_t bytes);
HIDDEN void *sys_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags);
HIDDEN int sys_madvise(void *address, size_t bytes, int advice);
HIDDEN int sys_mprotect(void *address, size_t bytes, int protection);
HIDDEN int sys_mincore(void *address, size_t bytes, unsigned char *present);
HIDDEN int sys_membarrier(int command);
/* Bytes of physical memory and swap, or 0. */
HIDDEN size_t sys_memory(void);
/* The soft limit, SIZE_MAX for none. */
HIDDEN size_t sys_limit(int resource);
/* Milliseconds of the coarse monotonic clock. */
HIDDEN uint64_t sys_now_ms(void);
/* Random bits, or 0 if the kernel has none yet. */
HIDDEN uint64_t sys_random(void);

#endif
