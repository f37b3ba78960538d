/* arena_inside.h: what arena.c and medium.c know of an arena's slots. */
#ifndef BM_ARENA_INSIDE_H
#define BM_ARENA_INSIDE_H

#include "arena.h"

/* Slow steps between two looks at the clock. */
#define EVENTS_PER_TICK 16u

/* Take a slot that the arena owns off whatever holds it. Its stock must be empty. */
void arena_unlink_slot(struct arena *arena, struct slot *slot);
/* Blocks came back to the slot, and `used` is up to date. Returns 0 if that was the last, and the slot went. */
int arena_settle(struct arena *arena, struct slot *slot);
/* Let others have the slot, which has nothing in stock. */
void arena_give_away(struct arena *arena, struct slot *slot);
/* Bring `now` up to date. */
void arena_read_clock(struct arena *arena);
/* 1 if the slot served nobody for so long, and so little of it is used, that others may have it. */
int arena_is_idle(const struct arena *arena, const struct slot *slot);

#endif
