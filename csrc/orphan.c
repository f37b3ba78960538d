/* orphan.c: the orphanage, an arena without a thread.
 *
 * Here are the slots of threads that ended, and those that a thread did not allocate from for
 * some time and that are half free. Any thread that needs a slot of the class adopts one; their
 * free pages are purged meanwhile. A block of an orphan is freed as a stranger's, and the
 * thread that sends it takes it in at once.
 *
 * Owner:     orphan_lock; orphanage.remote as any arena's.
 * Invariant: P1  an orphan with a free, purged or fresh block is on listed[its class] (PLACE_LISTED), or on
 *                swept[its class] (PLACE_SWEPT) if it was purged since the last free; others are on
 *                `full`.
 *            P2  an orphan's `used` is up to date, and at least 1.
 *            P3  a slot in PLACE_TORN is on torn[its class]: a thread that vanished in a fork may
 *                have been in the middle of something, so its list is made anew before it is used. */
#include "orphan.h"

#include "guard.h"
#include "os.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"

struct arena orphanage = {.life = ARENA_LIVE};
struct lock orphan_lock;

/* The lists that an orphan can be on, by class; orphanage.listed is the one of PLACE_LISTED. */
static struct slot_list swept[CLASS_COUNT], torn[CLASS_COUNT];
/* Orphans on these lists; written under the lock, read without as a hint. */
static uint32_t offered[CLASS_COUNT];
static size_t purgeable_bytes, purged_bytes;

size_t orphan_purgeable(void) { return __atomic_load_n(&purgeable_bytes, __ATOMIC_RELAXED); }
size_t orphan_purged(void) { return purged_bytes; }

/* What sweeping the orphan may give back. */
static size_t sweepable(const struct slot *slot) {
  if (slot->place != PLACE_LISTED) return 0;
  return ((size_t)slot->fresh - slot->purged - slot->used) * block_classes[slot->class].size;
}

static void add_purgeable(size_t bytes) {
  __atomic_store_n(&purgeable_bytes, purgeable_bytes + bytes, __ATOMIC_RELAXED);
}

/* Add to (1) or take off (-1) the sums that an orphan is part of. */
static void count(const struct slot *slot, int sign) {
  uint32_t *slots = &offered[slot->class];
  size_t bytes = sweepable(slot);
  __atomic_store_n(slots, *slots + (uint32_t)sign, __ATOMIC_RELAXED);
  add_purgeable(sign > 0 ? bytes : 0 - bytes);
}

static struct slot_list *list_of(const struct slot *slot) {
  switch (slot->place) {
    case PLACE_FULL:
      return &orphanage.full;
    case PLACE_SWEPT:
      return &swept[slot->class];
    case PLACE_TORN:
      return &torn[slot->class];
    default:
      return &orphanage.listed[slot->class];
  }
}

static void unlink_orphan(struct slot *slot) {
  slot_list_remove(list_of(slot), slot);
  if (slot->place != PLACE_FULL) count(slot, -1);
}

static void link_orphan(struct slot *slot, enum slot_place place) {
  slot->place = (uint8_t)place;
  slot_list_append(list_of(slot), slot);
  if (place != PLACE_FULL) count(slot, 1);
}

static void put(struct slot *slot, uint32_t now) {
  slot_set_countdown(slot, 1);
  slot->stamp = now;
  link_orphan(slot, slot->used < slot->fresh || slot->fresh < slot_capacity(slot) ? PLACE_LISTED : PLACE_FULL);
}

/* Whoever pushed a block while the lock was held has left it to the holder to take in. */
static void leave(void) {
  lock_release(&orphan_lock);
  orphan_drain();
}

void orphan_give(struct slot *slot) {
  if (slot->used == 0) {
    arena_release_slot(slot);
    return;
  }
  uint32_t now = os_now_ms();
  lock_acquire(&orphan_lock);
  slot_set_owner(slot, &orphanage);
  put(slot, now);
  leave();
}

/* Make a torn slot whole; if it turns out to be free it goes back to the heap. Requires orphan_lock. */
static void mend(struct slot *slot, uint32_t now) {
  unlink_orphan(slot);
  slot_rebuild(slot);
  if (slot->used == 0)
    arena_release_slot(slot);
  else
    put(slot, now);
}

static void accept(struct slot *slot, struct block *block, uint32_t now) {
  if (slot->place == PLACE_TORN) mend(slot, now); /* the block is still used, so the slot stays */
  *slot_state(slot, (uintptr_t)block) = BLOCK_FREE;
  orphanage.returned++;
  orphanage.drained++;
  slot_push(slot, block);
  if (slot->place == PLACE_PURGING) {
    slot->used--;
  } else if (slot->place == PLACE_LISTED && slot->used > 1) {
    slot->used--;
    slot->stamp = now;
    add_purgeable(block_classes[slot->class].size);
  } else {
    unlink_orphan(slot);
    if (--slot->used == 0)
      arena_release_slot(slot);
    else
      put(slot, now);
  }
}

