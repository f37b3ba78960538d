/* tidy.h: what a thread that allocates does now and then besides. See tidy.c. */
#ifndef BM_TIDY_H
#define BM_TIDY_H

#include "arena.h"

/* Some time has passed, perhaps: bring `now` up to date, and let go of what was not needed lately. */
void tidy_tick(struct arena *arena);
/* A slow step that is no refill: now and then, do that; and take in what others freed. */
void tidy_step(struct arena *arena);

#endif
