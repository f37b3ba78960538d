/* quarantine.c: a freed block waits before it is reused, for a time that nobody can foretell.
 *
 * Blocks that wait hold zeros and the tail of a free block; their state says so. Coming out they are looked at for
 * writes where their link goes; the rest is looked at when they are handed out again (verbs.c), or at exit.
 *
 * Owner:     the thread of the arena that it is part of.
 * Invariant: Q4  a block in state BLOCK_QUARANTINED has a place in exactly one quarantine.
 * Cost:      a multiplication and two exchanges with memory a free. */
#include "quarantine.h"

#include "../arena.h"
#include "../guard.h"
#include "../remote.h"
#include "../slot.h"
#include "verbs.h"

#include <string.h>

/* Put the block in place of the one that waits there, which is returned, or NULL. */
static inline struct block *exchange(struct block **place, struct block *block) {
  struct block *out = *place;
  *place = block;
  return out;
}

static inline struct block *wait_in_turn(struct quarantine *quarantine, struct block *block, uint32_t size) {
  /* Knuth's; the increment is secret, and the upper bits are the good ones. */
  quarantine->random = quarantine->random * UINT64_C(6364136223846793005) + pattern_page.secret.words[3];
  struct block *out;
  if (size <= QUARANTINE_SMALL) {
    out = exchange(&quarantine->small[quarantine->random >> (64 - QUARANTINE_SMALL_ORDER)], block);
    if (out != NULL) out = exchange(&quarantine->small_line[quarantine->small_turn++ % QUARANTINE_SMALL_LINE], out);
  } else {
    out = exchange(&quarantine->large[quarantine->random >> (64 - QUARANTINE_LARGE_ORDER)], block);
    if (out != NULL) out = exchange(&quarantine->large_line[quarantine->large_turn++ % QUARANTINE_LARGE_LINE], out);
  }
  if (UNLIKELY(out == NULL)) quarantine->held++;
  return out;
}

/* What arena_put() does for a slot of a small class that the arena owns and has not parked. */
static inline void put(struct arena *arena, struct slot *slot, struct block *block) {
  /* relaxed: as there. */
  __atomic_store_n(slot_state_at(slot, slot_product(slot, (uintptr_t)block)), BLOCK_FREE, __ATOMIC_RELAXED);
  guard_link(block, *slot->list);
  *slot->list = block;
  if (UNLIKELY(--slot->countdown == 0)) arena_slot_event(arena, slot);
}

/* The block goes back to its slot. */
static inline void let_go(struct arena *arena, struct block *block) {
  struct slot *slot = slot_of((uintptr_t)block);
  if (UNLIKELY(block->next != NULL)) fatal(FATAL_WRITE_AFTER_FREE, block);
  if (LIKELY(slot_is_small_and_open_to(slot, arena))) {
    put(arena, slot, block);
    return;
  }
  if (UNLIKELY(slot_owner(slot) != arena))
    remote_free(arena, slot, block);
  else
    arena_put(arena, slot, block);
}

void quarantine_put(struct arena *arena, struct block *block, uint32_t size) {
  struct block *out = LIKELY(!arena_is_none(arena)) ? wait_in_turn(&arena->quarantine, block, size) : block;
  if (LIKELY(out != NULL)) let_go(arena, out);
}

static void empty(struct arena *arena, struct block **places, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    struct block *block = exchange(&places[i], NULL);
    if (block != NULL) let_go(arena, block);
  }
}

#define COUNT(places) ((uint32_t)(sizeof(places) / sizeof(places)[0]))

void guard_flush(struct arena *arena) {
  struct quarantine *quarantine = &arena->quarantine;
  empty(arena, quarantine->small, COUNT(quarantine->small));
  empty(arena, quarantine->small_line, COUNT(quarantine->small_line));
  empty(arena, quarantine->large, COUNT(quarantine->large));
  empty(arena, quarantine->large_line, COUNT(quarantine->large_line));
  quarantine->held = 0;
}

uint64_t guard_held(const struct arena *arena) { return arena->quarantine.held; }

void guard_after_fork(void) {
  if (!arena_is_none(arena_mine)) guard_flush(arena_mine);
}

static void visit_places(struct block *const *places, uint32_t count, void (*visit)(const struct block *block)) {
  for (uint32_t i = 0; i < count; i++)
    if (places[i] != NULL) visit(places[i]);
}

void guard_visit(const struct arena *arena, void (*visit)(const struct block *block)) {
  const struct quarantine *quarantine = &arena->quarantine;
  visit_places(quarantine->small, COUNT(quarantine->small), visit);
  visit_places(quarantine->small_line, COUNT(quarantine->small_line), visit);
  visit_places(quarantine->large, COUNT(quarantine->large), visit);
  visit_places(quarantine->large_line, COUNT(quarantine->large_line), visit);
}

static void look_at(const struct block *block) {
  uint32_t size = block_classes[slot_of((uintptr_t)block)->class].size;
  if (block->next != NULL || !pattern_is_wiped(block, size)) fatal(FATAL_WRITE_AFTER_FREE, block);
}

/* What still waits when the program ends has its look then. */
__attribute__((destructor)) static void look_at_exit(void) { guard_visit(arena_mine, look_at); }
