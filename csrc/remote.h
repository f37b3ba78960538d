/* remote.h: blocks freed by threads that do not own them. See remote.c. */
#ifndef BM_REMOTE_H
#define BM_REMOTE_H

#include "arena.h"

/* Free a block of a slot that the calling thread's arena (which may be arena_none) does not own. */
void remote_free(struct arena *arena, struct slot *slot, void *address);
/* Send what the arena has collected for others. */
void remote_flush(struct arena *arena);
/* Take in what others freed. Requires the caller to own the arena. */
void remote_drain(struct arena *arena);
/* Send the blocks that wait for an arena without a thread to their slots' owners. */
void remote_forward(struct arena *arena);
/* Push a linked list of blocks, all of slots that `owner` owns, onto its queue. */
void remote_send(struct arena *owner, struct block *first, struct block *last);
/* Send one block to whoever owns its slot now. */
void remote_reroute(struct block *block);

static inline int remote_waiting(const struct arena *arena) {
  return __atomic_load_n(&arena->remote, __ATOMIC_RELAXED) != NULL;
}

/* Take the whole queue. */
static inline struct block *remote_take(struct arena *arena) {
  if (!remote_waiting(arena)) return NULL;
  /* acquire: pairs with the release in remote_send(); seq_cst for the reason given there. */
  return __atomic_exchange_n(&arena->remote, NULL, __ATOMIC_SEQ_CST);
}

static inline struct arena *slot_owner(const struct slot *slot) {
  return __atomic_load_n(&slot->owner, __ATOMIC_RELAXED);
}

#endif
