/* orphan.h: the slots that no thread owns. See orphan.c. */
#ifndef BM_ORPHAN_H
#define BM_ORPHAN_H

#include "arena.h"

/* Number 0 among the arenas. Its slots and lists are guarded by orphan_lock. */
extern HIDDEN struct arena orphanage;
extern HIDDEN struct lock orphan_lock;

/* Give away a slot that the caller owns; it is on no list, its stock is empty, `used` is up to date. */
void orphan_give(struct slot *slot);
/* A slot of the class that can serve (free, purged or fresh blocks), now the arena's, or NULL. */
struct slot *orphan_adopt(struct arena *arena, unsigned class);
/* Take in what threads freed; leaves it to the holder if the lock is held. */
void orphan_drain(void);
/* Purge the free pages of slots that nothing happened to for `delay` ms, until somebody wants `held`, a lock that
 * the caller holds; bytes given back. */
size_t orphan_purge(uint32_t now, uint32_t delay, const struct lock *held);
/* Free bytes in orphans that were not looked at since they were freed. */
size_t orphan_purgeable(void);
/* Bytes ever purged in orphans. */
size_t orphan_purged(void);
/* 1 if the orphan is on the list that its place says. Requires orphan_lock. */
int orphan_is_linked(const struct slot *slot);
/* Take over, in a forked child, the slots of threads that are not there any more. */
void orphan_inherit(struct slot *slot);

#endif
