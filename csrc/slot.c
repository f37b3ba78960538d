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

static_assert(SLOT_BYTES / SMALL_MAX <= 64, "the blocks of a slot of a medium class are the bits of a word");
static_assert(SLOT_BYTES / 4096 <= 16, "the pages of a slot are the bits of a word");

int slot_cut(struct slot *slot, unsigned class, struct arena *arena) {
  const struct block_class *shape = &block_classes[class];
  int is_inline = shape->capacity <= INLINE_STATES;
  uint8_t *states = is_inline ? slot->inline_states : states_take(class);
  if (states == NULL) return 0;
  if (is_inline) memset(states, BLOCK_FREE, INLINE_STATES);
  slot->states = states;
  slot->class = (uint8_t)class;
  slot->free_bits = 0;
  slot->reciprocal = slot->start_limit = shape->reciprocal;
  slot->fresh = slot->purged = 0;
  slot->list = &slot->free;
  slot->used = slot->in_stock = 0;
  slot->next = slot->prev = 0;
  slot->place = PLACE_CURRENT;
  slot->countdown = slot->countdown_from = 0;
  slot->warm = chunk_dirty(slot, 1) != 0;
  if (BM_HARDENED) guard_carve(slot_block(slot, 0), shape->size, 1, slot->warm); /* the guard before the first */
  chunk_set_dirty(slot, 1);
  slot->kind = SLOT_CUT;
  slot_set_owner(slot, arena);
  return 1;
}

void slot_uncut(struct slot *slot) {
  slot_set_ownerless(slot);
  if (slot->states != slot->inline_states) states_give(slot->class, slot->states);
}

void slot_push(struct slot *slot, struct block *block) {
  if (block_is_medium(slot->class)) {
    guard_rest(block);
    slot->free_bits |= UINT64_C(1) << slot_index_of(slot, block);
  } else {
    guard_link(block, slot->free);
    slot->free = block;
  }
}

/* Link the blocks from `first` on that lie side by side. */
static void link_fresh(struct block *block, uint32_t size, uint32_t count) {
  for (; count > 1; count--) {
    struct block *next = (struct block *)((uintptr_t)block + size);
    guard_link(block, next);
    block = next;
  }
  guard_link(block, NULL);
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
  if (!block_is_medium(slot->class)) link_fresh(block, size, count);
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
    slot_push(slot, block);
    slot->purged--;
    count++;
  }
  return count;
}

/* Eight state bytes at once. */
typedef uint64_t __attribute__((may_alias)) states_word;
static_assert(BLOCK_FREE == 0, "a free block's state byte is a byte of zeros");

/* The high bit of each byte that is 0 of the eight state bytes from number `index` on, a multiple of 8. */
static uint64_t free_among(const struct slot *slot, uint32_t index) {
  const uint64_t low_bits = UINT64_C(0x7f7f7f7f7f7f7f7f);
  /* relaxed: a stranger may be freeing one of the blocks; to the owner that is still used. */
  uint64_t word = __atomic_load_n((const states_word *)(const void *)(slot->states + index), __ATOMIC_RELAXED);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return ~(((word & low_bits) + low_bits) | word | low_bits);
}

/* Link the free blocks from `first` up to before `end`, in address order, in front of the list; returns how many. */
static uint32_t link_run(struct slot *slot, uint32_t first, uint32_t end) {
  struct block *list = slot->free;
  uintptr_t base = slot_base(slot);
  uint32_t size = block_classes[slot->class].size, count = 0;
  for (uint32_t index = (end + 7) & ~7u; index > first;) {
    index -= 8;
    uint64_t free = free_among(slot, index);
    if (index + 8 > end) free &= (UINT64_C(1) << (end - index) * 8) - 1;
    if (index < first) free &= ~UINT64_C(0) << (first - index) * 8;
    for (; free != 0; count++) {
      uint32_t byte = 63u - (uint32_t)__builtin_clzll(free);
      free ^= UINT64_C(1) << byte;
      struct block *block = (struct block *)(base + (uintptr_t)(index + byte / 8) * size);
      guard_link(block, list);
      list = block;
    }
  }
  slot->free = list;
  return count;
}

static uint32_t gather_bits(struct slot *slot) {
  slot->free_bits = 0;
  for (uint32_t turn = 0; turn < slot->fresh; turn++) {
    uint32_t index = slot_index(slot, turn);
    if (slot_state_of(slot, index) == BLOCK_FREE) slot->free_bits |= UINT64_C(1) << index;
  }
  return (uint32_t)__builtin_popcountll(slot->free_bits);
}

uint32_t slot_relink(struct slot *slot) {
  if (block_is_medium(slot->class)) return gather_bits(slot);
  uint32_t start = slot_start(slot), capacity = block_classes[slot->class].capacity;
  uint32_t end = start + slot->fresh;
  slot->free = NULL;
  /* What is carved runs from the start to the end of the slot, and on from its beginning. */
  if (end <= capacity) return link_run(slot, start, end);
  uint32_t count = link_run(slot, SLOT_GUARDS, end - capacity + SLOT_GUARDS);
  return count + link_run(slot, start, capacity);
}

void slot_rebuild(struct slot *slot) {
  if (BM_UNCHECKED) { /* as above: what was free is lost to the child */
    slot->free_bits = 0;
    slot->list = &slot->free;
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
  uint32_t free = slot_relink(slot);
  slot->list = &slot->free;
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
  uint32_t busy = SLOT_GUARDS > 0 ? pages_of(class, 0) : 0, wanted = 0; /* the guard before the first block stays */
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
  /* A block that loses any of its bytes is purged: its link may be gone. */
  for (uint32_t turn = 0; turn < slot->fresh; turn++) {
    uint32_t index = slot_index(slot, turn);
    if (slot_state_of(slot, index) != BLOCK_FREE || (pages_of(class, index) & wanted) == 0) continue;
    __atomic_store_n(&slot->states[index], BLOCK_PURGED, __ATOMIC_RELAXED);
    slot->purged++;
  }
  return wanted;
}

uint32_t slot_release_held(const struct slot *slot) {
  const struct block_class *class = &block_classes[slot->class];
  uint32_t held = 0, busy = 0;
  for (uint32_t index = 0; index < class->capacity; index++) {
    if (slot_state_of(slot, index) != BLOCK_HELD) {
      busy |= pages_of(class, index);
      continue;
    }
    held |= pages_of(class, index);
    __atomic_store_n(&slot->states[index], BLOCK_REMOTE, __ATOMIC_RELAXED);
  }
  return held & ~busy;
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
