/* slot.h: a slot that is cut into blocks of one class. See slot.c. */
#ifndef BM_SLOT_H
#define BM_SLOT_H

#include "heap.h"

/* Pages of a slot on which a hole may begin: the largest, of 16-byte blocks, is a little more than a page. */
#define HOLE_PAGES 14u

static_assert(SLOT_ORDER == 16u, "an offset in a slot is the low 16 bits of an address");

/* Blocks that a slot of the class can give. */
static inline uint32_t slot_usable(const struct slot *slot) {
  return (uint32_t)block_classes[slot->class].capacity - block_classes[slot->class].hole;
}

/* The index of the first block of the hole, where the state bytes are. It begins near the start of a page, so that
 * it and the first blocks carved lie on one; which page, and how near, differs from slot to slot, so that
 * their state bytes do not compete for one cache set. */
static inline uint32_t slot_hole(const struct slot *slot) {
  const struct block_class *class = &block_classes[slot->class];
  if (BM_HARDENED || class->hole == 0) return 0;
  uint32_t number = slot_number(slot);
  uint32_t bytes = number % HOLE_PAGES * 4096u + number * 5u % 8u * 2u * CACHE_LINE;
  return (bytes + class->size - 1) / class->size;
}

/* The index of the block that is carved as number `turn`: from behind the hole, round to it. */
static inline uint32_t slot_index(const struct slot *slot, uint32_t turn) {
  const struct block_class *class = &block_classes[slot->class];
  uint32_t index = slot_hole(slot) + class->hole + turn;
  return index < class->capacity ? index : index - class->capacity;
}

static inline struct block *slot_block(const struct slot *slot, uint32_t index) {
  return (struct block *)(slot_base(slot) + (uintptr_t)index * block_classes[slot->class].size);
}

/* The offset of `address` in its slot times the reciprocal of the class: a block begins there if and only if
 * slot_is_start(), and then slot_state_at() is its state byte (B2). */
static inline uint64_t slot_product(const struct slot *slot, uintptr_t address) {
  return (uint64_t)(uint16_t)address * slot->reciprocal;
}
static inline int slot_is_start(const struct slot *slot, uint64_t product) {
  return (uint32_t)product < (uint32_t)slot->reciprocal;
}
static inline uint8_t *slot_state_at(const struct slot *slot, uint64_t product) {
  return slot->states + (product >> 32);
}

/* The state byte of the block at `address`, or NULL if no block of the slot begins there. */
static inline uint8_t *slot_state(const struct slot *slot, uintptr_t address) {
  uint64_t product = slot_product(slot, address);
  return slot_is_start(slot, product) ? slot_state_at(slot, product) : NULL;
}

/* The state of block `index`. relaxed: a stranger may be freeing it; to the owner that is still used. */
static inline uint8_t slot_state_of(const struct slot *slot, uint32_t index) {
  return __atomic_load_n(&slot->states[index], __ATOMIC_RELAXED);
}

/* Blocks that came back since the countdown was last set. */
static inline uint32_t slot_returned(const struct slot *slot) {
  return slot->countdown_from - slot->countdown;
}

static inline void slot_set_countdown(struct slot *slot, uint32_t frees) {
  slot->countdown = slot->countdown_from = frees;
}

/* Cut a slot that is on no list for `arena`; 0, with the slot as it was, without memory for state bytes. Requires
 * heap.lock. */
int slot_cut(struct slot *slot, unsigned class, struct arena *arena);
/* If the slot is cut, and no block of it is used, it ceases to be so. Requires heap.lock. */
void slot_uncut(struct slot *slot);
/* Carve at least one and at most `count` fresh blocks, linked in address order; returns
 * how many. Requires fresh < usable. */
uint32_t slot_carve(struct slot *slot, uint32_t count, struct block **first);
/* Put purged blocks back onto the slot's list; returns how many. */
uint32_t slot_unpurge(struct slot *slot);
/* Make `free`, `used` and `purged` anew from the state bytes. */
void slot_rebuild(struct slot *slot);
/* Take the blocks of pages that only free blocks lie on off the list; returns the pages, bit by bit.
 * Requires all the slot's free blocks to be on its list. */
uint32_t slot_prepare_purge(struct slot *slot);
/* Give those pages back; returns bytes. The slot must not serve anybody meanwhile. */
size_t slot_purge(const struct slot *slot, uint32_t pages);

#endif