/* 1 with the lock held, if there is anything to take in and nobody else who will. */
static int begin_drain(void) {
  /* seq_cst, as are push() and the lock: of a thread that pushes and then finds the lock held, and the holder
   * that releases it and then looks at the queue, at least one sees what the other did. */
  return __atomic_load_n(&orphanage.remote, __ATOMIC_SEQ_CST) != 0 && lock_try(&orphan_lock);
}

void orphan_drain(void) {
  /* Whoever holds the lock looks again after releasing it, so no block is left behind. */
  while (begin_drain()) {
    struct block *strays = NULL, *next;
    uint32_t now = os_now_ms();
    struct remote_cursor cursor = remote_take(&orphanage);
    for (struct block *block; (block = remote_next(&cursor)) != NULL;) {
      struct slot *slot = slot_of((uintptr_t)block);
      if (slot_owner(slot) == &orphanage) {
        accept(slot, block, now);
      } else {
        block->next = (struct block *)guard_encode(&block->next, (uintptr_t)strays);
        strays = block;
      }
    }
    lock_release(&orphan_lock);
    for (; strays != NULL; strays = next) {
      next = (struct block *)guard_decode(&strays->next, (uintptr_t)strays->next);
      remote_reroute(strays);
    }
    purge_notice();
  }
}

/* The orphan of the class that has waited longest: with its pages, without, or to be mended first. */
static struct slot *first_offer(unsigned class) {
  while (orphanage.listed[class].first == 0 && swept[class].first == 0 && torn[class].first != 0)
    mend(slot_at(torn[class].first), os_now_ms());
  uint32_t number = orphanage.listed[class].first;
  if (number == 0) number = swept[class].first;
  return number == 0 ? NULL : slot_at(number);
}

struct slot *orphan_adopt(struct arena *arena, unsigned class) {
  /* relaxed: a hint; the lists are looked at again under the lock. */
  if (__atomic_load_n(&offered[class], __ATOMIC_RELAXED) == 0) return NULL;
  orphan_drain();
  lock_acquire(&orphan_lock);
  struct slot *slot = first_offer(class);
  if (slot != NULL) {
    unlink_orphan(slot);
    slot->place = PLACE_CURRENT;
    slot_set_countdown(slot, 1);
    slot_set_owner(slot, arena);
  }
  leave();
  return slot;
}

/* Purge one orphan and put it on the list of those that were. Requires orphan_lock, and gives it up meanwhile. */
static size_t sweep(struct slot *slot) {
  size_t bytes = 0;
  unlink_orphan(slot);
  slot->place = PLACE_PURGING;
  uint32_t pages = slot_prepare_purge(slot);
  if (pages != 0) {
    slot_relink(slot);
    /* Nobody adopts the slot meanwhile; blocks may come home to its other pages. */
    lock_release(&orphan_lock);
    bytes = slot_purge(slot, pages);
    orphan_drain();
    lock_acquire(&orphan_lock);
  }
  if (slot->used == 0)
    arena_release_slot(slot);
  else
    link_orphan(slot, PLACE_SWEPT);
  return bytes;
}

size_t orphan_purge(uint32_t now, uint32_t delay, const struct lock *held) {
  size_t purged = 0;
  if (orphan_purgeable() == 0) return 0;
  lock_acquire(&orphan_lock);
  for (unsigned class = 0; class < CLASS_COUNT; class++) {
    /* Each slot that is on the list now comes first once. */
    for (uint32_t left = offered[class]; left > 0 && orphanage.listed[class].first != 0 && !lock_is_awaited(held); left--) {
      struct slot *slot = slot_at(orphanage.listed[class].first);
      if (os_has_passed(now, slot->stamp, delay)) {
        purged += sweep(slot);
      } else {
        slot_list_remove(&orphanage.listed[class], slot);
        slot_list_append(&orphanage.listed[class], slot);
      }
    }
  }
  purged_bytes += purged;
  leave();
  return purged;
}

void orphan_inherit(struct slot *slot) {
  if (slot_owner(slot) == &orphanage) {
    if (slot->place == PLACE_TORN) return;
    unlink_orphan(slot);
  }
  slot_set_owner(slot, &orphanage);
  slot_set_countdown(slot, 1);
  link_orphan(slot, PLACE_TORN);
}

int orphan_is_linked(const struct slot *slot) {
  const struct slot_list *list = list_of(slot);
  return slot_list_has(list, slot);
}
