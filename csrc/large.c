/* large.c: blocks of whole slots: a power of two of them whose last eighths were given back.
 *
 * Owner:     heap.lock.
 * Invariant: L1  a block's first slot has kind SLOT_LARGE and `used` slots, of which the others
 *                have kind SLOT_TAIL; none has an owner.
 * Cost:      chunk_take() and chunk_give(). */
#include "large.h"

#include "chunk.h"
#include "fatal.h"
#include "os.h"
#include "purge.h"

#include <string.h>

static void mark(struct slot *slot, uint32_t count) {
  slot->kind = SLOT_LARGE;
  slot->used = count;
  for (uint32_t i = 1; i < count; i++) slot[i].kind = SLOT_TAIL;
}

void *large_alloc(size_t size, size_t alignment, int zeroed) {
  size_t count = block_large_slots(size);
  size_t aligned = alignment >> SLOT_ORDER;
  if (count < aligned) count = aligned;
  lock_acquire(&heap.lock);
  struct slot *slot = chunk_take((uint32_t)count);
  if (slot == NULL) {
    lock_release(&heap.lock);
    return NULL;
  }
  mark(slot, (uint32_t)count);
  heap.large_allocs++;
  lock_release(&heap.lock);
  char *address = (char *)slot_base(slot);
  for (size_t i = 0; i < count; i++) {
    if (zeroed && slot[i].dirty && i * SLOT_BYTES < size) {
      size_t bytes = size - i * SLOT_BYTES;
      memset(address + i * SLOT_BYTES, 0, bytes < SLOT_BYTES ? bytes : SLOT_BYTES);
    }
    slot[i].dirty = 1;
  }
  return address;
}

const char *large_fault(const struct slot *slot, uintptr_t address) {
  switch (slot->kind) {
    case SLOT_LARGE:
      return address == slot_base(slot) ? FATAL_DOUBLE_FREE : FATAL_INTERIOR;
    case SLOT_TAIL:
      return FATAL_INTERIOR;
    case SLOT_FREE:
    case SLOT_REST:
      /* Every block in it was freed; whether one ever began here is not known any more. */
      return slot->dirty && address % 16 == 0 ? FATAL_DOUBLE_FREE : FATAL_INVALID;
    default:
      return FATAL_INVALID;
  }
}

void large_free(struct slot *slot, void *address) {
  lock_acquire(&heap.lock);
  if (UNLIKELY(slot->kind != SLOT_LARGE || (uintptr_t)address != slot_base(slot))) {
    lock_release(&heap.lock);
    fatal(large_fault(slot, (uintptr_t)address), address);
  }
  heap.large_frees++;
  chunk_give(slot, slot->used);
  lock_release(&heap.lock);
  purge_notice();
}

int large_resize(struct slot *slot, size_t size) {
  uint32_t count = (uint32_t)block_large_slots(size);
  int done = 1;
  lock_acquire(&heap.lock);
  uint32_t old = slot->used;
  if (count < old) {
    mark(slot, count);
    chunk_give(slot + count, old - count);
  } else if (count > old) {
    done = chunk_extend(slot + old, count - old);
    if (done) {
      mark(slot, count);
      for (uint32_t i = old; i < count; i++) slot[i].dirty = 1;
    }
  }
  lock_release(&heap.lock);
  return done;
}
