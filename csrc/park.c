/* park.c: slots that their owner leaves to whoever purges.
 *
 * A thread that freed much and then sleeps cannot give anything back, and nobody else may touch its slots. So it parks
 * those with free blocks that it was not served from for some time: it marks the slot's owner, and forgets the slot's list. What is freed then is marked as free in its state
 * byte and nothing more; the comparison in free() sees to that. Whoever purges finds slots that stay parked for some rounds,
 * and purges the pages that only free blocks lie on. The slot stays parked, and on its owner's list, all the time;
 * its owner takes the mark off, and makes the slot's list anew from the state bytes, when it serves from it.
 *
 * An owner that takes a slot back pays for no atomic operation: it writes, and then looks whether a sweep was announced; whoever sweeps
 * announces it, has all threads meet (membarrier), and then looks whether the slot is still parked. One of them sees the other.
 *
 * Owner:     a slot's bits in `owner`: the arena's thread; OWNER_AGE also whoever purges, by compare-and-swap while there is
 *            OWNER_PARKED. Of a parked slot the arena's thread has the list it is on, `used`, the countdown and the change of state bytes
 *            from used to free; whoever holds park_lock and announced it the rest.
 * Cost:      a few instructions to park and to take back; a round looks at every slot of the heap, if any is parked. */
#include "park.h"

#include "os.h"
#include "purge.h"
#include "slot.h"

struct lock park_lock;
static size_t purged_bytes; /* under purge_lock */
/* The first slot of the chunk whose parked slots are being purged, 0 for none; written under park_lock. */
static uint32_t announced;

/* Bytes that one slot is taken to have for purging: what it has is not known before it is looked at. */
#define BYTES_ESTIMATE (SLOT_BYTES / 2)

size_t park_purgeable(const struct arena *arena) {
  /* relaxed: an estimate. */
  uint32_t parked = __atomic_load_n(&arena->parked, __ATOMIC_RELAXED), unparked = __atomic_load_n(&arena->unparked, __ATOMIC_RELAXED);
  int32_t slots = (int32_t)(parked - unparked - __atomic_load_n(&arena->swept, __ATOMIC_RELAXED));
  return slots > 0 ? (size_t)slots * BYTES_ESTIMATE : 0;
}

static void count(uint32_t *slots) { __atomic_store_n(slots, *slots + 1, __ATOMIC_RELAXED); }

size_t park_purged(void) { return purged_bytes; }

void park_put(struct arena *arena, struct slot *slot) {
  if (BM_UNCHECKED) return; /* which blocks are free would be forgotten */
  slot->place = PLACE_PARKED;
  slot->free_bits = 0;
  park_mark(arena, slot);
  count(&arena->parked);
  if (UNLIKELY(park_purgeable(arena) >= BACKGROUND_THRESHOLD)) purge_notice();
}

void park_note_swept(struct arena *arena, struct slot *slot) {
  __atomic_store_n(&slot->place, PLACE_PARKED, __ATOMIC_RELAXED);
  count(&arena->parked);
}

static COLD void wait_for_sweep(void) {
  lock_acquire(&park_lock);
  lock_release(&park_lock);
}

void park_end(struct arena *arena, struct slot *slot) {
  slot_set_owner(slot, arena);
  /* Between the two os_barrier() in sweep_chunk() stands for a barrier. */
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  /* acquire: pairs with the release that ends a sweep, whose effects are seen then. */
  if (UNLIKELY(__atomic_load_n(&announced, __ATOMIC_ACQUIRE) == (slot_number(slot) & ~(CHUNK_SLOTS - 1)))) wait_for_sweep();
  if (slot->place == PLACE_PARKED) count(&arena->unparked);
  slot->place = PLACE_LISTED;
}

/* Purge the slot's free pages, if it is still parked. Requires park_lock, the announcement, and a barrier since. */
static size_t sweep(struct slot *slot) {
  /* acquire: pairs with the release in park_put(). */
  uintptr_t owner = __atomic_load_n(&slot->owner, __ATOMIC_ACQUIRE);
  if ((owner & OWNER_PARKED) == 0 || slot->place == PLACE_SWEPT) return 0;
  struct arena *arena = (struct arena *)(owner & ~(uintptr_t)OWNER_BITS);
  count(&arena->swept);
  __atomic_store_n(&slot->place, PLACE_SWEPT, __ATOMIC_RELAXED);
  uint32_t pages = slot_prepare_purge(slot);
  return pages == 0 ? 0 : slot_purge(slot, pages);
}

/* 1 if the slot was parked for long enough; else it is one round older. */
static int is_due(struct slot *slot, int all) {
  /* relaxed: looked at again before anything is done. */
  uintptr_t owner = __atomic_load_n(&slot->owner, __ATOMIC_RELAXED);
  if ((owner & OWNER_PARKED) == 0) return 0;
  if (all || owner / OWNER_AGE % (OWNER_AGE_MAX + 1) == OWNER_AGE_MAX) return 1;
  __atomic_compare_exchange_n(&slot->owner, &owner, owner + OWNER_AGE, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return 0;
}

static size_t sweep_chunk(uint32_t first, uint64_t due) {
  size_t purged = 0;
  lock_acquire(&park_lock);
  lock_unmark(&park_lock);
  /* release: who sees this announcement sees the sweep before. */
  __atomic_store_n(&announced, first, __ATOMIC_RELEASE);
  if (os_barrier() == 0)
    for (; due != 0 && !lock_is_awaited(&park_lock); due &= due - 1) purged += sweep(slot_at(first + (uint32_t)__builtin_ctzll(due)));
  __atomic_store_n(&announced, 0, __ATOMIC_RELEASE);
  lock_release(&park_lock);
  return purged;
}

/* 1 if any slot is parked that was not swept since. */
static int is_any_parked(void) {
  /* acquire: whole arenas. */
  const struct arena *arena = __atomic_load_n(&arenas.all, __ATOMIC_ACQUIRE);
  while (arena != NULL && park_purgeable(arena) == 0) arena = arena->next;
  return arena != NULL;
}

size_t park_sweep(int all, const struct lock *held) {
  size_t total = 0;
  if (!is_any_parked()) return 0; /* the table of a large heap is long */
  /* relaxed: slots that the heap gets meanwhile are nothing to purge yet. */
  uint32_t top = __atomic_load_n(&heap.top, __ATOMIC_RELAXED);
  for (uint32_t first = CHUNK_SLOTS; first < top && !lock_is_awaited(held); first += CHUNK_SLOTS) {
    uint64_t due = 0;
    for (uint32_t i = 0; i < CHUNK_SLOTS; i++) due |= (uint64_t)is_due(slot_at(first + i), all) << i;
    if (due != 0) total += sweep_chunk(first, due);
  }
  purged_bytes += total;
  return total;
}
