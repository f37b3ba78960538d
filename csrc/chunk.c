/* chunk.c: chunks from the system, and the buddy system of their slots.
 *
 * Owner:     heap.lock.
 * Invariant: C1  every slot of a chunk is the first or a later slot of exactly one block.
 *            C2  a block of order k starts at a multiple of 2^k.
 *            C3  no free block has a free buddy of its own order, but for whole chunks.
 *            C4  heap.dirty_bytes counts the slots in free blocks whose bit in heap.dirty is 1.
 * Cost:      take and give: at most SLOT_LEVELS splits or merges; a system call when the heap grows. */
#include "chunk.h"

#include "freelist.h"
#include "options.h"
#include "os.h"

#include <errno.h>

#define GROW_TRIES 40
/* Tries at addresses that the heap once gave back: somebody else may have them now. */
#define REGROW_TRIES 4

/* Chunks below heap.top that went back to the system, at most. */
static uint32_t released_chunks;

/* A chunk from the break, or NULL with sbrk_failed set. */
static void *grow_by_sbrk(void) {
  uintptr_t start = (uintptr_t)os_break();
  if (start == 0) return NULL;
  size_t pad = heap_round_up(start) - start;
  uintptr_t got = (uintptr_t)os_sbrk(pad + CHUNK_BYTES);
  if (got == 0) return NULL;
  /* Somebody else may have moved the break in between: take what is aligned in ours. */
  uintptr_t chunk = heap_round_up(got);
  if (chunk + CHUNK_BYTES > got + pad + CHUNK_BYTES) return NULL;
  if (!heap_contains(chunk) || !heap_contains(chunk + CHUNK_BYTES - 1)) return NULL;
  return (void *)chunk;
}

/* A chunk above the highest one, skipping what others have mapped there. */
static void *grow_by_mmap(void) {
  uintptr_t chunk = heap.base + ((uintptr_t)heap.top << SLOT_ORDER);
  size_t step = CHUNK_BYTES;
  for (int tries = 0; tries < GROW_TRIES; tries++) {
    if (!heap_contains(chunk + CHUNK_BYTES - 1)) return NULL;
    if (os_map_at((void *)chunk, CHUNK_BYTES) != NULL) return (void *)chunk;
    chunk += step;
    if (tries >= 2) step *= 2;
  }
  return NULL;
}

/* A chunk whose addresses went back to the system: else a program that runs out of them again and again uses the window up. */
static void *grow_again(void) {
  static uint32_t next = CHUNK_SLOTS; /* number of the first slot to be looked at */
  unsigned tries = 0;
  for (uint32_t left = released_chunks > 0 ? heap.top / CHUNK_SLOTS : 0; left > 0 && tries < REGROW_TRIES; left--) {
    const struct slot *first = slot_at(next < heap.top ? next : CHUNK_SLOTS);
    next = slot_number(first) + CHUNK_SLOTS;
    if (slot_kind(first) != SLOT_NONE) continue;
    tries++;
    void *chunk = (void *)slot_base(first);
    if (os_map_at(chunk, CHUNK_BYTES) == NULL) continue;
    released_chunks--;
    return chunk;
  }
  return NULL;
}

/* One more chunk, as one free block on no list; NULL if the system has none. */
static struct slot *grow(void) {
  void *chunk = grow_again();
  int by_sbrk = 0;
  if (chunk == NULL && !heap.sbrk_failed && options.sbrk) {
    chunk = grow_by_sbrk();
    by_sbrk = chunk != NULL;
    heap.sbrk_failed = chunk == NULL;
  }
  if (chunk == NULL) chunk = grow_by_mmap();
  if (chunk == NULL) return NULL;
  struct slot *first = slot_of((uintptr_t)chunk);
  if (!heap_open(slot_number(first) + CHUNK_SLOTS)) {
    os_unmap(chunk, CHUNK_BYTES);
    if (by_sbrk) heap.sbrk_failed = 1; /* the break stays where it is: each try would cost the addresses of a chunk */
    return NULL;
  }
  *(by_sbrk ? &heap.sbrk_bytes : &heap.mmap_bytes) += CHUNK_BYTES;
  if (options.hugepages) os_hugepages(chunk, CHUNK_BYTES, 1);
  if (options.dontdump) os_dontdump(chunk, CHUNK_BYTES);
  first->kind = SLOT_FREE;
  first->order = CHUNK_ORDER;
  for (uint32_t i = 1; i < CHUNK_SLOTS; i++) first[i].kind = SLOT_REST;
  uint32_t end = slot_number(first) + CHUNK_SLOTS;
  if (end > heap.top) __atomic_store_n(&heap.top, end, __ATOMIC_RELAXED);
  return first;
}

void chunk_split(struct slot *slot) {
  slot->order--;
  struct slot *upper = slot + (1u << (slot->order - SLOT_ORDER));
  upper->kind = SLOT_FREE;
  upper->order = slot->order;
  upper->stamp = slot->stamp;
  freelist_push(upper);
}

