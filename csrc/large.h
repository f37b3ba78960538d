/* large.h: blocks of whole slots, from 32 KiB to 2 MiB. See large.c. */
#ifndef BM_LARGE_H
#define BM_LARGE_H

#include "heap.h"

/* A block of at least `size` bytes aligned to `alignment` (both at most LARGE_MAX), or NULL;
 * with `zeroed` its contents are zero. */
void *large_alloc(size_t size, size_t alignment, int zeroed);
/* A block that the calling thread freed and kept, of the size that a request of `size` bytes gets; else NULL. */
void *large_take_kept(size_t size);
/* Free the large block that begins at `address` in `slot`; fatal if none does. */
void large_free(struct slot *slot, void *address);
/* Give back the block of `count` slots that the arena keeps, if it does; any thread may. */
void large_drop_kept(struct arena *arena, uint32_t count);
/* Give back all that the arena keeps; its owner, or whoever holds arenas.lock if it has none. */
void large_drop_all(struct arena *arena);
/* In a forked child: what threads that it does not have were about to keep, or to give back, goes back. `mine` is the only arena left. */
void large_inherit(const struct arena *mine);
/* Make the block larger or smaller where it is; 1, or 0 with nothing changed. */
int large_resize(struct slot *slot, size_t size);
static inline size_t large_usable(const struct slot *slot) { return (size_t)slot->used * SLOT_BYTES; }
/* The word for what is wrong with freeing `address` in a slot that is not cut. */
const char *large_fault(const struct slot *slot, uintptr_t address);

#endif
