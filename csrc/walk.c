/* walk.c: every chunk and block in address order, for pictures and tests. */
#include "arena.h"
#include "chunk.h"
#include "huge.h"
#include "include/buddymalloc.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"

struct walk {
  int (*visit)(const struct bm_walk_entry *entry, void *context);
  void *context;
};

static int emit(const struct walk *walk, uintptr_t address, size_t size, unsigned level, enum bm_walk_kind kind,
                uint32_t arena, uint32_t resident) {
  struct bm_walk_entry entry = {(const void *)address, size, level, kind, arena, resident};
  return walk->visit(&entry, walk->context);
}

static int walk_cut(const struct walk *walk, const struct slot *slot) {
  const struct block_class *class = &block_classes[slot->class];
  unsigned level = block_level(class->size);
  uint32_t start = slot_start(slot), arena = slot_owner(slot)->number;
  int result = 0;
  for (uint32_t index = 0; index < class->capacity && result == 0; index++) {
    uintptr_t address = (uintptr_t)slot_block(slot, index);
    if (SLOT_GUARDS != 0 && index == 0) {
      result = emit(walk, address, class->size, level, BM_WALK_META, arena, 1);
      continue;
    }
    uint32_t turn = index >= start ? index - start : index + class->capacity - start;
    uint8_t state = slot->states[index];
    uint32_t resident = turn < slot->fresh && state != BLOCK_PURGED;
    result = emit(walk, address, class->size, level, state == BLOCK_USED ? BM_WALK_USED : BM_WALK_FREE, arena, resident);
  }
  size_t rest = SLOT_BYTES - (size_t)class->capacity * class->size;
  if (rest > 0 && result == 0)
    result = emit(walk, slot_base(slot) + SLOT_BYTES - rest, rest, level, BM_WALK_META, arena, 0);
  return result;
}

static int walk_chunk(const struct walk *walk, const struct slot *first) {
  int result = emit(walk, slot_base(first), CHUNK_BYTES, 0, BM_WALK_CHUNK, 0, 0);
  for (uint32_t i = 0; i < CHUNK_SLOTS && result == 0;) {
    const struct slot *slot = first + i;
    uint32_t count = 1;
    if (slot->kind == SLOT_CUT) {
      result = walk_cut(walk, slot);
    } else if (slot->kind == SLOT_LARGE || slot->kind == SLOT_KEPT) {
      count = slot->used;
      result = emit(walk, slot_base(slot), count * SLOT_BYTES, block_level(count * SLOT_BYTES),
                    slot->kind == SLOT_LARGE ? BM_WALK_USED : BM_WALK_FREE, 0, 1);
    } else if (slot->kind == SLOT_FREE) {
      count = 1u << (slot->order - SLOT_ORDER);
      result = emit(walk, slot_base(slot), count * SLOT_BYTES, slot->order - MIN_ORDER, BM_WALK_FREE, 0,
                    chunk_dirty(slot, count) != 0);
    }
    i += count;
  }
  return result;
}

static int emit_huge(const void *address, size_t bytes, void *context) {
  return emit(context, (uintptr_t)address, bytes, block_level(bytes), BM_WALK_HUGE, 0, 1);
}

int bm_walk(int (*visit)(const struct bm_walk_entry *entry, void *context), void *context) {
  struct walk walk = {visit, context};
  int result = 0;
  if (!heap_init()) return 0;
  lock_acquire(&purge_lock);
  lock_acquire(&heap.lock);
  for (uint32_t number = CHUNK_SLOTS; number < heap.top && result == 0; number += CHUNK_SLOTS)
    if (slot_at(number)->kind != SLOT_NONE) result = walk_chunk(&walk, slot_at(number));
  lock_release(&heap.lock);
  lock_release(&purge_lock);
  return result != 0 ? result : huge_walk(emit_huge, &walk);
}
