/* alloc.h: what malloc, calloc, realloc and aligned share. See malloc.c. */
#ifndef BM_ALLOC_H
#define BM_ALLOC_H

#include "arena.h"
#include "guard.h"
#include "heap.h"
#include "slot.h"

#include <stddef.h>

/* A block of a class of slot blocks; NULL and ENOMEM without memory. */
void *alloc_class(unsigned class);
/* A block of whole slots or a huge one, for more than SLOT_BLOCK_MAX bytes or alignment;
 * NULL and ENOMEM without memory or beyond PTRDIFF_MAX. */
void *alloc_beyond(size_t size, size_t alignment, int zeroed);

/* A block at a multiple of `alignment`, in the hardened build. */
void *alloc_aligned(size_t alignment, size_t size);

/* Have the compiler keep a function's result where it is to be returned: it does not see that this saves a move. */
#if defined(__x86_64__)
#define KEEP_AS_RESULT(pointer) __asm__("" : "+a"(pointer))
#else
#define KEEP_AS_RESULT(pointer) (void)(pointer)
#endif

/* Pop the stock's first block, which is not NULL, and mark it as handed out. */
static inline void *alloc_pop(struct stock *stock, struct block *block) {
  KEEP_AS_RESULT(block);
  struct block *next = guard_next(block);
  stock->first = next;
#if !BM_UNCHECKED
  /* It may have been freed long ago; the next request of the class reads and then uses it. */
  __builtin_prefetch(next, 1);
  uint64_t index = (uint64_t)(uint16_t)(uintptr_t)block * stock->reciprocal >> 32;
  stock->states[index] = BLOCK_USED;
#endif
  return block;
}

/* The same for a medium class, of which the stock has something. */
static inline void *alloc_pop_medium(struct stock *stock) {
  struct block *block = stock->blocks[--stock->count];
  struct slot *slot = slot_of((uintptr_t)block);
  slot->in_stock--;
  guard_rested(block);
#if !BM_UNCHECKED
  *slot_state_at(slot, slot_product(slot, (uintptr_t)block)) = BLOCK_USED;
#endif
  return block;
}

/* The slot of a live block that lies in the heap; fatal if none begins at `address`. Returns
 * NULL if the address is in no chunk, where only huge blocks are. */
struct slot *alloc_slot_of(const void *address);

#endif
