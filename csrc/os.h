/* os.h: the system calls that the allocator makes, and nothing else makes. See os.c. */
#ifndef BM_OS_H
#define BM_OS_H

#include "config.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of an OS page. Fixed where every kernel agrees, asked for elsewhere. */
#if defined(__x86_64__)
#define OS_PAGE ((size_t)4096)
#else
#define OS_PAGE os_page()
size_t os_page(void);
#endif

static inline size_t os_round_up(size_t bytes) { return (bytes + OS_PAGE - 1) & ~(OS_PAGE - 1); }

/* The break moved up by `bytes`; its old value, or NULL with nothing changed. */
void *os_sbrk(size_t bytes);
/* The break now, or NULL. */
void *os_break(void);
/* Zeroed pages, or NULL. */
void *os_map(size_t bytes);
/* The same, at `address` and nowhere else; NULL if anything is mapped there. */
void *os_map_at(void *address, size_t bytes);
/* Addresses without memory behind them, to find room; pages that read as zeros, to be opened for writing
 * part by part, and that no limit but that of addresses counts until then. */
void *os_reserve(size_t bytes);
void *os_map_closed(size_t bytes);
void *os_map_closed_at(void *address, size_t bytes);
/* All return 0, or -1 with nothing changed. errno is preserved by every one. */
int os_unmap(void *address, size_t bytes);
int os_purge(void *address, size_t bytes);
/* For each page of a range the low bit of a byte: 1 if the page is in memory. A page on swap is not. */
int os_present(void *address, size_t bytes, unsigned char *present);
int os_open(void *address, size_t bytes);
/* Not to be written, or neither to be read nor written, from here on; os_open() ends that. */
int os_seal(void *address, size_t bytes);
int os_close(void *address, size_t bytes);
/* Zero the bytes, by purging pages where few of them are in memory. */
void os_zero(void *address, size_t bytes);
void os_hugepages(void *address, size_t bytes, int wanted);
/* Keep the bytes out of core dumps, for as long as they are mapped. */
void os_dontdump(void *address, size_t bytes);
/* The mapping with a new length, moved if `may_move`; NULL with nothing changed. */
void *os_remap(void *address, size_t old_bytes, size_t new_bytes, int may_move);
/* All threads of the process pass a memory barrier before it returns 0; -1 if the system has no such thing. */
int os_barrier(void);
/* Milliseconds of a monotonic clock of coarse steps; wraps. */
uint32_t os_now_ms(void);
/* The same by a system call, for a thread's first look. */
uint32_t os_first_ms(void);
/* 1 if `delay` ms or more went by from `stamp` to `now`. What another thread stamped after the caller looked at the clock lies
 * after `now`: nothing went by. */
static inline int os_has_passed(uint32_t now, uint32_t stamp, uint32_t delay) {
  return delay == 0 || (int32_t)(now - stamp) >= (int32_t)delay;
}
/* 1 under valgrind, whose break has little room and takes the zeros there for undefined bytes. */
int os_is_simulated(void);
/* Bytes of memory and swap; bytes that RLIMIT_AS and RLIMIT_DATA allow, or SIZE_MAX. */
size_t os_memory(void);
size_t os_address_limit(void);
/* A word that nobody can foretell. */
uint64_t os_random(void);

#endif
