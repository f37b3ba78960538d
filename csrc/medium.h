/* medium.h: the stock of a class of blocks above 1 KiB. See medium.c. */
#ifndef BM_MEDIUM_H
#define BM_MEDIUM_H

#include "arena.h"

/* The blocks that the stock of a class has room for. */
static inline size_t medium_capacity(unsigned class) { return MEDIUM_STOCK_MOST * block_classes[class].capacity; }

/* The stock is full: the older half of it goes back. */
void medium_overflow(struct arena *arena, unsigned class);
/* All blocks of a slot that is not served from are free, and in stock or back. In a busy class they stay there. */
void medium_whole(struct arena *arena, struct slot *slot);

/* Put a block that was just freed, in a slot that is not parked, into stock. */
static inline void medium_keep(struct arena *arena, struct slot *slot, struct block *block) {
  struct stock *stock = &arena->blocks[slot->class];
  stock->blocks[stock->count++] = block;
  arena->recycled++;
  if (UNLIKELY(++slot->in_stock == slot->used && slot != stock->current)) medium_whole(arena, slot);
  if (UNLIKELY(stock->count >= stock->limit)) medium_overflow(arena, slot->class);
}
/* Put blocks of a slot, by their bits, into the empty stock; the lowest will come first. */
void medium_take(struct arena *arena, struct slot *slot, uint64_t bits);
/* Return the stock of the class to the slots it came from. */
void medium_return(struct arena *arena, unsigned class);
/* The class takes a slot from the heap. */
void medium_note_new(struct arena *arena, unsigned class);
/* The same as medium_return(), and what the class did lately is forgotten. */
void medium_tidy(struct arena *arena, unsigned class);

#endif
