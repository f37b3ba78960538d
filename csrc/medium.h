/* medium.h: the stock of a class of blocks above 1 KiB. See medium.c. */
#ifndef BM_MEDIUM_H
#define BM_MEDIUM_H

#include "arena.h"

/* The blocks that the stock of a class has room for; it never keeps so many. */
static inline size_t medium_capacity(unsigned class) { return MEDIUM_STOCK_SLOTS * block_classes[class].capacity; }

/* Put a block that was just freed, in a slot that is not parked, into stock. */
void medium_keep(struct arena *arena, struct slot *slot, struct block *block);
/* Put blocks of a slot, by their bits, into the empty stock; the lowest will come first. */
void medium_take(struct arena *arena, struct slot *slot, uint64_t bits);
/* Return the stock of the class to the slots it came from. */
void medium_return(struct arena *arena, unsigned class);

#endif
