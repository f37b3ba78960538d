/* large.c: blocks of whole slots: a power of two of them whose last eighths were given back.
 *
 * The arena that frees one keeps it until it frees the next of its size, or too much is kept, so that a program that
 * takes and gives the same sizes again and again needs no lock.
 *
 * The hardened build keeps several of a size, linked by `next`, since to make one costs it several system calls.
 *
 * Owner:     heap.lock; a block's `kind` and `used` are also written by whoever has the block.
 * Invariant: L1  a block's first slot has kind SLOT_LARGE (or SLOT_KEPT) and `used` slots, of which the
 *                others have kind SLOT_REST; none has an owner.
 *            L2  arena.kept[n - 1] is NULL or a block of n slots of kind SLOT_KEPT, in the hardened build the first of
 *                several; every such block is some arena's.
 * Cost:      two or three atomic operations, or chunk_take() and chunk_give(). */
#include "large.h"

#include "arena.h"
#include "chunk.h"
#include "fatal.h"
#include "guard.h"
#include "huge.h"
#include "os.h"
#include "purge.h"

#include <string.h>

/* In the hardened build pages.c notes how long the program's part of the block is. */
static void note_request(struct slot *slot, size_t size) {
  if (!BM_HARDENED) slot->request = size;
}

/* The arena's kept block of `count` slots, taken; or NULL. */
static struct slot *take_kept(struct arena *arena, uint32_t count) {
  if (count > KEPT_SLOTS_MAX) return NULL;
  struct slot **kept = &arena->kept[count - 1];
  if (__atomic_load_n(kept, __ATOMIC_RELAXED) == NULL) return NULL;
  /* acq_rel: purge.c may take it instead. Nobody else puts one in, so what is taken here is what was
   * loaded, or NULL. */
  struct slot *slot = __atomic_exchange_n(kept, NULL, __ATOMIC_ACQ_REL);
  if (slot == NULL) return NULL;
  /* release: as in keep(). */
  if (BM_HARDENED && slot->next != 0) __atomic_store_n(kept, slot_at(slot->next), __ATOMIC_RELEASE);
  arena->kept_slots -= count;
  arena->large_allocs++;
  __atomic_store_n(&slot->kind, SLOT_LARGE, __ATOMIC_RELAXED);
  return slot;
}

void *large_take_kept(size_t size) {
  struct slot *slot = take_kept(arena_mine, (uint32_t)block_large_slots(size));
  if (slot == NULL) return NULL;
  note_request(slot, size);
  return (void *)slot_base(slot);
}

static void give(struct slot *slot) {
  if (!guard_large_unmade(slot)) return; /* it is not forgotten */
  lock_acquire(&heap.lock);
  chunk_give(slot, slot->used);
  lock_release(&heap.lock);
}

void large_drop_kept(struct arena *arena, uint32_t count) {
  struct slot **kept = &arena->kept[count - 1];
  /* relaxed: what is put in meanwhile is kept. */
  if (__atomic_load_n(kept, __ATOMIC_RELAXED) == NULL) return;
  struct slot *slot = __atomic_exchange_n(kept, NULL, __ATOMIC_ACQ_REL);
  if (!BM_HARDENED && slot != NULL) give(slot);
  for (uint32_t next; BM_HARDENED && slot != NULL; slot = next == 0 ? NULL : slot_at(next)) {
    next = slot->next;
    give(slot);
  }
}

void large_drop_all(struct arena *arena) {
  for (uint32_t count = 1; count <= KEPT_SLOTS_MAX; count++) large_drop_kept(arena, count);
  arena->kept_slots = 0;
}

void large_inherit(const struct arena *mine) {
  if (BM_HARDENED) return; /* such a block may wait for its guard pages to be opened */
  lock_acquire(&heap.lock);
  for (uint32_t number = CHUNK_SLOTS; number < heap.top; number++) {
    struct slot *slot = slot_at(number);
    if (slot->kind != SLOT_KEPT || (slot->used <= KEPT_SLOTS_MAX && mine->kept[slot->used - 1] == slot)) continue;
    chunk_give(slot, slot->used);
  }
  lock_release(&heap.lock);
}

/* Keep a block that was freed; returns the one of its size kept until now, if one must go, or NULL. */
static struct slot *keep(struct arena *arena, struct slot *slot) {
  struct slot **kept = &arena->kept[slot->used - 1];
  arena->large_frees++;
  if (!BM_HARDENED && __atomic_load_n(kept, __ATOMIC_RELAXED) != NULL)
    return __atomic_exchange_n(kept, slot, __ATOMIC_ACQ_REL);
  arena->kept_slots += slot->used;
  if (UNLIKELY(arena->kept_slots > KEPT_TOTAL_MAX)) {
    large_drop_all(arena);
    arena->kept_slots = slot->used;
    purge_notice();
  }
  if (BM_HARDENED) {
    const struct slot *first = __atomic_exchange_n(kept, NULL, __ATOMIC_ACQ_REL);
    slot->next = first == NULL ? 0 : slot_number(first);
  }
  /* release: whoever takes it sees its kind. Only this thread puts one in where there is none. */
  __atomic_store_n(kept, slot, __ATOMIC_RELEASE);
  return NULL;
}

