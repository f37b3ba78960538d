/* arena.c: one thread's slots and its stock of free blocks.
 *
 * Small requests are served from a stock: the whole free list of one slot, taken in O(1).
 * Freed blocks go onto the list of their slot, those of the slot that is served from into the stock, so that the warmest comes
 * first. Of a slot's frees the arena hears only when
 * the slot's countdown runs out: in PLACE_FULL after a few (the slot is offered again), in
 * PLACE_LISTED whenever half of what is out has come back, at last at zero (the slot goes back).
 *
 * What is freed of a medium class goes into the stock, whichever slot it is from (medium.c).
 *
 * Listed slots that did not serve for some time are parked (park.c): their frees write the state byte and nothing else.
 *
 * Owner:     the arena's thread.
 * Invariant: A1  all blocks of blocks[c] come from the slot blocks[c].current, or, if c is medium, from slots of class
 *                c that the arena owns; `count` is their number. To their slots they are used.
 *            A2  a slot in PLACE_LISTED is on listed[its class], one in PLACE_FULL on `full`;
 *                one in PLACE_CURRENT is blocks[its class].current.
 *            A3  a slot in PLACE_LISTED has a free or a purged block.
 *            A6  a parked slot is listed, has no list of its own, and nothing of it is in stock; its state bytes say what is free.
 *            A4  fresh[c], where set, is the only slot of class c with fresh < its capacity.
 * Cost:      a refill is O(1) but for carving, at most CARVE_MAX bytes' worth of blocks. */
#include "arena.h"

#include "arena_inside.h"
#include "chunk.h"
#include "guard.h"
#include "huge.h"
#include "large.h"
#include "medium.h"
#include "orphan.h"
#include "os.h"
#include "park.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"
#include "tidy.h"

/* A current slot's countdown hardly ever runs out, and then means nothing. */
#define COUNTDOWN_NEVER (1u << 30)

/* ---- The slots of an arena ------------------------------------------------------- */

void arena_release_slot(struct slot *slot) {
  lock_acquire(&heap.lock);
  slot_uncut(slot);
  chunk_give(slot, 1);
  lock_release(&heap.lock);
}

void arena_sync(struct arena *arena, struct slot *slot) {
  uint32_t returned = slot_returned(slot);
  if (slot_feeds_stock(slot))
    arena->handed += returned;
  else
    slot->used = (uint16_t)(slot->used - returned);
  arena->returned += returned;
  slot->countdown_from = slot->countdown;
}

/* The current slot has nothing left: await the return of a few of its blocks. */
static void set_full(struct arena *arena, struct slot *slot) {
  uint32_t slack = slot_capacity(slot) / SLACK_DIVISOR;
  slot->place = PLACE_FULL;
  slot_list_append(&arena->full, slot);
  slot_set_countdown(slot, slack > 1 ? (slack < slot->used ? slack : slot->used) : 1);
}

static void list(struct arena *arena, struct slot *slot) {
  slot->place = PLACE_LISTED;
  slot_list_append(&arena->listed[slot->class], slot);
}

void arena_unpark(struct arena *arena, struct slot *slot) {
  if (slot_is_open_to(slot, arena)) return;
  park_end(arena, slot);
  slot_relink(slot);
}

void arena_unlink_slot(struct arena *arena, struct slot *slot) {
  arena_unpark(arena, slot);
  if (slot->place == PLACE_FULL) slot_list_remove(&arena->full, slot);
  if (slot->place == PLACE_LISTED) slot_list_remove(&arena->listed[slot->class], slot);
  if (arena->blocks[slot->class].current == slot) arena->blocks[slot->class].current = NULL;
  slot->list = &slot->free;
  if (arena->fresh[slot->class] == slot) arena->fresh[slot->class] = NULL;
}

/* 1 if the slot did not serve for some time. */
static int is_idle(const struct arena *arena, const struct slot *slot) { return arena->now - slot->stamp >= IDLE_SLOT_MS; }

void arena_park_idle(struct arena *arena, struct slot *slot) {
  if (slot->in_stock == 0 && is_idle(arena, slot)) park_put(arena, slot);
}

