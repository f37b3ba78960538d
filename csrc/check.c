/* check.c: the numbered invariants of the other files, verified one by one.
 *
 * For tests and for BUDDYMALLOC_CHECK_AT_EXIT: while no other thread is inside the allocator. */
#include "arena.h"
#include "chunk.h"
#include "guard.h"
#include "huge.h"
#include "medium.h"
#include "include/buddymalloc.h"
#include "orphan.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static int violations;

static void report(const char *invariant, const void *address) {
  char line[160];
  int length = snprintf(line, sizeof line, "buddymalloc: violated: %s: 0x%" PRIxPTR "\n", invariant, (uintptr_t)address);
  violations++;
  if (length > 0) {
    ssize_t written = write(STDERR_FILENO, line, (size_t)length);
    (void)written;
  }
}

static void expect(int holds, const char *invariant, const void *address) {
  if (!holds) report(invariant, address);
}

/* ---- Chunks (C) and the lists of free blocks (F) ------------------------------------------ */

static void check_free_block(const struct slot *slot) {
  uint32_t count = 1u << (slot->order - SLOT_ORDER);
  expect((slot_number(slot) & (count - 1)) == 0, "C2 a block starts at a multiple of its size", slot);
  for (uint32_t i = 1; i < count; i++) expect(slot[i].kind == SLOT_REST, "C1 the rest of a free block", slot + i);
  if (slot->order < CHUNK_ORDER) {
    const struct slot *buddy = slot_of(block_buddy(slot_base(slot), slot->order));
    expect(buddy->kind != SLOT_FREE || buddy->order != slot->order, "C3 no free block has a free buddy", slot);
  }
}

/* Blocks of kind SLOT_KEPT; in the hardened build some may wait for their guard pages to be opened. */
static uint64_t kept_blocks;

static void check_chunks(void) {
  uint64_t free_blocks = 0, listed = 0;
  kept_blocks = 0;
  size_t dirty = 0;
  for (uint32_t number = CHUNK_SLOTS; number < heap.top;) {
    const struct slot *slot = slot_at(number);
    uint32_t count = 1;
    switch (slot->kind) {
      case SLOT_NONE:
        expect(slot->owner == 0, "C1 no memory has no owner", slot);
        break;
      case SLOT_FREE:
        free_blocks++;
        count = 1u << (slot->order - SLOT_ORDER);
        check_free_block(slot);
        dirty += (size_t)__builtin_popcountll(chunk_dirty(slot, count)) * SLOT_BYTES;
        break;
      case SLOT_PURGING: /* by whoever holds purge_lock */
        report("C1 no block is being purged", slot);
        break;
      case SLOT_LARGE:
      case SLOT_KEPT:
        count = slot->used;
        expect(count >= 1 && count <= CHUNK_SLOTS && slot->owner == 0, "L1 a large block's slots", slot);
        if (count < 1 || count > CHUNK_SLOTS) count = 1;
        for (uint32_t i = 1; i < count; i++) expect(slot[i].kind == SLOT_REST, "L1 the tail of a large block", slot + i);
        if (slot->kind == SLOT_KEPT) kept_blocks++, violations += guard_check_kept(slot, report);
        break;
      case SLOT_CUT:
        expect(slot->owner != 0, "C1 a cut slot has an owner", slot);
        break;
      default:
        report("C1 every slot is part of one block", slot);
    }
    number += count;
  }
  expect(dirty == heap.dirty_bytes, "C4 the touched free slots are counted", &heap);
  for (unsigned level = 0; level < SLOT_LEVELS; level++) {
    uint32_t previous = 0;
    expect((heap.nonempty >> level & 1) == (heap.blocks[level] != 0), "F1 the bits of lists that are not empty", &heap);
    for (uint32_t number = heap.blocks[level]; number != 0; number = slot_at(number)->next) {
      const struct slot *slot = slot_at(number);
      expect(slot->kind == SLOT_FREE && slot->order == level + SLOT_ORDER, "F2 a list holds free blocks of its level", slot);
      expect(slot->prev == previous, "F3 list neighbours agree", slot);
      if (slot->prev != previous || ++listed > free_blocks) break;
      previous = number;
    }
  }
  expect(listed == free_blocks, "F2 every free block is on a list", &heap);
}

/* ---- Cut slots (S) and their arenas (A, P) --------------------------------------------------- */

/* 1 if the slot has no list of its free blocks: their state bytes say all. */
static int is_parked(const struct slot *slot) {
  return slot->place == PLACE_PARKED || (slot->place == PLACE_SWEPT && slot_owner(slot) != &orphanage);
}

