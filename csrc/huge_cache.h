/* huge_cache.h: mappings that hold no block any more. See huge_cache.c. */
#ifndef BM_HUGE_CACHE_H
#define BM_HUGE_CACHE_H

#include "config.h"

#include <stddef.h>
#include <stdint.h>

/* A block of the hardened build begins a page after its mapping does, and that is what must be aligned. */
#define HUGE_LEAD (BM_HARDENED ? OS_PAGE : 0)

struct huge_mapping {
  uintptr_t address;
  size_t bytes;
};

/* These require huge_lock. */

/* Take the kept mapping that fits best: the smallest that is large enough, else the largest. 0 if none is so aligned. */
int huge_cache_take(size_t bytes, size_t alignment, struct huge_mapping *mapping);
/* 1 if the mapping of a freed block was kept. */
int huge_cache_keep(uintptr_t address, size_t bytes);
/* A mapping that the system refused to unmap is given to a later request, or unmapped later. */
void huge_cache_strand(void *address, size_t bytes);
/* Bytes were added to huge_live_bytes. */
void huge_cache_note_growth(void);
/* 1 if what is kept has as many bytes as huge_cached_bytes() says. */
int huge_cache_agrees(void);

/* These take it. */

/* So many bytes are about to be live besides: kept mappings that would lie beside them, when the program was never so large, go. */
void huge_cache_make_way(size_t bytes);
/* Unmap what a block was in. Returns 1, or 0 if the system refuses and the mapping is stranded. */
int huge_cache_unmap(uintptr_t address, size_t bytes);
/* The same for what no block ever was in, which does not count as given back. */
int huge_cache_unmap_rest(uintptr_t address, size_t bytes);

/* Bytes ever given back; may be read without the lock. */
uint64_t huge_cache_released(void);

#endif