/* Make the slots of the bits in `dirty` zero, as far as they are part of the first `size` bytes: by giving their pages back, which costs
 * less than writing them and takes no memory until they are used. A block that was kept was written a moment ago, and is in the cache. */
static void zero(char *address, size_t size, int kept, uint64_t dirty) {
  if (kept) {
    os_zero(address, size);
    return;
  }
  while (dirty != 0) {
    size_t start = (size_t)__builtin_ctzll(dirty);
    uint64_t rest = ~(dirty >> start);
    size_t run = rest == 0 ? CHUNK_SLOTS : (size_t)__builtin_ctzll(rest);
    size_t from = start * SLOT_BYTES, to = (start + run) * SLOT_BYTES;
    if (from >= size) return;
    if (BM_HARDENED)
      guard_large_zero(address + from, to - from);
    else if (os_purge(address + from, to - from) != 0)
      memset(address + from, 0, (to < size ? to : size) - from);
    dirty &= start + run == CHUNK_SLOTS ? 0 : ~UINT64_C(0) << (start + run);
  }
}

void *large_alloc(size_t size, size_t alignment, int zeroed) {
  size_t count = block_large_slots(size);
  size_t aligned = alignment >> SLOT_ORDER;
  if (count < aligned) count = aligned;
  uint64_t dirty = 0;
  struct slot *slot = aligned <= 1 ? take_kept(arena_mine, (uint32_t)count) : NULL;
  int kept = slot != NULL;
  if (!kept) {
    lock_acquire(&heap.lock);
    slot = chunk_take((uint32_t)count);
    if (slot != NULL) {
      dirty = chunk_dirty(slot, (uint32_t)count);
      chunk_set_dirty(slot, (uint32_t)count);
      slot->used = (uint16_t)count;
      slot->kind = SLOT_LARGE;
      guard_large_made(slot);
      heap.large_allocs++;
    }
    lock_release(&heap.lock);
    if (slot == NULL) return NULL;
    size_t untouched = count - (size_t)__builtin_popcountll(dirty);
    if (untouched > 0) huge_give_way(untouched * SLOT_BYTES);
  }
  note_request(slot, size);
  void *address = (void *)slot_base(slot);
  if (zeroed) zero(address, size, kept, dirty);
  return address;
}

/* Requires heap.lock, but for blocks that are in use. */
static const char *fault_of(const struct slot *slot, uintptr_t address) {
  int is_start = (address & (SLOT_BYTES - 1)) == 0;
  const struct slot *first = slot;
  while (slot_kind(first) == SLOT_REST && slot_number(first) % CHUNK_SLOTS != 0) first--;
  switch (slot_kind(first)) {
    case SLOT_LARGE:
      return FATAL_INTERIOR;
    case SLOT_KEPT:
      return first == slot && is_start ? FATAL_DOUBLE_FREE : FATAL_INTERIOR;
    case SLOT_FREE:
    case SLOT_PURGING:
      /* Every block in it was freed; whether one ever began here is not known any more. */
      return address % 16 == 0 ? FATAL_DOUBLE_FREE : FATAL_INVALID;
    default:
      return FATAL_INVALID;
  }
}

const char *large_fault(const struct slot *slot, uintptr_t address) {
  int is_mine = lock_is_mine(&heap.lock); /* a handler that interrupted its holder */
  if (!is_mine) lock_acquire(&heap.lock);
  const char *fault = fault_of(slot, address);
  if (!is_mine) lock_release(&heap.lock); /* a handler of the signal may allocate */
  return fault;
}

void large_free(struct slot *slot, void *address) {
  struct arena *arena = arena_mine;
  if (UNLIKELY((uintptr_t)address != slot_base(slot) || __atomic_load_n(&slot->kind, __ATOMIC_RELAXED) != SLOT_LARGE))
    fatal(large_fault(slot, (uintptr_t)address), address);
  __atomic_store_n(&slot->kind, SLOT_KEPT, __ATOMIC_RELAXED);
  if (LIKELY(slot->used <= KEPT_SLOTS_MAX && !arena_is_none(arena))) {
    slot = keep(arena, slot);
    if (slot == NULL) return;
  } else {
    __atomic_fetch_add(&heap.large_frees, 1, __ATOMIC_RELAXED);
  }
  give(slot);
  purge_notice();
}

int large_resize(struct slot *slot, size_t size) {
  uint32_t count = (uint32_t)block_large_slots(size);
  int done = 1;
  lock_acquire(&heap.lock);
  uint32_t old = slot->used;
  if (count < old) {
    slot->used = (uint16_t)count;
    chunk_give(slot + count, old - count);
  } else if (count > old) {
    done = chunk_extend(slot + old, count - old);
    if (done) {
      slot->used = (uint16_t)count;
      chunk_set_dirty(slot + old, count - old);
    }
  }
  lock_release(&heap.lock);
  if (done) note_request(slot, size);
  return done;
}