static void check_place(const struct slot *slot, const struct arena *owner) {
  int has_free = slot_has_free(slot) || slot->purged > 0;
  int is_orphan = owner == &orphanage;
  switch (slot->place) {
    case PLACE_CURRENT:
      expect(!is_orphan && owner->blocks[slot->class].current == slot, "A2 a current slot is its class's", slot);
      break;
    case PLACE_FULL:
      expect(is_orphan || slot_list_has(&owner->full, slot), "A2 a full slot is listed", slot);
      break;
    case PLACE_LISTED:
      expect(is_orphan || slot_list_has(&owner->listed[slot->class], slot), "A2 a slot is listed", slot);
      expect(has_free || (is_orphan && slot->fresh < slot_capacity(slot)), "A3 a listed slot has free blocks", slot);
      break;
    case PLACE_PARKED:
    case PLACE_SWEPT:
      if (is_orphan) break;
      expect(slot_list_has(&owner->listed[slot->class], slot), "A2 a slot is listed", slot);
      expect(!slot_has_free(slot) && slot->in_stock == 0, "A6 a parked slot has no list, and nothing in stock", slot);
      break;
    default:
      expect(is_orphan, "A2 a slot has a place", slot);
  }
  expect(is_parked(slot) == !slot_is_open_to(slot, owner), "A6 the owner of a parked slot says so", slot);
  if (is_orphan) expect(orphan_is_linked(slot), "P1 an orphan is listed", slot);
  if (!is_orphan && slot->fresh < slot_capacity(slot))
    expect(owner->fresh[slot->class] == slot, "A4 the slot with fresh blocks is known", slot);
  if (is_orphan) expect(slot->used > 0 && slot_returned(slot) == 0, "P2 an orphan is in use", slot);
}

/* How many blocks wait at the slot; each is one of the slot's, and free. */
static uint32_t check_free(const struct slot *slot) {
  uint32_t count = 0;
  if (block_is_medium(slot->class)) {
    for (uint64_t bits = slot->free_bits; bits != 0; bits &= bits - 1, count++) {
      uint32_t index = (uint32_t)__builtin_ctzll(bits);
      int is_block = index - SLOT_GUARDS < slot_capacity(slot);
      expect(is_block, "S4 a listed block is one of the slot's", slot_block(slot, index));
      expect(!is_block || slot->states[index] == BLOCK_FREE, "S2 a listed block is free", slot_block(slot, index));
    }
    return count;
  }
  for (const struct block *block = slot->free; block != NULL && count <= slot->fresh; block = guard_next(block), count++) {
    const uint8_t *state = slot_of((uintptr_t)block) == slot ? slot_state(slot, (uintptr_t)block) : NULL;
    expect(state != NULL, "S4 a listed block is one of the slot's", block);
    if (state == NULL) break;
    expect(*state == BLOCK_FREE, "S2 a listed block is free", block);
  }
  return count;
}

#if !BM_UNCHECKED
/* How many blocks of the slot are in stock. */
static uint32_t check_stock(const struct slot *slot, const struct arena *owner) {
  const struct stock *stock = &owner->blocks[slot->class];
  uint32_t count = 0;
  if (block_is_medium(slot->class)) {
    for (size_t i = 0; i < stock->count; i++) count += slot_of((uintptr_t)stock->blocks[i]) == slot;
    expect(count == slot->in_stock, "A1 a slot's blocks in stock are counted", slot);
  } else if (slot->place == PLACE_CURRENT && stock->current == slot) {
    for (const struct block *block = stock->first; block != NULL && count <= slot->fresh; block = guard_next(block), count++)
      expect(slot_of((uintptr_t)block) == slot, "A1 the stock comes from the current slot", block);
  }
  return count;
}
#endif

static void check_cut(const struct slot *slot) {
  const struct arena *owner = slot_owner(slot);
  uint32_t states[BLOCK_QUARANTINED + 1] = {0};
  const struct block_class *class = &block_classes[slot->class];
  if (owner == &orphanage && slot->place == PLACE_TORN) {
    expect(orphan_is_linked(slot), "P3 a torn slot waits to be mended", slot);
    return;
  }
  for (uint32_t turn = 0; turn < slot_capacity(slot); turn++) {
    uint8_t state = slot->states[slot_index(slot, turn)];
    if (turn < slot->fresh)
      states[state <= BLOCK_QUARANTINED ? state : BLOCK_USED]++;
    else
      expect(state == BLOCK_FREE, "S1 a block that was not carved is free", slot_block(slot, slot_index(slot, turn)));
  }
  if (class->capacity * class->size < SLOT_BYTES)
    expect(slot->states[class->capacity] == BLOCK_FREE, "S1 the remainder of a slot is free", slot);
  uint32_t listed = check_free(slot);
#if !BM_UNCHECKED
  uint32_t stock = check_stock(slot, owner);
  if (is_parked(slot)) listed = states[BLOCK_FREE];
  expect(states[BLOCK_FREE] == listed + stock, "S2 every free block is listed or in stock", slot);
  expect(states[BLOCK_PURGED] == slot->purged, "S3 the purged blocks are counted", slot);
#endif
  expect(slot->used - (slot_feeds_stock(slot) ? 0 : slot_returned(slot)) + slot->purged + listed == slot->fresh, "S3 the blocks of a slot add up", slot);
  violations += guard_check(slot, report);
  check_place(slot, owner);
}

