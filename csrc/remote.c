/* remote.c: a block freed by a stranger travels home.
 *
 * The stranger marks the block's state byte (one exchange: of two frees exactly one wins), notes the block in a
 * batch for its owner, and pushes the full batch onto the owner's queue with one compare-and-swap. The owner takes its
 * whole queue with one exchange when its stock runs out. Neither reads the block, whose cache line the
 * other may hold. A slot may change hands meanwhile: whoever finds a block of a slot that it does not own
 * sends it on. Where there is no memory for a batch a block is pushed by itself, linked through its first word; so are small blocks
 * that are too few for a batch.
 *
 * Owner:     out[] and `batches`: the arena's thread. `remote`: pushed by any thread, taken by the owner, or by
 *            anyone once the arena is idle. The common store of batches: batch_lock.
 * Invariant: R1  every block in an open batch or on a queue has state BLOCK_REMOTE.
 *            R2  a block is in at most one batch or queue.
 *            R3  no block stays on the queue of an idle arena: see push().
 * Cost:      one exchange a free; one compare-and-swap a batch. */
#include "remote.h"

#include "fatal.h"
#include "guard.h"
#include "orphan.h"
#include "os.h"
#include "purge.h"
#include "slot.h"

#include <string.h>

struct batch {
  uintptr_t next; /* in a queue or a store */
  uint32_t count;
  uint32_t bytes; /* of its blocks */
  struct block *blocks[REMOTE_BATCH_BLOCKS];
};
static_assert(sizeof(struct batch) == 512, "batches tile a page");

/* The lowest bit of an item of a queue: a block, not a batch. */
#define SINGLE ((uintptr_t)1)
/* Batches are made so many bytes at a time. */
#define BATCH_STORE_BYTES ((size_t)64 << 10)
/* An arena's store keeps so many batches, and is emptied down to that at twice as many. */
#define BATCH_TRANSFER 16u

struct lock batch_lock;
static struct batch *common_batches;

/* ---- Batches ---------------------------------------------------------------------------- */

static struct batch *pop(struct batch **store) {
  struct batch *batch = *store;
  if (batch != NULL) *store = (struct batch *)batch->next;
  return batch;
}

static void put(struct batch **store, struct batch *batch) {
  batch->next = (uintptr_t)*store;
  *store = batch;
}

/* A batch from the common store, or a new one; NULL without memory. Requires batch_lock. */
static struct batch *new_batch(void) {
  static struct batch *unused, *unused_end; /* memory for more of them, untouched */
  if (common_batches != NULL) return pop(&common_batches);
  if (unused == unused_end) {
    unused = unused_end = os_map(BATCH_STORE_BYTES);
    if (unused == NULL) return NULL;
    unused_end += BATCH_STORE_BYTES / sizeof *unused;
  }
  return unused++;
}

static struct batch *get_batch(struct arena *arena) {
  struct batch *batch = pop(&arena->batches.first);
  if (batch != NULL) {
    arena->batches.count--;
  } else {
    lock_acquire(&batch_lock);
    batch = new_batch();
    lock_release(&batch_lock);
    if (batch == NULL) return NULL;
  }
  batch->count = batch->bytes = 0;
  return batch;
}

static void put_batch(struct batch_store *store, struct batch *batch) {
  put(&store->first, batch);
  if (++store->count < 2 * BATCH_TRANSFER) return;
  lock_acquire(&batch_lock);
  for (; store->count > BATCH_TRANSFER; store->count--) put(&common_batches, pop(&store->first));
  lock_release(&batch_lock);
}

/* ---- Queues ------------------------------------------------------------------------------ */

