/* park.h: slots that their owner leaves to whoever purges. See park.c. */
#ifndef BM_PARK_H
#define BM_PARK_H

#include "arena.h"
#include "slot.h"

/* Held while a parked slot is purged. */
extern HIDDEN struct lock park_lock;

/* Park a listed slot that the arena owns, which has nothing in stock. */
void park_put(struct arena *arena, struct slot *slot);
/* A block came back to a parked slot that had been swept. */
void park_note_swept(struct arena *arena, struct slot *slot);
/* Take it back, its list still to be made; waits while it is being purged. Requires the slot to be parked by the arena. */
void park_end(struct arena *arena, struct slot *slot);
/* Purge the free pages of slots that stay parked, or of all that are parked, until somebody wants `held`; bytes given back.
 * Requires `held`, which is purge_lock. */
size_t park_sweep(int all, const struct lock *held);
/* Free bytes in the arena's slots that were not purged since they were parked: an estimate. */
size_t park_purgeable(const struct arena *arena);
/* Bytes ever purged so. */
size_t park_purged(void);

/* 1 if the parked slot was purged since a block came back to it. relaxed: written by whoever sweeps; who is told of it early waits in
 * park_end(). */
static inline int park_is_swept(const struct slot *slot) { return __atomic_load_n(&slot->place, __ATOMIC_RELAXED) == PLACE_SWEPT; }

static inline void park_mark(const struct arena *arena, struct slot *slot) {
  /* release: whoever sweeps the slot sees what its owner did to it. */
  __atomic_store_n(&slot->owner, slot_owned_by(slot, arena) | OWNER_PARKED, __ATOMIC_RELEASE);
}

/* A block came back to the parked slot: it is not swept before it was left alone for some rounds again. */
static inline void park_note(struct arena *arena, struct slot *slot) {
  park_mark(arena, slot);
  if (UNLIKELY(park_is_swept(slot))) park_note_swept(arena, slot);
}

#endif
