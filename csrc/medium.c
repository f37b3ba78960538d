/* medium.c: the stock of a class of blocks above 1 KiB, few of which fit into a slot.
 *
 * What is freed goes into the stock, from whichever of the arena's slots it is. When that is full the older half
 * goes back to their slots; so do the blocks of a slot that has no others, and now and then all. Where slots of the class go back to
 * the heap and are taken again the stock has more room for a while, and keeps all blocks of a slot too.
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

void medium_overflow(struct arena *arena, unsigned class) {
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
static void evict(struct arena *arena, struct slot *slot) {
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

void medium_whole(struct arena *arena, struct slot *slot) {
  uint64_t bit = UINT64_C(1) << slot->class;
  if ((arena->busy & bit) != 0) return;
  arena->given |= bit;
  evict(arena, slot);
}

static void set_limit(struct arena *arena, unsigned class, size_t slots) {
  arena->blocks[class].limit = slots * block_classes[class].capacity;
}

void medium_note_new(struct arena *arena, unsigned class) {
  uint64_t bit = UINT64_C(1) << class;
  if ((arena->given & bit) == 0) return;
  arena->busy |= bit;
  set_limit(arena, class, MEDIUM_STOCK_MOST);
}

void medium_tidy(struct arena *arena, unsigned class) {
  medium_return(arena, class);
  arena->given &= ~(UINT64_C(1) << class);
  arena->busy &= ~(UINT64_C(1) << class);
  set_limit(arena, class, MEDIUM_STOCK_SLOTS);
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
