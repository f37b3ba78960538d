/* medium.c: the stock of a class of blocks above 1 KiB, few of which fit into a slot.
 *
 * Of these an arena hears at every free, and puts the block into the stock, from whichever of its slots it is. When
 * that holds as much as a slot does, the older half goes back to the lists of their slots; so do the blocks of a slot that
 * has no others, and now and then all.
 *
 * Owner:     the arena's thread.
 * Invariant: A1  (arena.c) `count` is the number of blocks in stock, and `in_stock` that of each slot's.
 * Cost:      O(1); once in half a slot's worth of frees, a pass over the stock. */
#include "medium.h"

#include "arena_inside.h"
#include "guard.h"
#include "os.h"
#include "tidy.h"

/* Put `block` and those behind it, which are in stock no more, back to their slots. */
static void put_back(struct arena *arena, unsigned class, struct block *block) {
  while (block != NULL) {
    struct block *next = guard_next(block);
    struct slot *slot = slot_of((uintptr_t)block);
    guard_link(block, slot->free);
    slot->free = block;
    slot->used--;
    slot->in_stock--;
    arena->blocks[class].count--;
    arena->handed--;
    arena_settle(arena, slot);
    block = next;
  }
}

void medium_return(struct arena *arena, unsigned class) {
  struct block *block = arena->blocks[class].first;
  arena->blocks[class].first = NULL;
  put_back(arena, class, block);
}

/* The older half of the stock goes back. */
static NOINLINE void overflow(struct arena *arena, unsigned class) {
  struct stock *stock = &arena->blocks[class];
  struct block *last = stock->first;
  for (size_t kept = 1; kept < stock->count / 2; kept++) last = guard_next(last);
  struct block *rest = guard_next(last);
  guard_link(last, NULL);
  arena->now = os_now_ms();
  put_back(arena, class, rest);
  if (++arena->events < EVENTS_PER_TICK) return;
  tidy_tick(arena);
}

/* All blocks of the slot are free, and some of them in stock: without them it can go. */
static NOINLINE void evict(struct arena *arena, struct slot *slot) {
  struct stock *stock = &arena->blocks[slot->class];
  struct block *block = stock->first, *kept = NULL, *evicted = NULL, *next;
  stock->first = NULL;
  for (; block != NULL; block = next) {
    next = guard_next(block);
    if (slot_of((uintptr_t)block) == slot) {
      guard_link(block, evicted);
      evicted = block;
      continue;
    }
    guard_link(block, NULL);
    if (kept == NULL)
      stock->first = block;
    else
      guard_link(kept, block);
    kept = block;
  }
  put_back(arena, slot->class, evicted);
}

void medium_keep(struct arena *arena, struct slot *slot) {
  unsigned class = slot->class;
  struct stock *stock = &arena->blocks[class];
  struct block *block = slot->free;
  slot->free = guard_next(block);
  slot->countdown = 1;
  guard_link(block, stock->first);
  stock->first = block;
  arena->recycled++;
  stock->count++;
  if (UNLIKELY(++slot->in_stock == slot->used && slot != stock->current))
    evict(arena, slot);
  else if (UNLIKELY(stock->count >= block_classes[class].capacity))
    overflow(arena, class);
}
