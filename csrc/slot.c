/* slot.c: a slot cut at once into equal blocks: all the halvings in one go.
 *
 * The blocks' state bytes lie in the slot's bookkeeping if there are few, else in the slot
 * itself, in a hole of a few blocks that are never handed out.
 *
 * Owner:     the slot's arena, or the orphanage's lock.
 * Invariant: S1  a block that was not carved yet, or lies in the hole, has state BLOCK_FREE.
 *            S2  `free` links exactly the carved blocks in state BLOCK_FREE that are in no
 *                arena's stock.
 *            S3  used (brought up to date) + purged + blocks on `free` = fresh.
 *            S4  every block starts at a multiple of its size from the slot's base. */
#include "slot.h"

#include "chunk.h"
#include "os.h"

#include <string.h>

#define SLOT_PAGES_MAX (SLOT_BYTES / 4096)


void slot_cut(struct slot *slot, unsigned class, struct arena *arena) {
  const struct block_class *shape = &block_classes[class];
  slot->class = (uint8_t)class;
  slot->free = NULL;
  slot->reciprocal = shape->reciprocal;
  slot->fresh = slot->purged = 0;
  slot->used = 0;
  slot->next = slot->prev = 0;
  slot->place = PLACE_CURRENT;
  slot->countdown = slot->countdown_from = 0;
  slot->states = shape->hole == 0 ? slot->inline_states : (uint8_t *)slot_block(slot, slot_hole(slot));
  if (shape->hole == 0)
    memset(slot->inline_states, BLOCK_FREE, INLINE_STATES);
  else if (chunk_dirty(slot, 1) != 0)
    memset(slot->states, BLOCK_FREE, shape->capacity + 1u);
  chunk_set_dirty(slot, 1);
  slot->kind = SLOT_CUT;
  __atomic_store_n(&slot->owner, arena, __ATOMIC_RELAXED);
}

uint32_t slot_carve(struct slot *slot, uint32_t count, struct block **first) {
  uint32_t left = slot_usable(slot) - slot->fresh;
  uint32_t index = slot_index(slot, slot->fresh);
  uint32_t run = block_classes[slot->class].capacity - index; /* to the end of the slot */
  if (count > left) count = left;
  if (count > run) count = run;
  uint32_t size = block_classes[slot->class].size;
  struct block *block = slot_block(slot, index);
  *first = block;
  for (uint32_t i = 1; i < count; i++) {
    struct block *next = (struct block *)((uintptr_t)block + size);
    block->next = next;
    block = next;
  }
  block->next = NULL;
  slot->fresh = (uint16_t)(slot->fresh + count);
  return count;
}

uint32_t slot_unpurge(struct slot *slot) {
  uint32_t count = 0;
  uint32_t wanted = CARVE_MIN / block_classes[slot->class].size;
  if (wanted == 0) wanted = 1;
  for (uint32_t turn = 0; turn < slot->fresh && slot->purged > 0 && count < wanted; turn++) {
    uint32_t index = slot_index(slot, turn);
    if (slot_state_of(slot, index) != BLOCK_PURGED) continue;
    slot->states[index] = BLOCK_FREE;
    struct block *block = slot_block(slot, index);
    block->next = slot->free;
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
    block->next = slot->free;
    slot->free = block;
    count++;
  }
  return count;
}

void slot_rebuild(struct slot *slot) {
  slot->purged = 0;
  for (uint32_t turn = 0; turn < slot_usable(slot); turn++) {
    uint32_t index = slot_index(slot, turn);
    if (turn >= slot->fresh)
      slot->states[index] = BLOCK_FREE;
    else if (slot_state_of(slot, index) == BLOCK_PURGED)
      slot->purged++;
  }
  uint32_t free = relink(slot);
  slot->used = (uint32_t)slot->fresh - slot->purged - free;
}

size_t slot_purge(struct slot *slot) {
  const struct block_class *class = &block_classes[slot->class];
  uint8_t busy[SLOT_PAGES_MAX] = {0}, wanted[SLOT_PAGES_MAX] = {0};
  size_t page = OS_PAGE;
  uint32_t hole = slot_hole(slot);
  for (uint32_t index = 0; index < class->capacity; index++) {
    int in_hole = index - hole < class->hole;
    uint8_t state = slot_state_of(slot, index);
    int used = in_hole || state == BLOCK_USED || state == BLOCK_REMOTE;
    size_t first = (size_t)index * class->size / page;
    size_t last = ((size_t)(index + 1) * class->size - 1) / page;
    if (!used && state == BLOCK_PURGED) continue;
    for (size_t p = first; p <= last; p++) {
      if (used)
        busy[p] = 1;
      else
        wanted[p] = 1;
    }
  }
  size_t pages = 0;
  for (size_t p = 0; p < SLOT_BYTES / page; p++) pages += (wanted[p] &= !busy[p]);
  if (pages == 0) return 0;
  /* A block that loses any of its bytes leaves the list: its words may be gone. */
  for (uint32_t turn = 0; turn < slot->fresh; turn++) {
    uint32_t index = slot_index(slot, turn);
    if (slot_state_of(slot, index) != BLOCK_FREE) continue;
    size_t first = (size_t)index * class->size / page;
    size_t last = ((size_t)(index + 1) * class->size - 1) / page;
    for (size_t p = first; p <= last; p++)
      if (wanted[p] && slot_state_of(slot, index) == BLOCK_FREE) slot->states[index] = BLOCK_PURGED, slot->purged++;
  }
  relink(slot);
  size_t purged = 0;
  for (size_t p = 0; p < SLOT_BYTES / page;) {
    size_t run = 0;
    while (p + run < SLOT_BYTES / page && wanted[p + run]) run++;
    if (run > 0 && os_purge((void *)(slot_base(slot) + p * page), run * page) == 0) purged += run * page;
    p += run + 1;
  }
  return purged;
}