/* The level of the largest block that begins at `first` and is part of `count` slots. */
static unsigned piece_level(const struct slot *first, uint32_t count) {
  unsigned aligned = (unsigned)__builtin_ctz(slot_number(first) | CHUNK_SLOTS);
  unsigned fitting = 31u - (unsigned)__builtin_clz(count);
  return aligned < fitting ? aligned : fitting;
}

/* Put the slots from `first` on onto the lists as the blocks they consist of, unmerged. */
static void push_pieces(struct slot *first, uint32_t count, uint32_t stamp) {
  while (count > 0) {
    unsigned level = piece_level(first, count);
    first->kind = SLOT_FREE;
    first->order = (uint8_t)(level + SLOT_ORDER);
    first->stamp = stamp;
    freelist_push(first);
    first += 1u << level;
    count -= 1u << level;
  }
}

static uint64_t *dirty_word(const struct slot *slot) { return &heap.dirty[slot_number(slot) / CHUNK_SLOTS]; }

/* Bits set; a machine instruction is not to be had everywhere, and one slot is the most frequent. */
static size_t count_bits(uint64_t word) { return word <= 1 ? (size_t)word : (size_t)__builtin_popcountll(word); }

static uint64_t slot_bits(const struct slot *first, uint32_t count) {
  return (~UINT64_C(0) >> (CHUNK_SLOTS - count)) << (slot_number(first) % CHUNK_SLOTS);
}

uint64_t chunk_dirty(const struct slot *first, uint32_t count) {
  return (*dirty_word(first) & slot_bits(first, count)) >> (slot_number(first) % CHUNK_SLOTS);
}

void chunk_set_dirty(struct slot *first, uint32_t count) { *dirty_word(first) |= slot_bits(first, count); }

/* Count the touched slots among those that become free (`sign` 1) or cease to be (-1). */
static void count_dirty(const struct slot *first, uint32_t count, int sign) {
  size_t bytes = count_bits(chunk_dirty(first, count)) * SLOT_BYTES;
  /* relaxed: purge_notice() reads it without the lock, as an estimate. */
  __atomic_store_n(&heap.dirty_bytes, heap.dirty_bytes + (sign > 0 ? bytes : 0 - bytes), __ATOMIC_RELAXED);
}

static void note_least(void) {
  if (heap.dirty_bytes < heap.dirty_least) heap.dirty_least = heap.dirty_bytes;
}

struct slot *chunk_take(uint32_t count) {
  unsigned level = count == 1 ? 0 : 32u - (unsigned)__builtin_clz(count - 1);
  struct slot *slot = freelist_pop(level + SLOT_ORDER);
  if (slot == NULL && (slot = grow()) == NULL) return NULL;
  while (slot->order > level + SLOT_ORDER) chunk_split(slot);
  push_pieces(slot + count, (1u << level) - count, slot->stamp);
  count_dirty(slot, count, -1);
  note_least();
  return slot;
}

/* Merge the free block `slot` (on no list) upward while its buddy is free; the result
 * is on no list and its buddy is not free (C3). */
static struct slot *coalesce(struct slot *slot) {
  while (slot->order < CHUNK_ORDER) {
    struct slot *buddy = slot_of(block_buddy(slot_base(slot), slot->order));
    if (slot_kind(buddy) != SLOT_FREE || buddy->order != slot->order) break;
    freelist_remove(buddy);
    struct slot *lower = buddy < slot ? buddy : slot;
    struct slot *upper = buddy < slot ? slot : buddy;
    upper->kind = SLOT_REST;
    lower->stamp = slot->stamp;
    lower->order++;
    slot = lower;
  }
  return slot;
}

void chunk_give(struct slot *first, uint32_t count) {
  uint32_t stamp = os_now_ms();
  count_dirty(first, count, 1);
  while (count > 0) {
    unsigned level = piece_level(first, count);
    first->kind = SLOT_FREE;
    first->order = (uint8_t)(level + SLOT_ORDER);
    first->stamp = stamp;
    freelist_push(coalesce(first));
    first += 1u << level;
    count -= 1u << level;
  }
}

int chunk_extend(struct slot *after, uint32_t count) {
  uint32_t found = 0;
  if (((slot_number(after) - 1) & ~(CHUNK_SLOTS - 1)) != ((slot_number(after) + count - 1) & ~(CHUNK_SLOTS - 1)))
    return 0; /* blocks never cross a chunk */
  while (found < count) {
    const struct slot *piece = after + found;
    if (slot_kind(piece) != SLOT_FREE) return 0;
    found += 1u << (piece->order - SLOT_ORDER);
  }
  for (uint32_t taken = 0; taken < found;) {
    struct slot *piece = after + taken;
    taken += 1u << (piece->order - SLOT_ORDER);
    freelist_remove(piece);
    piece->kind = SLOT_REST;
  }
  push_pieces(after + count, found - count, os_now_ms());
  count_dirty(after, count, -1);
  note_least();
  return 1;
}

