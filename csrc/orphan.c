/* orphan.c: the orphanage, an arena without a thread.
 *
 * Here are the slots of threads that ended, and those that a thread did not allocate from for
 * some time and that are half free. Any thread that needs a slot of the class adopts one; their
 * free pages are purged meanwhile. A block of an orphan is freed as a stranger's, and the
 * thread that sends it takes it in at once.
 *
 * Owner:     orphan_lock; orphanage.remote as any arena's.
 * Invariant: P1  an orphan with a free, purged or fresh block is on listed[its class]
 *                (PLACE_LISTED, or PLACE_SWEPT if it was purged since the last free); others are
 *                on `full`.
 *            P2  an orphan's `used` is up to date, and at least 1.
 *            P3  a slot in PLACE_TORN is on torn[its class]: a thread that vanished in a fork may
 *                have been in the middle of something, so its list is made anew before it is used. */
#include "orphan.h"

#include "os.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"

struct arena orphanage = {.life = ARENA_LIVE};
struct lock orphan_lock;

static struct slot_list torn[CLASS_COUNT];
/* Orphans on listed[] and torn[]; written under the lock, read without as a hint. */
static uint32_t offered[CLASS_COUNT];
static size_t purgeable_bytes, purged_bytes;

static size_t size_of(const struct slot *slot) { return block_classes[slot->class].size; }

static void add_purgeable(size_t bytes) {
  __atomic_store_n(&purgeable_bytes, purgeable_bytes + bytes, __ATOMIC_RELAXED);
}

size_t orphan_purgeable(void) { return __atomic_load_n(&purgeable_bytes, __ATOMIC_RELAXED); }

static void count_offer(const struct slot *slot, int change) {
  uint32_t *count = &offered[slot->class];
  __atomic_store_n(count, *count + (uint32_t)change, __ATOMIC_RELAXED);
}

static void offer(struct slot *slot, struct slot_list *lists) {
  slot_list_append(&lists[slot->class], slot);
  count_offer(slot, 1);
}

static void unlink_orphan(struct slot *slot) {
  if (slot->place == PLACE_FULL) {
    slot_list_remove(&orphanage.full, slot);
    return;
  }
  slot_list_remove(slot->place == PLACE_TORN ? &torn[slot->class] : &orphanage.listed[slot->class], slot);
  count_offer(slot, -1);
}

size_t orphan_purged(void) { return purged_bytes; }

static void put(struct slot *slot) {
  slot_set_countdown(slot, 1);
  if (slot->used < slot->fresh || slot->fresh < slot_usable(slot)) {
    slot->place = PLACE_LISTED;
    offer(slot, orphanage.listed);
    add_purgeable(((size_t)slot->fresh - slot->purged - slot->used) * size_of(slot));
  } else {
    slot->place = PLACE_FULL;
    slot_list_append(&orphanage.full, slot);
  }
}

void orphan_give(struct slot *slot) {
  if (slot->used == 0) {
    arena_release_slot(slot);
    return;
  }
  lock_acquire(&orphan_lock);
  __atomic_store_n(&slot->owner, &orphanage, __ATOMIC_RELAXED);
  slot->stamp = os_now_ms();
  put(slot);
  lock_release(&orphan_lock);
}

/* Make a torn slot whole; if it turns out to be free it goes back to the heap. Requires orphan_lock. */
static void mend(struct slot *slot) {
  unlink_orphan(slot);
  slot_rebuild(slot);
  if (slot->used == 0)
    arena_release_slot(slot);
  else
    put(slot);
}

static void accept(struct slot *slot, struct block *block, uint32_t now) {
  if (slot->place == PLACE_TORN) mend(slot); /* the block is still used, so the slot stays */
  *slot_state(slot, (uintptr_t)block) = BLOCK_FREE;
  block->next = slot->free;
  slot->free = block;
  slot->used--;
  slot->stamp = now;
  orphanage.returned++;
  orphanage.drained++;
  if (slot->used == 0) {
    unlink_orphan(slot);
    arena_release_slot(slot);
    return;
  }
  if (slot->place == PLACE_FULL) {
    unlink_orphan(slot);
    offer(slot, orphanage.listed);
  }
  slot->place = PLACE_LISTED;
  add_purgeable(size_of(slot));
}

void orphan_drain(void) {
  /* Whoever holds the lock looks again after releasing it, so no block is left behind. */
  while (remote_waiting(&orphanage) && lock_try(&orphan_lock)) {
    struct block *strays = NULL, *next;
    uint32_t now = os_now_ms();
    for (struct block *block = remote_take(&orphanage); block != NULL; block = next) {
      next = block->next;
      struct slot *slot = slot_of((uintptr_t)block);
      if (slot_owner(slot) == &orphanage) {
        accept(slot, block, now);
      } else {
        block->next = strays;
        strays = block;
      }
    }
    lock_release(&orphan_lock);
    for (; strays != NULL; strays = next) {
      next = strays->next;
      remote_reroute(strays);
    }
    purge_notice();
  }
}

struct slot *orphan_adopt(struct arena *arena, unsigned class) {
  struct slot_list *listed = &orphanage.listed[class];
  /* relaxed: a hint; the lists are looked at again under the lock. */
  if (__atomic_load_n(&offered[class], __ATOMIC_RELAXED) == 0) return NULL;
  orphan_drain();
  struct slot *slot = NULL;
  lock_acquire(&orphan_lock);
  while (listed->first == 0 && torn[class].first != 0) mend(slot_at(torn[class].first));
  if (listed->first != 0) {
    slot = slot_at(listed->first);
    unlink_orphan(slot);
    slot->place = PLACE_CURRENT;
    slot_set_countdown(slot, 1);
    __atomic_store_n(&slot->owner, arena, __ATOMIC_RELAXED);
  }
  lock_release(&orphan_lock);
  return slot;
}

size_t orphan_purge(uint32_t now, uint32_t delay) {
  size_t purged = 0;
  if (orphan_purgeable() == 0 || !lock_try(&orphan_lock)) return 0;
  size_t left = 0;
  for (unsigned class = 0; class < CLASS_COUNT; class++) {
    for (uint32_t number = orphanage.listed[class].first; number != 0; number = slot_at(number)->next) {
      struct slot *slot = slot_at(number);
      if (slot->place == PLACE_SWEPT) continue;
      if (now - slot->stamp < delay) {
        left += ((size_t)slot->fresh - slot->purged - slot->used) * size_of(slot);
        continue;
      }
      purged += slot_purge(slot);
      slot->place = PLACE_SWEPT;
    }
  }
  purged_bytes += purged;
  __atomic_store_n(&purgeable_bytes, left, __ATOMIC_RELAXED);
  lock_release(&orphan_lock);
  orphan_drain();
  return purged;
}

void orphan_inherit(struct slot *slot) {
  if (slot_owner(slot) == &orphanage) {
    if (slot->place == PLACE_TORN) return;
    unlink_orphan(slot);
  }
  __atomic_store_n(&slot->owner, &orphanage, __ATOMIC_RELAXED);
  slot_set_countdown(slot, 1);
  slot->place = PLACE_TORN;
  offer(slot, torn);
}
