/* remote.h: blocks freed by threads that do not own them. See remote.c. */
#ifndef BM_REMOTE_H
#define BM_REMOTE_H

#include "arena.h"

extern HIDDEN struct lock batch_lock;

/* Free a block of a slot that the calling thread's arena (which may be arena_none) does not own. */
void remote_free(struct arena *arena, struct slot *slot, void *address);
/* Send what the arena has collected for others. */
void remote_flush(struct arena *arena);
/* Take in what others freed. Requires the caller to own the arena. */
void remote_drain(struct arena *arena);
/* Send the blocks that wait for an arena without a thread to their slots' owners. */
void remote_forward(struct arena *arena);
/* Purge pages on which nothing lies but blocks that wait for the arena, if it did not take any in for some looks, or at once; bytes.
 * Requires `held`, which is purge_lock, and stops early if somebody wants that. */
size_t remote_purge(struct arena *arena, int at_once, const struct lock *held);
/* Bytes in such blocks that were not looked at, if they are many: an estimate. */
size_t remote_purgeable(const struct arena *arena);
/* Send one block to whoever owns its slot now. */
void remote_reroute(struct block *block);
/* Drop the arena's batches and queue, in a forked child: their blocks are found by their state. */
void remote_forget(struct arena *arena);
/* Call `visit` for every block that the arena has collected for others, or that waits for it. */
void remote_visit(const struct arena *arena, void (*visit)(const struct block *block));

static inline int remote_waiting(const struct arena *arena) {
  return __atomic_load_n(&arena->remote, __ATOMIC_RELAXED) != 0;
}

/* What a queue consists of: batches, and single blocks, told apart by the lowest bit of the address. */
struct remote_cursor {
  struct batch_store *store; /* takes the empty batches */
  uintptr_t item;
  uint32_t index;
};
/* Take the arena's whole queue. */
struct remote_cursor remote_take(struct arena *arena);
/* The next block, or NULL. */
struct block *remote_next(struct remote_cursor *cursor);

#endif
