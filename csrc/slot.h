/* slot.h: a slot that is cut into blocks of one class. See slot.c. */
#ifndef BM_SLOT_H
#define BM_SLOT_H

#include "heap.h"

/* Pages of a slot that carving may begin on. */
#define START_PAGES 14u

static_assert(SLOT_ORDER == 16u, "an offset in a slot is the low 16 bits of an address");

/* The index of the block that is carved first. It lies near the start of a page; which page, and how near, differs from
 * slot to slot, so that what is used of slots of which little is used does not compete for one cache set. */
static inline uint32_t slot_start(const struct slot *slot) {
  const struct block_class *class = &block_classes[slot->class];
  if (SLOT_GUARDS > 0 || class->capacity <= INLINE_STATES) return SLOT_GUARDS;
  uint32_t number = slot_number(slot);
  uint32_t bytes = number % START_PAGES * 4096u + number * 5u % 8u * 2u * CACHE_LINE;
  return (bytes + class->size - 1) / class->size;
}

/* The index of the block that is carved as number `turn`: from the first to the end of the slot, then from its beginning. */
static inline uint32_t slot_index(const struct slot *slot, uint32_t turn) {
  const struct block_class *class = &block_classes[slot->class];
  uint32_t index = slot_start(slot) + turn;
  return index < class->capacity ? index : index - class->capacity + SLOT_GUARDS;
}

/* Blocks that the slot can give. */
static inline uint32_t slot_capacity(const struct slot *slot) { return block_classes[slot->class].capacity - SLOT_GUARDS; }

static inline struct block *slot_block(const struct slot *slot, uint32_t index) {
  return (struct block *)(slot_base(slot) + (uintptr_t)index * block_classes[slot->class].size);
}

/* The offset of `address` in its slot times the reciprocal of the class: a block begins there if and only if
 * slot_is_start(), and then slot_state_at() is its state byte (B2). */
static inline uint64_t slot_product(const struct slot *slot, uintptr_t address) {
  return (uint64_t)(uint16_t)address * slot->reciprocal;
}
static inline int slot_is_start(const struct slot *slot, uint64_t product) {
  return (uint32_t)product < slot->start_limit;
}
static inline uint8_t *slot_state_at(const struct slot *slot, uint64_t product) {
  return slot->states + (product >> 32);
}

/* The state byte of the block at `address`, or NULL if no block of the slot begins there. */
static inline uint8_t *slot_state(const struct slot *slot, uintptr_t address) {
  uint64_t product = slot_product(slot, address);
  return slot_is_start(slot, product) ? slot_state_at(slot, product) : NULL;
}

/* The index of a block of the slot. */
static inline uint32_t slot_index_of(const struct slot *slot, const struct block *block) {
  return (uint32_t)(slot_product(slot, (uintptr_t)block) >> 32);
}

/* The state of block `index`. relaxed: a stranger may be freeing it; to the owner that is still used. */
static inline uint8_t slot_state_of(const struct slot *slot, uint32_t index) {
  return __atomic_load_n(&slot->states[index], __ATOMIC_RELAXED);
}

/* 1 if blocks that came back wait at the slot. */
static inline int slot_has_free(const struct slot *slot) { return slot->free_bits != 0; }

/* Blocks that came back since the countdown was last set. */
static inline uint32_t slot_returned(const struct slot *slot) {
  return slot->countdown_from - slot->countdown;
}

/* 1 if they are in the stock of a small class, and so used to the slot. */
static inline int slot_feeds_stock(const struct slot *slot) { return slot->list != &slot->free; }

static inline void slot_set_countdown(struct slot *slot, uint32_t frees) {
  slot->countdown = slot->countdown_from = frees;
}

/* Cut a slot that is on no list for `arena`; 1, or 0 without memory. Requires heap.lock. */
int slot_cut(struct slot *slot, unsigned class, struct arena *arena);
/* Undo that: the slot is nobody's, with no memory for state bytes. Requires heap.lock. */
void slot_uncut(struct slot *slot);
/* Put a block in state BLOCK_FREE among those that came back. */
void slot_push(struct slot *slot, struct block *block);
/* Carve at least one and at most `count` fresh blocks that lie side by side, those of a small class linked in that order; returns
 * how many. Requires fresh < the capacity. */
uint32_t slot_carve(struct slot *slot, uint32_t count, struct block **first);
/* Put purged blocks back onto the slot's list; returns how many. */
uint32_t slot_unpurge(struct slot *slot);
/* Make `free`, `used` and `purged` anew from the state bytes. */
void slot_rebuild(struct slot *slot);
/* Make the list, or the bits, of the carved blocks in state BLOCK_FREE; returns how many. Requires none of them to be in stock. */
uint32_t slot_relink(struct slot *slot);
/* Take the blocks of pages that only free blocks lie on for purged; returns the pages, bit by bit. The list is to be made
 * anew then. Requires no free block to be in stock. */
uint32_t slot_prepare_purge(struct slot *slot);
/* The pages that nothing lies on but blocks in state BLOCK_HELD, bit by bit; those are BLOCK_REMOTE from here on. Any thread may that has them. */
uint32_t slot_release_held(const struct slot *slot);
/* Give those pages back; returns bytes. The slot must not serve anybody meanwhile. */
size_t slot_purge(const struct slot *slot, uint32_t pages);

#endif
