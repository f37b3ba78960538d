/* medium.h: the stock of a class of blocks above 1 KiB. See medium.c. */
#ifndef BM_MEDIUM_H
#define BM_MEDIUM_H

#include "arena.h"

/* Put the block that was just freed, the first on its slot's list, into stock. */
void medium_keep(struct arena *arena, struct slot *slot);
/* Return the stock of the class to the slots it came from. */
void medium_return(struct arena *arena, unsigned class);

#endif
