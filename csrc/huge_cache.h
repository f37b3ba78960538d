/* huge_cache.h: mappings that hold no block any more. See huge_cache.c. */
#ifndef BM_HUGE_CACHE_H
#define BM_HUGE_CACHE_H

#include "config.h"

#include <stddef.h>
#include <stdint.h>

/* A block of the hardened build begins a page after its mapping does, and that is what must be aligned. */
#define HUGE_LEAD (BM_HARDENED ? OS_PAGE : 0)

/* Parts of one mapping that the system made, and did not move since, have one number: only such may be put together, since it resizes no
 * two at once. */
struct huge_mapping {
  uintptr_t address;
  size_t bytes;
  uint32_t origin;
};

/* These require huge_lock. */

/* Take the kept mapping that fits best: the smallest that is large enough, or as much of it, else the largest. 0 if none is so aligned. */
int huge_cache_take(size_t bytes, size_t alignment, struct huge_mapping *mapping);
/* Take the `bytes` that follow the mapping, if all are kept; 1 or 0. */
int huge_cache_take_next(const struct huge_mapping *mapping, size_t bytes);
/* Bytes, in whole pages, that live blocks and kept mappings have beyond what blocks once had. */
size_t huge_cache_excess(void);
/* 1 if a kept mapping has so many bytes. */
int huge_cache_has(size_t bytes);
/* 1 if the mapping of a freed block was kept. */
int huge_cache_keep(const struct huge_mapping *mapping);
/* The number of a mapping that is new, or was moved. */
uint32_t huge_cache_origin(void);
/* A mapping that the system refused to unmap is given to a later request, or unmapped later. */
void huge_cache_strand(void *address, size_t bytes);
/* Bytes were added to huge_live_bytes. */
void huge_cache_note_growth(void);
/* 1 if what is kept has as many bytes as huge_cached_bytes() says. */
int huge_cache_agrees(void);

/* These take it. */

/* Unmap kept mappings that are in excess since blocks have grown. */
void huge_cache_trim(void);
/* Unmap what a block was in. Returns 1, or 0 if the system refuses and the mapping is stranded. */
int huge_cache_unmap(uintptr_t address, size_t bytes);
/* The same for what no block ever was in, which does not count as given back. */
int huge_cache_unmap_rest(uintptr_t address, size_t bytes);

/* Bytes ever given back; may be read without the lock. */
uint64_t huge_cache_released(void);

#endif