int arena_settle(struct arena *arena, struct slot *slot) {
  if (slot->place == PLACE_FULL) {
    slot_list_remove(&arena->full, slot);
    list(arena, slot);
  }
  if (slot->used > 0) {
    slot_set_countdown(slot, slot->used > 8 ? slot->used / 2 : slot->used);
    if (slot->place == PLACE_LISTED) arena_park_idle(arena, slot);
    return 1;
  }
  /* One free slot of each class is kept, so that a burst at its edge costs no system call. */
  struct slot_list *listed = &arena->listed[slot->class];
  arena->now = os_now_ms();
  if (listed->first == listed->last && slot->purged == 0 && !is_idle(arena, slot)) {
    slot_set_countdown(slot, COUNTDOWN_NEVER);
    return 1;
  }
  arena_unlink_slot(arena, slot);
  arena_release_slot(slot);
  purge_notice();
  return 0;
}

void arena_slot_event(struct arena *arena, struct slot *slot) {
  arena->now = os_now_ms();
  arena_sync(arena, slot);
  if (slot->place == PLACE_CURRENT) {
    slot_set_countdown(slot, COUNTDOWN_NEVER); /* so many there were */
    return;
  }
  int parked = !slot_is_open_to(slot, arena);
  if (parked) park_end(arena, slot);
  if (arena_settle(arena, slot) && parked && slot_is_open_to(slot, arena)) park_put(arena, slot);
}

void arena_put(struct arena *arena, struct slot *slot, struct block *block) {
  int is_medium = block_is_medium(slot->class);
  if (is_medium) arena_unpark(arena, slot);
  /* relaxed: whoever sweeps a parked slot may look. */
  __atomic_store_n(slot_state(slot, (uintptr_t)block), BLOCK_FREE, __ATOMIC_RELAXED);
  if (is_medium) {
    guard_rest(block);
    medium_keep(arena, slot, block);
    return;
  }
  if (LIKELY(slot_is_open_to(slot, arena))) {
    guard_link(block, *slot->list);
    *slot->list = block;
  } else {
    park_note(arena, slot);
  }
  if (--slot->countdown == 0) arena_slot_event(arena, slot);
}

void arena_accept(struct arena *arena, struct slot *slot, struct block *block) {
  arena->drained++;
  arena_put(arena, slot, block);
}

/* ---- The stock ---------------------------------------------------------------------- */

/* `count` blocks of the current slot are in stock now: to it they are used. */
static int hand_out(struct arena *arena, struct slot *slot, uint32_t count) {
  slot->used = (uint16_t)(slot->used + count);
  slot->stamp = arena->now;
  arena->handed += count;
  return 1;
}

/* Put all that came back to the current slot, which is something, into the stock. Requires `used` to be up to date. */
static int hand_out_list(struct arena *arena, struct slot *slot) {
  uint32_t count = (uint32_t)slot->fresh - slot->purged - slot->used;
  if (block_is_medium(slot->class)) {
    medium_take(arena, slot, slot->free_bits);
    slot->free_bits = 0;
  } else {
    arena->blocks[slot->class].first = slot->free;
    slot->free = NULL;
  }
  return hand_out(arena, slot, count);
}

/* How many blocks to carve next. Those of a medium class are not touched by it, but in the hardened build: all. */
static uint32_t carve_count(const struct slot *slot) {
  if (block_is_medium(slot->class) && !BM_HARDENED) return slot_capacity(slot);
  uint32_t size = block_classes[slot->class].size;
  uint32_t bytes = slot->fresh * size;
  int is_cheap = slot->warm && size <= SMALL_MAX;
  uint32_t least = is_cheap ? CARVE_MAX : CARVE_MIN, most = is_cheap ? CARVE_WARM : CARVE_MAX;
  if (bytes < least) bytes = least;
  if (bytes > most) bytes = most;
  return bytes > size ? bytes / size : 1;
}

