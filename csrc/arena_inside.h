/* arena_inside.h: what arena.c and medium.c know of an arena's slots. */
#ifndef BM_ARENA_INSIDE_H
#define BM_ARENA_INSIDE_H

#include "arena.h"

/* Slow steps between two looks at the clock. */
#define EVENTS_PER_TICK 16u

/* Take back a slot of the arena's own, if it is parked. */
void arena_unpark(struct arena *arena, struct slot *slot);
/* Take a slot that the arena owns off whatever holds it. Its stock must be empty. */
void arena_unlink_slot(struct arena *arena, struct slot *slot);
/* Blocks came back to the slot, and `used` is up to date. Returns 0 if that was the last, and the slot went. */
int arena_settle(struct arena *arena, struct slot *slot);
/* Park a listed slot, which can do without its list, if it did not serve for some time. */
void arena_park_idle(struct arena *arena, struct slot *slot);

#endif