/* Push an item, whose link is `*next`, onto the owner's queue. */
static void push(struct arena *owner, uintptr_t item, uintptr_t *next) {
  uintptr_t head = __atomic_load_n(&owner->remote, __ATOMIC_RELAXED);
  do {
    *next = guard_encode(next, head);
    /* release: whoever takes the queue must see the batches, and the state bytes of their blocks. seq_cst, as
     * is the load of `life`: either this thread sees that the arena has become idle, or retire(), which makes
     * it so before it looks at the queue, sees the item. */
  } while (!__atomic_compare_exchange_n(&owner->remote, &head, item, 1, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
  if (owner == &orphanage)
    orphan_drain();
  else if (UNLIKELY(__atomic_load_n(&owner->life, __ATOMIC_SEQ_CST) == ARENA_IDLE))
    remote_forward(owner);
}

void remote_reroute(struct block *block) {
  push(slot_owner(slot_of((uintptr_t)block)), (uintptr_t)block | SINGLE, (uintptr_t *)&block->next);
}

struct remote_cursor remote_take(struct arena *arena) {
  struct remote_cursor cursor = {&arena->batches, 0, 0};
  /* acquire: pairs with the release in push(); seq_cst, the first look too, for the reason given there. */
  if (__atomic_load_n(&arena->remote, __ATOMIC_SEQ_CST) != 0)
    cursor.item = __atomic_exchange_n(&arena->remote, 0, __ATOMIC_SEQ_CST);
  return cursor;
}

/* The same, for good. */
static struct remote_cursor begin(struct arena *arena) {
  /* relaxed: estimates. */
  __atomic_fetch_add(&arena->drains, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&arena->remote_bytes, 0, __ATOMIC_RELAXED);
  return remote_take(arena);
}

struct block *remote_next(struct remote_cursor *cursor) {
  if (cursor->item & SINGLE) {
    struct block *block = (struct block *)(cursor->item & ~SINGLE);
    cursor->item = guard_decode(&block->next, (uintptr_t)block->next);
    return block;
  }
  struct batch *batch = (struct batch *)cursor->item;
  if (batch == NULL) return NULL;
  struct block *block = batch->blocks[cursor->index];
  if (++cursor->index == batch->count) {
    cursor->item = guard_decode(&batch->next, batch->next);
    cursor->index = 0;
    put_batch(cursor->store, batch);
  }
  return block;
}

void remote_drain(struct arena *arena) {
  struct remote_cursor cursor = begin(arena);
  for (struct block *block; (block = remote_next(&cursor)) != NULL;) {
    struct slot *slot = slot_of((uintptr_t)block);
    if (LIKELY(slot_owner(slot) == arena))
      arena_accept(arena, slot, block);
    else
      remote_reroute(block);
  }
}

/* The arena is idle, and somebody may open it meanwhile: its store is left alone. */
void remote_forward(struct arena *arena) {
  struct batch_store store = {NULL, 0};
  struct remote_cursor cursor = begin(arena);
  cursor.store = &store;
  for (struct block *block; (block = remote_next(&cursor)) != NULL;) remote_reroute(block);
  lock_acquire(&batch_lock);
  while (store.first != NULL) put(&common_batches, pop(&store.first));
  lock_release(&batch_lock);
}

/* ---- Frees --------------------------------------------------------------------------------- */

/* 1 if the batch takes more memory than its blocks may be worth: an owner that sleeps does not empty it. Medium blocks are not touched. */
static int is_few(const struct batch *batch) { return batch->count <= REMOTE_FEW && batch->bytes <= batch->count * SMALL_MAX; }

/* Push the blocks linked through their first words, as single ones are, and use the batch again. */
static void send_few(struct arena *arena, struct arena *owner, struct batch *batch) {
  struct block *last = batch->blocks[batch->count - 1];
  for (uint32_t i = 0; i + 1 < batch->count; i++) {
    struct block *block = batch->blocks[i];
    block->next = (struct block *)guard_encode(&block->next, (uintptr_t)batch->blocks[i + 1] | SINGLE);
  }
  uintptr_t first = (uintptr_t)batch->blocks[0] | SINGLE;
  put_batch(&arena->batches, batch);
  push(owner, first, (uintptr_t *)&last->next);
}

static void send_batch(struct arena *owner, struct batch *batch) {
  /* relaxed: an estimate. */
  __atomic_fetch_add(&owner->remote_bytes, batch->bytes, __ATOMIC_RELAXED);
  push(owner, (uintptr_t)batch, &batch->next);
  size_t purgeable = remote_purgeable(owner);
  if (UNLIKELY(purgeable >= BACKGROUND_THRESHOLD)) purge_notice_of(purgeable);
}

static void send(struct arena *arena, struct outgoing *out) {
  struct batch *batch = out->batch;
  if (batch == NULL) return;
  out->batch = NULL;
  if (is_few(batch))
    send_few(arena, out->owner, batch);
  else
    send_batch(out->owner, batch);
}

void remote_flush(struct arena *arena) {
  for (uint32_t i = 0; i < REMOTE_OWNERS; i++) send(arena, &arena->out[i]);
}

/* Mark the block as on its way, if it is one and in the program's hands. */
static inline void leave(const struct slot *slot, const struct block *block) {
#if !BM_UNCHECKED
  uint8_t *state = slot_state(slot, (uintptr_t)block);
  if (UNLIKELY(state == NULL)) fatal(FATAL_INTERIOR, block);
  /* relaxed: the queue orders the block; the exchange only decides between two frees. */
  if (UNLIKELY(__atomic_exchange_n(state, BLOCK_REMOTE, __ATOMIC_RELAXED) != GUARD_LEAVING))
    fatal(FATAL_DOUBLE_FREE, block);
#else
  (void)slot, (void)block;
#endif
}

/* Open a batch for `owner` in place of what is collected for another; 0 without memory. */
static NOINLINE int open_batch(struct arena *arena, struct outgoing *out, struct arena *owner) {
  send(arena, out);
  out->owner = owner;
  out->batch = get_batch(arena);
  return out->batch != NULL;
}

void remote_free(struct arena *arena, struct slot *slot, void *address) {
  struct block *block = address;
  uint32_t bytes = block_classes[slot->class].size;
  struct arena *owner = slot_owner(slot);
  leave(slot, block);
  if (UNLIKELY(arena_is_none(arena))) {
    __atomic_fetch_add(&orphanage.sent, 1, __ATOMIC_RELAXED);
    remote_reroute(block);
    return;
  }
  arena->sent++;
  struct outgoing *out = &arena->out[owner->number % REMOTE_OWNERS];
  if (UNLIKELY(out->batch == NULL || out->owner != owner) && !open_batch(arena, out, owner)) {
    remote_reroute(block);
    return;
  }
  struct batch *batch = out->batch;
  batch->blocks[batch->count++] = block;
  batch->bytes += bytes;
  if (UNLIKELY(batch->count == REMOTE_BATCH_BLOCKS || batch->bytes >= REMOTE_BATCH_BYTES)) send(arena, out);
}

/* ---- Owners that sleep ------------------------------------------------------------------------ */

/* Whoever purges a queue looks at all state bytes of its blocks' slots, of which the owner writes others meanwhile: what it reads there
 * is never BLOCK_HELD, whatever it is. ThreadSanitizer would have them be atomic. */
#if defined(__SANITIZE_THREAD__)
#define CAN_HOLD 0
#else
#define CAN_HOLD (!BM_HARDENED && !BM_UNCHECKED) /* there freed blocks hold something; or which they are is not known */
#endif

size_t remote_purgeable(const struct arena *arena) {
  if (!CAN_HOLD) return 0;
  /* relaxed: estimates. */
  size_t bytes = __atomic_load_n(&arena->remote_bytes, __ATOMIC_RELAXED), swept = __atomic_load_n(&arena->remote_swept, __ATOMIC_RELAXED);
  if (bytes < swept) swept = 0; /* drained since */
  size_t more = bytes - swept;
  return more >= REMOTE_PURGE_MIN && more >= swept / 4 ? more : 0;
}

static uintptr_t *link_of(uintptr_t item) {
  return item & SINGLE ? (uintptr_t *)&((struct block *)(item & ~SINGLE))->next : &((struct batch *)item)->next;
}

/* The blocks of a batch are nobody's but whose the batch is. */
static void hold(const struct batch *batch) {
  for (uint32_t i = 0; i < batch->count; i++)
    /* relaxed: as in leave(). */
    __atomic_store_n(slot_state(slot_of((uintptr_t)batch->blocks[i]), (uintptr_t)batch->blocks[i]), BLOCK_HELD, __ATOMIC_RELAXED);
}

static size_t purge_held(const struct batch *batch, const struct lock *held) {
  size_t purged = 0;
  for (uint32_t i = 0; i < batch->count; i++) {
    const struct slot *slot = slot_of((uintptr_t)batch->blocks[i]);
    if (*slot_state(slot, (uintptr_t)batch->blocks[i]) != BLOCK_HELD) continue; /* its slot has had its turn */
    uint32_t pages = slot_release_held(slot);
    if (pages != 0 && !lock_is_awaited(held)) purged += slot_purge(slot, pages);
  }
  return purged;
}

/* The queue is taken, as its owner would, and pushed again: in the meantime nobody else has its blocks. */
size_t remote_purge(struct arena *arena, int at_once, const struct lock *held) {
  size_t bytes = __atomic_load_n(&arena->remote_bytes, __ATOMIC_RELAXED), purged = 0;
  uint32_t drains = __atomic_load_n(&arena->drains, __ATOMIC_RELAXED);
  int waits = remote_purgeable(arena) != 0;
  arena->remote_age = waits && drains == arena->drains_seen ? arena->remote_age + 1 : 0;
  arena->drains_seen = drains;
  if (!waits || (!at_once && arena->remote_age < REMOTE_AGE)) return 0;
  uintptr_t queue = remote_take(arena).item, *last = NULL;
  if (queue == 0) return 0;
  for (uintptr_t item = queue; item != 0; item = *(last = link_of(item)))
    if ((item & SINGLE) == 0) hold((struct batch *)item);
  for (uintptr_t item = queue; item != 0; item = *link_of(item))
    if ((item & SINGLE) == 0) purged += purge_held((struct batch *)item, held);
  __atomic_store_n(&arena->remote_swept, bytes, __ATOMIC_RELAXED);
  push(arena, queue, last);
  lock_acquire(&heap.lock);
  heap.purged_bytes += purged;
  lock_release(&heap.lock);
  return purged;
}

void remote_forget(struct arena *arena) {
  arena->remote = arena->remote_bytes = 0;
  memset(arena->out, 0, sizeof arena->out);
}

void remote_visit(const struct arena *arena, void (*visit)(const struct block *block)) {
  for (uint32_t i = 0; i < REMOTE_OWNERS; i++)
    for (uint32_t k = 0; arena->out[i].batch != NULL && k < arena->out[i].batch->count; k++) visit(arena->out[i].batch->blocks[k]);
  for (uintptr_t item = arena->remote; item != 0;) {
    const struct block *block = (const struct block *)(item & ~SINGLE);
    const struct batch *batch = (const struct batch *)item;
    if (item & SINGLE) {
      visit(block);
      item = guard_decode(&block->next, (uintptr_t)block->next);
      continue;
    }
    for (uint32_t k = 0; k < batch->count; k++) visit(batch->blocks[k]);
    item = guard_decode(&batch->next, batch->next);
  }
}