static int carve(struct arena *arena, struct slot *slot) {
  struct block *block;
  uint32_t count = slot_carve(slot, carve_count(slot), &block);
  if (slot->fresh == slot_capacity(slot)) arena->fresh[slot->class] = NULL;
  if (block_is_medium(slot->class))
    medium_take(arena, slot, (~UINT64_C(0) >> (64 - count)) << slot_index_of(slot, block));
  else
    arena->blocks[slot->class].first = block;
  return hand_out(arena, slot, count);
}

/* Make `slot`, on no list, the one its class is served from. */
static void set_current(struct arena *arena, struct slot *slot) {
  struct stock *stock = &arena->blocks[slot->class];
  struct slot *old = stock->current;
  if (old == slot) return;
  if (old != NULL) {
    arena_sync(arena, old);
    old->list = &old->free;
    set_full(arena, old);
  }
  slot->place = PLACE_CURRENT;
  stock->current = slot;
  if (!block_is_medium(slot->class)) {
    stock->reciprocal = slot->reciprocal;
    stock->states = slot->states;
    slot->list = &stock->first;
  }
  slot_set_countdown(slot, COUNTDOWN_NEVER);
}

/* Serve from a slot that was listed somewhere: it has free or purged blocks. */
static int serve(struct arena *arena, struct slot *slot) {
  arena_sync(arena, slot);
  set_current(arena, slot);
  if (!slot_has_free(slot)) slot_unpurge(slot);
  return hand_out_list(arena, slot);
}

/* Return the stock of one class to the slots it came from. */
static void return_stock(struct arena *arena, unsigned class) {
  struct slot *slot = arena->blocks[class].current;
  if (block_is_medium(class)) {
    medium_return(arena, class);
    return;
  }
  if (slot == NULL) return;
  arena_sync(arena, slot);
  struct block *block = arena->blocks[class].first;
  arena->blocks[class].first = NULL;
  while (block != NULL) {
    struct block *next = guard_next(block);
    guard_link(block, slot->free);
    slot->free = block;
    slot->used--;
    arena->handed--;
    block = next;
  }
}

/* A slot of the arena's own that has no block in the program's hands, taken from its class; or NULL. Only
 * classes of few blocks are looked at, and only what their requests left behind. */
static struct slot *recut(struct arena *arena) {
  /* relaxed: a hint. */
  if (__atomic_load_n(&heap.dirty_bytes, __ATOMIC_RELAXED) >= SLOT_BYTES) return NULL; /* there is memory that was touched */
  for (unsigned class = CLASS_COUNT; class-- > 0 && block_classes[class].size >= RECUT_MIN;) {
    struct slot *slot = arena->blocks[class].current;
    if (slot == NULL || slot->used != slot->in_stock) continue;
    return_stock(arena, class);
    if (arena->blocks[class].current != slot) continue; /* it went back to the heap */
    arena_unlink_slot(arena, slot);
    return slot;
  }
  return NULL;
}

/* An arena's first slot of a class goes without the pages that others left in it, since most threads need but a page of most classes,
 * and nobody else could use the rest. It is the arena's by then: a fork may copy it at any time. */
static void clean_first(struct arena *arena, struct slot *slot) {
  if (BM_HARDENED || (arena->served >> slot->class & 1) != 0) return;
  arena->served |= UINT64_C(1) << slot->class;
  if (!slot->warm || os_purge((void *)slot_base(slot), SLOT_BYTES) != 0) return;
  slot->warm = 0;
  lock_acquire(&heap.lock);
  heap.purged_bytes += SLOT_BYTES;
  lock_release(&heap.lock);
}

static struct slot *new_slot(struct arena *arena, unsigned class) {
  struct slot *slot = recut(arena);
  int is_recut = slot != NULL;
  /* Memory that is there, before any that is not. */
  if (!BM_HARDENED && !is_recut && arena->kept_slots > 0) large_drop_all(arena);
  lock_acquire(&heap.lock);
  if (is_recut)
    slot_uncut(slot);
  else
    slot = chunk_take(1);
  if (slot != NULL && !slot_cut(slot, class, arena)) {
    chunk_give(slot, 1);
    slot = NULL;
  }
  lock_release(&heap.lock);
  if (slot != NULL && !is_recut) clean_first(arena, slot);
  if (block_is_medium(class)) medium_note_new(arena, class);
  if (slot != NULL && !slot->warm) huge_give_way(SLOT_BYTES);
  return slot;
}

