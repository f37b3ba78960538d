/* slot.c: a slot cut at once into equal blocks: all the halvings in one go.
 *
 * The blocks' state bytes lie in the slot's bookkeeping if there are few, else in an array of states.c.
 *
 * Owner:     the slot's arena, or the orphanage's lock.
 * Invariant: S1  a block that was not carved yet has state BLOCK_FREE.
 *            S2  `free` links exactly the carved blocks in state BLOCK_FREE that are in no
 *                arena's stock.
 *            S3  used (brought up to date) + purged + blocks on `free` = fresh.
 *            S4  every block starts at a multiple of its size from the slot's base. */
#include "slot.h"

#include "chunk.h"
#include "guard.h"
#include "os.h"
#include "states.h"

#include <string.h>

static_assert(SLOT_BYTES / 4096 <= 16, "the pages of a slot are the bits of a word");


int slot_cut(struct slot *slot, unsigned class, struct arena *arena) {
  const struct block_class *shape = &block_classes[class];
  int is_inline = shape->capacity <= INLINE_STATES;
  uint8_t *states = is_inline ? slot->inline_states : states_take(class);
  if (states == NULL) return 0;
  if (is_inline) memset(states, BLOCK_FREE, INLINE_STATES);
  slot->states = states;
  slot->class = (uint8_t)class;
  slot->free = NULL;
  slot->reciprocal = shape->reciprocal;
  slot->fresh = slot->purged = 0;
  slot->used = slot->in_stock = 0;
  slot->next = slot->prev = 0;
  slot->place = PLACE_CURRENT;
  slot->countdown = slot->countdown_from = 0;
  slot->warm = chunk_dirty(slot, 1) != 0;
  if (BM_HARDENED) guard_carve(slot_block(slot, 0), shape->size, 1, slot->warm); /* the guard before the first */
  chunk_set_dirty(slot, 1);
  slot->kind = SLOT_CUT;
  __atomic_store_n(&slot->owner, arena, __ATOMIC_RELAXED);
  return 1;
}

void slot_uncut(struct slot *slot) {
  __atomic_store_n(&slot->owner, NULL, __ATOMIC_RELAXED);
  if (slot->states != slot->inline_states) states_give(slot->class, slot->states);
}

uint32_t slot_carve(struct slot *slot, uint32_t count, struct block **first) {
  uint32_t left = slot_capacity(slot) - slot->fresh;
  uint32_t index = slot_index(slot, slot->fresh);
  uint32_t run = block_classes[slot->class].capacity - index; /* to the end of the slot */
  if (count > left) count = left;
  if (count > run) count = run;
  uint32_t size = block_classes[slot->class].size;
  struct block *block = slot_block(slot, index);
  *first = block;
  guard_carve(block, size, count, slot->warm);
  for (uint32_t i = 1; i < count; i++) {
    struct block *next = (struct block *)((uintptr_t)block + size);
    guard_link(block, next);
    block = next;
  }
  guard_link(block, NULL);
  slot->fresh = (uint16_t)(slot->fresh + count);
  return count;
}

uint32_t slot_unpurge(struct slot *slot) {
  uint32_t count = 0;
  uint32_t wanted = CARVE_MAX / block_classes[slot->class].size;
  if (wanted == 0) wanted = 1;
  for (uint32_t turn = 0; turn < slot->fresh && slot->purged > 0 && count < wanted; turn++) {
    uint32_t index = slot_index(slot, turn);
    if (slot_state_of(slot, index) != BLOCK_PURGED) continue;
    struct block *block = slot_block(slot, index);
    guard_unpurge(block, block_classes[slot->class].size);
    slot->states[index] = BLOCK_FREE;
    guard_link(block, slot->free);
    slot->free = block;
    slot->purged--;
    count++;
  }
  return count;
}

/* Link every carved block in state BLOCK_FREE; returns how many. */
static uint32_t relink(struct slot *slot) {
  uint32_t count = 0;
  slot->free = NULL;
  for (uint32_t turn = slot->fresh; turn-- > 0;) {
    uint32_t index = slot_index(slot, turn);
    if (slot_state_of(slot, index) != BLOCK_FREE) continue;
    struct block *block = slot_block(slot, index);
    guard_link(block, slot->free);
    slot->free = block;
    count++;
  }
  return count;
}

void slot_rebuild(struct slot *slot) {
  if (BM_UNCHECKED) { /* as above: what was free is lost to the child */
    slot->free = NULL;
    slot->used = slot->fresh;
    slot->in_stock = 0;
    return;
  }
  slot->purged = 0;
  for (uint32_t turn = 0; turn < slot_capacity(slot); turn++) {
    uint32_t index = slot_index(slot, turn);
    if (turn >= slot->fresh)
      slot->states[index] = BLOCK_FREE;
    else if (slot_state_of(slot, index) == BLOCK_PURGED)
      slot->purged++;
  }
  uint32_t free = relink(slot);
  slot->used = (uint16_t)(slot->fresh - slot->purged - free);
  slot->in_stock = 0;
}

/* The pages that block `index` lies on, bit by bit. */
static uint32_t pages_of(const struct block_class *class, uint32_t index) {
  size_t first = (size_t)index * class->size / OS_PAGE;
  size_t last = ((size_t)(index + 1) * class->size - 1) / OS_PAGE;
  return (uint32_t)((2u << last) - (1u << first));
}

uint32_t slot_prepare_purge(struct slot *slot) {
  if (BM_UNCHECKED) return 0; /* which blocks are free is not written down */
  const struct block_class *class = &block_classes[slot->class];
  uint32_t busy = 0, wanted = 0;
  for (uint32_t turn = 0; turn < slot->fresh; turn++) {
    uint32_t index = slot_index(slot, turn);
    uint8_t state = slot_state_of(slot, index);
    if (state == BLOCK_FREE)
      wanted |= pages_of(class, index);
    else if (state != BLOCK_PURGED)
      busy |= pages_of(class, index);
  }
  wanted &= ~busy;
  if (wanted == 0) return 0;
  /* A block that loses any of its bytes leaves the list: its link may be gone. */
  for (uint32_t turn = 0; turn < slot->fresh; turn++) {
    uint32_t index = slot_index(slot, turn);
    if (slot_state_of(slot, index) != BLOCK_FREE || (pages_of(class, index) & wanted) == 0) continue;
    slot->states[index] = BLOCK_PURGED;
    slot->purged++;
  }
  relink(slot);
  return wanted;
}

size_t slot_purge(const struct slot *slot, uint32_t pages) {
  size_t purged = 0;
  while (pages != 0) {
    unsigned start = (unsigned)__builtin_ctz(pages);
    unsigned run = (unsigned)__builtin_ctz(~(pages >> start));
    size_t bytes = run * OS_PAGE;
    if (os_purge((void *)(slot_base(slot) + start * OS_PAGE), bytes) == 0) purged += bytes;
    pages &= ~(((1u << run) - 1) << start);
  }
  return purged;
}
