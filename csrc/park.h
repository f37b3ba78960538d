/* park.h: slots that their owner leaves to whoever purges. See park.c. */
#ifndef BM_PARK_H
#define BM_PARK_H

#include "arena.h"

/* Held while a parked slot is purged. */
extern HIDDEN struct lock park_lock;

/* Park a listed slot that the arena owns, which has nothing in stock. */
void park_put(struct arena *arena, struct slot *slot);
/* More of it came back: it is not swept before it was left alone for some rounds again. */
void park_note(struct arena *arena, struct slot *slot);
/* Take it back, its list still to be made; waits while it is being purged. Requires the slot to be parked by the arena. */
void park_end(struct arena *arena, struct slot *slot);
/* 1 if the parked slot was purged since a block came back to it. */
int park_is_swept(const struct slot *slot);
/* Purge the free pages of slots that stay parked, or of all that are parked, until somebody wants `held`; bytes given back.
 * Requires `held`, which is purge_lock. */
size_t park_sweep(int all, const struct lock *held);
/* Free bytes in the arena's slots that were not purged since they were parked: an estimate. */
size_t park_purgeable(const struct arena *arena);
/* Bytes ever purged so. */
size_t park_purged(void);

#endif