int arena_refill(struct arena *arena, unsigned class) {
  struct slot *slot = arena->blocks[class].current;
  if (++arena->events >= EVENTS_PER_TICK) {
    tidy_tick(arena);
    slot = arena->blocks[class].current;
  }
  if (remote_waiting(arena)) {
    remote_drain(arena);
    if (arena_has_stock(arena, class)) return 1; /* a block came home */
    slot = arena->blocks[class].current;
  }
  if (slot != NULL && (slot_has_free(slot) || slot->purged > 0)) return serve(arena, slot);
  uint32_t listed = arena->listed[class].first;
  if (listed != 0) {
    slot = slot_at(listed);
    arena_unpark(arena, slot);
    slot_list_remove(&arena->listed[class], slot);
    return serve(arena, slot);
  }
  slot = arena->fresh[class];
  if (slot == NULL) {
    slot = orphan_adopt(arena, class);
    if (slot != NULL) {
      if (slot->fresh < slot_capacity(slot)) arena->fresh[class] = slot;
      if (slot->used < slot->fresh) return serve(arena, slot);
    } else {
      slot = new_slot(arena, class);
      if (slot == NULL) return 0;
      arena->fresh[class] = slot;
    }
  } else if (slot->place == PLACE_FULL) {
    slot_list_remove(&arena->full, slot);
    if (slot_has_free(slot)) return serve(arena, slot);
    arena_sync(arena, slot);
  }
  set_current(arena, slot);
  return carve(arena, slot);
}

uint64_t arena_stock(const struct arena *arena) {
  uint64_t count = 0;
  for (unsigned class = 0; class < CLASS_COUNT; class++)
    if (block_is_medium(class))
      count += arena->blocks[class].count;
    else
      for (const struct block *block = arena->blocks[class].first; block != NULL; block = guard_next(block)) count++;
  return count;
}

void arena_flush(struct arena *arena) {
  guard_flush(arena);
  large_drop_all(arena);
  remote_flush(arena);
  remote_drain(arena);
  for (unsigned class = 0; class < CLASS_COUNT; class++) {
    return_stock(arena, class);
    struct slot *slot = arena->blocks[class].current;
    if (slot != NULL && slot->used == 0) {
      arena_unlink_slot(arena, slot);
      arena_release_slot(slot);
    }
    slot = arena->listed[class].first != 0 ? slot_at(arena->listed[class].first) : NULL;
    while (slot != NULL) {
      struct slot *next = slot->next != 0 ? slot_at(slot->next) : NULL;
      arena_sync(arena, slot);
      if (slot->used == 0) {
        arena_unlink_slot(arena, slot);
        arena_release_slot(slot);
      } else if (slot_is_open_to(slot, arena)) {
        slot_set_countdown(slot, slot->used);
        park_put(arena, slot);
      }
      slot = next;
    }
  }
}

void arena_give_all(struct arena *arena) {
  arena_flush(arena);
  for (unsigned class = 0; class < CLASS_COUNT; class++) {
    struct slot *slot = arena->blocks[class].current;
    if (slot != NULL) {
      arena->blocks[class].current = NULL;
      slot->list = &slot->free;
      if (arena->fresh[class] == slot) arena->fresh[class] = NULL;
      orphan_give(slot);
    }
    while (arena->listed[class].first != 0) {
      slot = slot_at(arena->listed[class].first);
      arena_unlink_slot(arena, slot);
      arena_sync(arena, slot);
      orphan_give(slot);
    }
  }
  while (arena->full.first != 0) {
    struct slot *slot = slot_at(arena->full.first);
    arena_unlink_slot(arena, slot);
    arena_sync(arena, slot);
    orphan_give(slot);
  }
}
