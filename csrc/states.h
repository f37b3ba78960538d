/* states.h: memory for the state bytes of cut slots. See states.c. */
#ifndef BM_STATES_H
#define BM_STATES_H

#include "block.h"

/* State bytes for a slot of the class, all BLOCK_FREE; NULL without memory. Requires heap.lock. */
uint8_t *states_take(unsigned class);
/* Give them back. Requires heap.lock. */
void states_give(unsigned class, uint8_t *states);

#endif
