/* chunk.h: chunks from the system, split into blocks of whole slots. See chunk.c. */
#ifndef BM_CHUNK_H
#define BM_CHUNK_H

#include "heap.h"

/* All below require heap.lock. */

/* `count` neighbouring slots (1 .. CHUNK_SLOTS), first aligned as the next power of two,
 * or NULL. They are on no list; the caller sets the kind of the first, the others' is SLOT_REST. */
struct slot *chunk_take(uint32_t count);
/* Give `count` neighbouring slots back and merge them with their free buddies. */
void chunk_give(struct slot *first, uint32_t count);
/* Take the `count` slots that follow the address just past a block, if they are free; 1 or 0. */
int chunk_extend(struct slot *after, uint32_t count);
/* Split the free block `slot` (on no list) once: the upper half goes onto its list. */
void chunk_split(struct slot *slot);
/* The `count` slots' bits of heap.dirty, from bit 0 on; and setting them. */
uint64_t chunk_dirty(const struct slot *first, uint32_t count);
void chunk_set_dirty(struct slot *first, uint32_t count);
/* Give whole free chunks back to the system when it has no more address space; bytes. */
size_t chunk_release(void);

/* Purge what has been free for `delay` ms, or can be spared, until it is `enough` or somebody wants `held`, a lock that the caller holds; returns the
 * bytes given back. Takes heap.lock. */
size_t chunk_purge(uint32_t now, uint32_t delay, size_t enough, const struct lock *held);

#endif