/* Purge the slots of the bits in `dirty`, run by run; returns the bits of those that were. */
static uint64_t purge_slots(const struct slot *first, uint64_t dirty) {
  uint64_t purged = 0;
  while (dirty != 0) {
    unsigned start = (unsigned)__builtin_ctzll(dirty);
    uint64_t rest = ~(dirty >> start);
    unsigned run = rest == 0 ? CHUNK_SLOTS : (unsigned)__builtin_ctzll(rest);
    uint64_t bits = (~UINT64_C(0) >> (CHUNK_SLOTS - run)) << start;
    if (os_purge((void *)slot_base(first + start), run * SLOT_BYTES) == 0) purged |= bits;
    dirty &= ~bits;
  }
  return purged;
}

/* Where a pass over the free blocks has come to, the largest first. What lies behind is purged or too young, and is not looked at again:
 * a heap may have a hundred thousand of them. */
struct pass {
  unsigned level;
  uint32_t next; /* on the level's list; 0 at its end */
};

/* The next free block with touched slots that was left alone for `delay` ms, or NULL. */
static struct slot *find_old(struct pass *pass, uint32_t now, uint32_t delay) {
  for (;;) {
    while (pass->next != 0) {
      struct slot *slot = slot_at(pass->next);
      if (slot_kind(slot) != SLOT_FREE || slot->order != pass->level + SLOT_ORDER) {
        pass->next = heap.blocks[pass->level]; /* it was taken while the lock was not held */
        continue;
      }
      pass->next = slot->next;
      if (os_has_passed(now, slot->stamp, delay) && chunk_dirty(slot, 1u << pass->level) != 0) return slot;
    }
    if (pass->level == 0) return NULL;
    pass->next = heap.blocks[--pass->level];
  }
}

/* Bytes in touched free slots that nobody needed for some time, whichever they are: blocks that come and go next to what
 * rests are merged with it, and make it seem young. */
static size_t spare_bytes(uint32_t now, uint32_t delay) {
  if (delay == 0 || now - heap.least_stamp < delay / SPARE_DIVISOR) return 0;
  size_t spare = heap.dirty_least;
  heap.dirty_least = heap.dirty_bytes;
  heap.least_stamp = now;
  return spare;
}

/* Of the bits in `dirty` as many as have `bytes`, the highest first: new blocks are taken from the other end. */
static uint64_t last_bits(uint64_t dirty, size_t bytes) {
  for (size_t excess = count_bits(dirty) - (bytes + SLOT_BYTES - 1) / SLOT_BYTES; excess > 0; excess--) dirty &= dirty - 1;
  return dirty;
}

size_t chunk_purge(uint32_t now, uint32_t delay, size_t enough, const struct lock *held) {
  size_t total = 0;
  lock_acquire(&heap.lock);
  size_t spare = spare_bytes(now, delay);
  struct pass pass = {SLOT_LEVELS - 1, heap.blocks[SLOT_LEVELS - 1]};
  while (heap.dirty_bytes > 0 && total < enough && !lock_is_awaited(held)) {
    size_t left = total < spare ? spare - total : 0;
    struct slot *slot = find_old(&pass, now, left > 0 ? 0 : delay);
    if (slot == NULL) break;
    /* The system call is made without the lock. Meanwhile the block is neither free, so nothing merges
     * with it, nor anybody's to free. */
    uint32_t count = 1u << (slot->order - SLOT_ORDER);
    uint64_t dirty = chunk_dirty(slot, count);
    if (left > 0 && left < count_bits(dirty) * SLOT_BYTES) dirty = last_bits(dirty, left);
    freelist_remove(slot);
    slot->kind = SLOT_PURGING;
    count_dirty(slot, count, -1);
    lock_release(&heap.lock);
    uint64_t purged = purge_slots(slot, dirty);
    lock_acquire(&heap.lock);
    *dirty_word(slot) &= ~(purged << (slot_number(slot) % CHUNK_SLOTS));
    chunk_give(slot, count);
    note_least();
    size_t bytes = count_bits(purged) * SLOT_BYTES;
    heap.purged_bytes += bytes;
    total += bytes;
    if (bytes == 0) break; /* the system refused: try again later */
  }
  lock_release(&heap.lock);
  return total;
}

size_t chunk_release(void) {
  size_t released = 0;
  uint32_t next;
  for (uint32_t number = heap.blocks[SLOT_LEVELS - 1]; number != 0; number = next) {
    struct slot *first = slot_at(number);
    uintptr_t address = slot_base(first);
    next = first->next;
    if (os_unmap((void *)address, CHUNK_BYTES) != 0) continue;
    freelist_remove(first);
    count_dirty(first, CHUNK_SLOTS, -1);
    for (uint32_t i = 0; i < CHUNK_SLOTS; i++) first[i].kind = SLOT_NONE;
    *dirty_word(first) = 0;
    released_chunks++;
    released += CHUNK_BYTES;
  }
  /* Which way a chunk came is not recorded: take it off what there is, mmap first. */
  size_t mapped = released < heap.mmap_bytes ? released : heap.mmap_bytes;
  heap.mmap_bytes -= mapped;
  heap.sbrk_bytes -= released - mapped;
  return released;
}
