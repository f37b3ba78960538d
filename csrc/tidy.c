/* tidy.c: what a thread that allocates does now and then besides: it sends what it collected for others, purges if that is due and nobody
 * else does, and lets go of slots that it did not need lately.
 *
 * Owner:     the arena's thread.
 * Cost:      a look at the clock; every TIDY_MS one class's stock, if it is medium, and at most TIDY_SLOTS of its slots. */
#include "tidy.h"

#include "arena_inside.h"
#include "medium.h"
#include "orphan.h"
#include "os.h"
#include "park.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"

/* Let others have a slot of which little is used and that was left alone for long. */
static void give_away(struct arena *arena, struct slot *slot) {
  arena_unlink_slot(arena, slot);
  orphan_give(slot);
  purge_notice();
}

static void tidy_slot(struct arena *arena, struct slot *slot) {
  if (!slot_is_open_to(slot, arena)) {
    arena_sync(arena, slot);
    if (park_is_swept(slot) && slot->used <= slot_capacity(slot) / ORPHAN_DIVISOR) give_away(arena, slot);
  } else {
    arena_park_idle(arena, slot);
  }
}

static int is_listed(const struct arena *arena, const struct slot *slot, unsigned class) {
  if (slot_kind(slot) != SLOT_CUT || slot_owner(slot) != arena || slot->class != class) return 0;
  return slot->place == PLACE_LISTED || !slot_is_open_to(slot, arena);
}

/* One class at a time, and of that so many slots, so that no request waits for long: from where the last look ended, if that slot
 * is still listed, or from the one that was listed first. */
static void tidy_class(struct arena *arena, unsigned class) {
  if (block_is_medium(class)) medium_tidy(arena, class);
  uint32_t number = arena->tidy_next[class], left = TIDY_SLOTS;
  if (!is_listed(arena, slot_at(number), class)) number = arena->listed[class].first;
  for (uint32_t next; number != 0 && left > 0; number = next, left--) {
    struct slot *slot = slot_at(number);
    next = slot->next;
    tidy_slot(arena, slot);
  }
  arena->tidy_next[class] = number;
}

void tidy_tick(struct arena *arena) {
  arena->now = os_now_ms();
  arena->events = 0;
  if (arena->now - arena->flushed >= REMOTE_FLUSH_MS) {
    arena->flushed = arena->now;
    remote_flush(arena);
  }
  purge_tick(arena->now);
  if (arena->now - arena->tidied < TIDY_MS) return;
  arena->tidied = arena->now;
  tidy_class(arena, arena->tidy_class);
  arena->tidy_class = (uint8_t)((arena->tidy_class + 1) % CLASS_COUNT);
}

void tidy_step(struct arena *arena) {
  if (++arena->events >= EVENTS_PER_TICK) tidy_tick(arena);
  if (remote_waiting(arena)) remote_drain(arena);
}
