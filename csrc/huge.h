/* huge.h: requests that have a mapping of their own. See huge.c. */
#ifndef BM_HUGE_H
#define BM_HUGE_H

#include "config.h"
#include "lock.h"

#include <stddef.h>
#include <stdint.h>

/* A block of at least `size` bytes, aligned to `alignment` (a power of two); NULL without memory.
 * With `zeroed` its contents are zero, else undefined. */
void *huge_alloc(size_t size, size_t alignment, int zeroed);
/* Free the huge block at `address`; fatal if there is none. */
void huge_free(void *address);
/* The mapping's bytes, or 0 if no huge block begins at `address`. */
size_t huge_usable(const void *address);
/* The block with room for `size` bytes (and no more than it needs), possibly moved; NULL with
 * the block untouched if there is no memory, or if a copy of it costs less. */
void *huge_resize(void *address, size_t size);
/* What was asked for with the live block at the start of a mapping, and, in the hardened build, which notes both anew, where in the
 * mapping the block begins; huge_noted() returns 0 if there is none. */
void huge_note(const void *mapping, size_t lead, size_t request);
int huge_noted(const void *mapping, size_t *lead, size_t *request);
/* The word for what is wrong with freeing an address at which no huge block begins. */
const char *huge_fault(const void *address);
/* Unmap cached mappings that were left alone for `delay` ms; returns bytes. */
size_t huge_decay(uint32_t now, uint32_t delay);
size_t huge_cached_bytes(void);
/* The heap begins to use `bytes` of memory that was untouched: when it has by as many as the mapping that was cached first has, that is
 * unmapped. */
void huge_give_way(size_t bytes);

/* The table of live blocks, and of addresses whose blocks were freed; under huge_lock. */
struct huge_entry {
  uintptr_t address;
  size_t bytes;
  size_t lead, request; /* see huge_note() */
  uint32_t origin;      /* see huge_cache.h */
};
extern HIDDEN struct huge_entry *huge_entries;
extern HIDDEN size_t huge_capacity; /* entries */
extern HIDDEN size_t huge_live_bytes; /* in live blocks; under huge_lock */

struct huge_totals {
  uint64_t live, live_bytes, cached_bytes, allocs, frees, released_bytes;
};
void huge_stats(struct huge_totals *totals);
/* Call `visit` for every live huge block; stop at the first non-zero result and return it. */
int huge_walk(int (*visit)(const void *address, size_t bytes, void *context), void *context);
/* Invariants H1 to H3; returns the number of violations. */
int huge_check(void (*report)(const char *invariant, const void *address));

extern HIDDEN struct lock huge_lock;

#endif
