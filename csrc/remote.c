/* remote.c: a block freed by a stranger travels home.
 *
 * The stranger marks the block's state byte (one exchange: of two frees exactly one wins),
 * collects blocks for a while, and pushes them onto their owners' queues, one
 * compare-and-swap an owner. The owner takes its whole queue with one exchange when its stock runs
 * out. A slot may change hands meanwhile: whoever finds a block of a slot that it does not own
 * sends it on.
 *
 * Owner:     out[]: the arena's thread. `remote`: pushed by any thread, taken by the owner, or by
 *            anyone once the arena is idle.
 * Invariant: R1  every block in out[] or on a queue has state BLOCK_REMOTE.
 *            R2  a block is in at most one out[] or queue.
 *            R3  no block stays on the queue of an idle arena: see remote_send().
 * Cost:      one exchange a free; a flush is O(blocks * owners) for at most
 *            REMOTE_BUFFER_BLOCKS blocks. */
#include "remote.h"

#include "fatal.h"
#include "orphan.h"
#include "slot.h"

void remote_send(struct arena *owner, struct block *first, struct block *last) {
  struct block *head = __atomic_load_n(&owner->remote, __ATOMIC_RELAXED);
  do {
    last->next = head;
    /* release: whoever takes the queue must see the links and the state bytes of its blocks. seq_cst, as is
     * the load of `life`: either this thread sees that the arena has become idle, or arena_retire(),
     * which makes it so before it looks at the queue, sees the blocks. */
  } while (!__atomic_compare_exchange_n(&owner->remote, &head, first, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
  if (owner == &orphanage)
    orphan_drain();
  else if (UNLIKELY(__atomic_load_n(&owner->life, __ATOMIC_SEQ_CST) == ARENA_IDLE))
    remote_forward(owner);
}

void remote_reroute(struct block *block) {
  remote_send(slot_owner(slot_of((uintptr_t)block)), block, block);
}

void remote_flush(struct arena *arena) {
  uint32_t count = arena->out_count;
  arena->out_count = arena->out_bytes = 0;
  for (uint32_t i = 0; i < count; i++) {
    struct block *first = arena->out[i], *last = first;
    if (first == NULL) continue;
    struct arena *owner = slot_owner(slot_of((uintptr_t)first));
    for (uint32_t k = i + 1; k < count; k++) {
      struct block *other = arena->out[k];
      if (other == NULL || slot_owner(slot_of((uintptr_t)other)) != owner) continue;
      last->next = other;
      last = other;
      arena->out[k] = NULL;
    }
    remote_send(owner, first, last);
  }
}

void remote_drain(struct arena *arena) {
  struct block *next;
  for (struct block *block = remote_take(arena); block != NULL; block = next) {
    next = block->next;
    struct slot *slot = slot_of((uintptr_t)block);
    if (LIKELY(slot_owner(slot) == arena))
      arena_accept(arena, slot, block);
    else
      remote_reroute(block);
  }
}

void remote_forward(struct arena *arena) {
  struct block *next;
  for (struct block *block = remote_take(arena); block != NULL; block = next) {
    next = block->next;
    remote_reroute(block);
  }
}

/* Mark the block as on its way, if it is one and in the program's hands. */
static inline void leave(const struct slot *slot, const struct block *block) {
#if !BM_UNCHECKED
  uint8_t *state = slot_state(slot, (uintptr_t)block);
  if (UNLIKELY(state == NULL)) fatal(FATAL_INTERIOR, block);
  /* relaxed: the queue orders the block; the exchange only decides between two frees. */
  if (UNLIKELY(__atomic_exchange_n(state, BLOCK_REMOTE, __ATOMIC_RELAXED) != BLOCK_USED))
    fatal(FATAL_DOUBLE_FREE, block);
#else
  (void)slot, (void)block;
#endif
}

void remote_free(struct arena *arena, struct slot *slot, void *address) {
  struct block *block = address;
  leave(slot, block);
  if (UNLIKELY(arena_is_none(arena))) {
    __atomic_fetch_add(&orphanage.sent, 1, __ATOMIC_RELAXED);
    remote_reroute(block);
    return;
  }
  arena->sent++;
  arena->out[arena->out_count++] = block;
  arena->out_bytes += block_classes[slot->class].size;
  if (arena->out_count == REMOTE_BUFFER_BLOCKS || arena->out_bytes >= REMOTE_BUFFER_BYTES) remote_flush(arena);
}
