/* medium.c: the stock of a class of blocks above 1 KiB, few of which fit into a slot.
 *
 * What is freed goes into the stock, from whichever of the arena's slots it is. When that is full the older half
 * goes back to their slots; so do the blocks of a slot that has no others, and now and then all.
 *
 * Which blocks are free is written beside them, in the stock and in their slots' bits, and not in them. So a slot can be carved at once:
 * no block is touched before the program has it (docs/adr/0016).
 *
 * Owner:     the arena's thread.
 * Invariant: A1  (arena.c) `count` is the number of blocks in stock, and `in_stock` that of each slot's.
 * Cost:      O(1); once in a slot's worth of frees, a pass over the stock. */
#include "medium.h"

#include "arena_inside.h"
#include "guard.h"
#include "os.h"
#include "slot.h"
#include "tidy.h"

#include <string.h>

/* A block that is in stock no more goes back to its slot. */
static void put_back(struct arena *arena, struct slot *slot, struct block *block) {
  slot_push(slot, block);
  slot->used--;
  slot->in_stock--;
  arena->handed--;
}

void medium_return(struct arena *arena, unsigned class) {
  struct stock *stock = &arena->blocks[class];
  while (stock->count > 0) {
    struct block *block = stock->blocks[--stock->count];
    struct slot *slot = slot_of((uintptr_t)block);
    put_back(arena, slot, block);
    arena_settle(arena, slot);
  }
}

/* The older half of the stock goes back. */
static NOINLINE void overflow(struct arena *arena, unsigned class) {
  struct stock *stock = &arena->blocks[class];
  size_t older = stock->count - stock->count / 2;
  arena->now = os_now_ms();
  for (size_t i = 0; i < older; i++) {
    struct slot *slot = slot_of((uintptr_t)stock->blocks[i]);
    put_back(arena, slot, stock->blocks[i]);
    arena_settle(arena, slot);
  }
  stock->count -= older;
  memmove(stock->blocks, stock->blocks + older, stock->count * sizeof *stock->blocks);
  if (++arena->events < EVENTS_PER_TICK) return;
  tidy_tick(arena);
}

/* All blocks of the slot are free, and some of them in stock: without them it can go. */
static NOINLINE void evict(struct arena *arena, struct slot *slot) {
  struct stock *stock = &arena->blocks[slot->class];
  size_t kept = 0;
  for (size_t i = 0; i < stock->count; i++) {
    struct block *block = stock->blocks[i];
    if (slot_of((uintptr_t)block) == slot)
      put_back(arena, slot, block);
    else
      stock->blocks[kept++] = block;
  }
  stock->count = kept;
  arena_settle(arena, slot);
}

void medium_keep(struct arena *arena, struct slot *slot, struct block *block) {
  struct stock *stock = &arena->blocks[slot->class];
  stock->blocks[stock->count++] = block;
  arena->recycled++;
  if (UNLIKELY(++slot->in_stock == slot->used && slot != stock->current))
    evict(arena, slot);
  else if (UNLIKELY(stock->count >= medium_capacity(slot->class)))
    overflow(arena, slot->class);
}

void medium_take(struct arena *arena, struct slot *slot, uint64_t bits) {
  struct stock *stock = &arena->blocks[slot->class];
  slot->in_stock = (uint16_t)__builtin_popcountll(bits);
  while (bits != 0) {
    uint32_t index = 63u - (uint32_t)__builtin_clzll(bits);
    bits ^= UINT64_C(1) << index;
    stock->blocks[stock->count++] = slot_block(slot, index);
  }
}