static void check_medium(const struct arena *arena, unsigned class) {
  const struct stock *stock = &arena->blocks[class];
  expect(stock->count < stock->limit, "A1 the stock of a medium class is bounded", arena);
  for (size_t i = 0; i < stock->count; i++) {
    const struct slot *slot = slot_of((uintptr_t)stock->blocks[i]);
    expect(slot_owner(slot) == arena && slot->class == class, "A1 the stock comes from the arena's slots of the class", stock->blocks[i]);
  }
}

static void check_arenas(void) {
  uint64_t kept_by_arenas = 0;
  for (const struct arena *arena = arenas.all; arena != NULL; arena = arena->next) {
    for (uint32_t i = 0; i < KEPT_SLOTS_MAX; i++) {
      const struct slot *kept = arena->kept[i];
      expect(kept == NULL || arena->life != ARENA_IDLE, "A5 an idle arena owns nothing", arena);
      for (uint32_t count = 0; kept != NULL && count <= KEPT_TOTAL_MAX; count++) {
        expect(kept->kind == SLOT_KEPT && kept->used == i + 1, "L2 what an arena keeps is a kept block", kept);
        kept_by_arenas++;
        kept = BM_HARDENED && kept->next != 0 ? slot_at(kept->next) : NULL;
      }
    }
    for (unsigned class = SMALL_CLASS_COUNT; class < CLASS_COUNT; class++) check_medium(arena, class);
    if (arena->life != ARENA_IDLE) continue;
    for (unsigned class = 0; class < CLASS_COUNT; class++)
      expect(!arena_has_stock(arena, class) && arena->blocks[class].current == NULL && arena->listed[class].first == 0,
             "A5 an idle arena owns nothing", arena);
    expect(arena->remote == 0, "R3 no block waits for an idle arena", arena);
    expect(arena->full.first == 0, "A5 an idle arena owns nothing", arena);
  }
  expect(BM_HARDENED || kept_blocks == kept_by_arenas, "L2 every kept block is some arena's", &heap);
}

/* Marks the state of a block that was met, until forget() has met it too. */
#define MET 0x80u

static uint8_t *state_of(const struct block *block) { return slot_state(slot_of((uintptr_t)block), (uintptr_t)block); }

/* Meet a block that should be in the state, and once only. */
static void meet(const struct block *block, uint8_t expected, const char *says, const char *once) {
  uint8_t *state = state_of(block);
  int met = state != NULL && *state == (expected | MET);
  expect(!met, once, block);
  expect(BM_UNCHECKED || met || (state != NULL && *state == expected), says, block);
  if (state != NULL && *state == expected) *state |= MET;
}

static void check_on_its_way(const struct block *block) {
  meet(block, BLOCK_REMOTE, "R1 a block on its way says so", "R2 a block is in one batch or queue");
}

static void check_in_quarantine(const struct block *block) {
  meet(block, BLOCK_QUARANTINED, "Q4 a block in quarantine says so", "Q4 a block has one place in quarantine");
}

static void forget(const struct block *block) {
  uint8_t *state = state_of(block);
  if (state != NULL) *state &= (uint8_t)~MET;
}

static void visit_all(void (*visit)(const struct block *block)) {
  remote_visit(&orphanage, visit);
  for (const struct arena *arena = arenas.all; arena != NULL; arena = arena->next) remote_visit(arena, visit);
}

static void check_quarantines(void) {
  for (const struct arena *arena = arenas.all; arena != NULL; arena = arena->next) guard_visit(arena, check_in_quarantine);
  for (uint32_t number = CHUNK_SLOTS; BM_HARDENED && number < heap.top; number++) {
    const struct slot *slot = slot_at(number);
    if (slot->kind != SLOT_CUT || slot->place == PLACE_TORN) continue;
    for (uint32_t turn = 0; turn < slot->fresh; turn++) {
      uint32_t index = slot_index(slot, turn);
      expect(slot->states[index] != BLOCK_QUARANTINED, "Q4 a block in quarantine has a place", slot_block(slot, index));
    }
  }
  for (const struct arena *arena = arenas.all; arena != NULL; arena = arena->next) guard_visit(arena, forget);
}

int bm_check(void) {
  violations = 0;
  if (!heap_init()) return 0;
  lock_acquire(&purge_lock);
  lock_acquire(&arenas.lock);
  lock_acquire(&orphan_lock);
  lock_acquire(&heap.lock);
  check_chunks();
  for (uint32_t number = CHUNK_SLOTS; number < heap.top; number++)
    if (slot_at(number)->kind == SLOT_CUT) check_cut(slot_at(number));
  check_arenas();
  visit_all(check_on_its_way);
  visit_all(forget);
  check_quarantines();
  lock_release(&heap.lock);
  lock_release(&orphan_lock);
  lock_release(&arenas.lock);
  huge_check(report);
  lock_release(&purge_lock);
  return violations;
}
