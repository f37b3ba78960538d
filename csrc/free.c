/* free.c: from an address to its slot, and back onto the slot's list.
 *
 * The exact check: an address outside the window is a huge block's or nobody's; one inside it
 * finds its slot by arithmetic; a block must begin there, and its state byte must say that it was
 * handed out. Nothing at the address itself is read before that is sure. */
#include "alloc.h"
#include "fatal.h"
#include "huge.h"
#include "include/buddymalloc.h"
#include "large.h"
#include "medium.h"
#include "park.h"
#include "remote.h"
#include "slot.h"
#include "thread.h"

static COLD _Noreturn void bad_block(const struct slot *slot, const void *address) {
  fatal(slot_state(slot, (uintptr_t)address) == NULL ? FATAL_INTERIOR : FATAL_DOUBLE_FREE, address);
}

/* Fatal if no block in the program's hands begins at the address. */
static void check_used(const struct slot *slot, const void *address) {
#if !BM_UNCHECKED
  const uint8_t *state = slot_state(slot, (uintptr_t)address);
  if (state == NULL || __atomic_load_n(state, __ATOMIC_RELAXED) != BLOCK_USED) bad_block(slot, address);
#else
  (void)slot, (void)address;
#endif
}

#if BM_UNCHECKED
static inline int release(const struct slot *slot, struct block *block) {
  (void)slot, (void)block;
  return 1;
}
#else
/* Mark the block as free; 0 if it is not a block in the program's hands. */
static inline int release(const struct slot *slot, struct block *block) {
  uint64_t product = slot_product(slot, (uintptr_t)block);
  if (UNLIKELY(!slot_is_start(slot, product))) return 0;
  uint8_t *state = slot_state_at(slot, product);
  if (UNLIKELY(*state != BLOCK_USED)) return 0;
  /* relaxed: whoever sweeps a parked slot may look. */
  __atomic_store_n(state, BLOCK_FREE, __ATOMIC_RELAXED);
  return 1;
}
#endif

static NOINLINE void slot_event(struct slot *slot) { arena_slot_event(arena_mine, slot); }

/* In a slot that the calling thread's arena has parked: it has no list. */
static inline void free_parked(struct arena *arena, struct slot *slot, struct block *block) {
  if (UNLIKELY(!release(slot, block))) bad_block(slot, block);
  park_note(arena, slot);
  if (UNLIKELY(--slot->countdown == 0)) slot_event(slot);
}

static NOINLINE void free_medium_parked(struct slot *slot, struct block *block) {
  check_used(slot, block);
  arena_put(arena_mine, slot, block);
}

/* In a slot of a medium class that is open to the arena. */
static inline void free_medium(struct arena *arena, struct slot *slot, struct block *block) {
  if (UNLIKELY(!release(slot, block))) bad_block(slot, block);
  medium_keep(arena, slot, block);
}

/* In a slot that is another's. A thread that frees much and has no arena gets one, in which it collects what it sends. */
static NOINLINE void free_of_other(struct slot *slot, void *address) {
  if (UNLIKELY(arena_is_none(arena_mine))) thread_begin();
  remote_free(arena_mine, slot, address);
}

/* Not in a slot of a small class that is open to the calling thread's arena. */
static NOINLINE void free_elsewhere(void *address) {
  struct slot *slot = slot_of((uintptr_t)address);
  struct arena *arena = arena_mine;
  if (slot_is_medium_and_open_to(slot, arena)) {
    free_medium(arena, slot, address);
    return;
  }
  struct arena *owner = slot_owner(slot);
  if (owner == arena && block_is_medium(slot->class))
    free_medium_parked(slot, address);
  else if (owner == arena)
    free_parked(arena, slot, address);
  else if (owner != NULL)
    free_of_other(slot, address);
  else if (UNLIKELY(slot_kind(slot) == SLOT_NONE))
    huge_free(address); /* others' mappings, and ours, may lie in the window too */
  else
    large_free(slot, address);
}

static NOINLINE void free_outside(void *address) {
  if (address != NULL) huge_free(address);
}

/* Hot path: at most 28 instructions, five branches, no atomic read-modify-write. */
void bm_free(void *address) {
  if (UNLIKELY(!heap_contains((uintptr_t)address))) {
    free_outside(address);
    return;
  }
  struct slot *slot = slot_of((uintptr_t)address);
  if (UNLIKELY(!slot_is_small_and_open_to(slot, arena_mine))) {
    free_elsewhere(address);
    return;
  }
  struct block *block = address;
  if (UNLIKELY(!release(slot, block))) bad_block(slot, address);
  struct block **list = slot->list;
  block->next = *list;
  *list = block;
  if (UNLIKELY(--slot->countdown == 0)) slot_event(slot);
}

struct slot *alloc_slot_of(const void *address) {
  if (!heap_contains((uintptr_t)address)) return NULL;
  struct slot *slot = slot_of((uintptr_t)address);
  if (slot_owner(slot) != NULL) {
    check_used(slot, address);
  } else if (slot->kind == SLOT_NONE) {
    return NULL;
  } else if (slot->kind != SLOT_LARGE || (uintptr_t)address != slot_base(slot)) {
    fatal(large_fault(slot, (uintptr_t)address), address);
  }
  return slot;
}

size_t bm_malloc_usable_size(const void *address) {
  if (address == NULL) return 0;
  const struct slot *slot = alloc_slot_of(address);
  if (slot == NULL) {
    size_t bytes = huge_usable(address);
    if (bytes == 0) fatal(huge_fault(address), address);
    return bytes;
  }
  return slot_owner(slot) != NULL ? block_classes[slot->class].size : large_usable(slot);
}

/* ---- Frees that say how long the block is ------------------------------------------------ */

/* The class of a live block of a cut slot. Of any other block it is CLASS_COUNT, and it is known what was asked for. */
static unsigned class_of(const void *address, size_t *request) {
  *request = 0; /* gcc -O3 does not see that it is not looked at then */
  const struct slot *slot = alloc_slot_of(address);
  if (slot != NULL && slot_owner(slot) != NULL) return slot->class;
  size_t lead;
  if (slot != NULL)
    *request = slot->request;
  else if (!huge_noted(address, &lead, request))
    fatal(huge_fault(address), address);
  return CLASS_COUNT;
}

/* 1 if the block may have been asked for so: it is the one that such a request gets, or, after a realloc() that stayed in
 * place, one of which the size is more than half. */
static int is_possible_size(const void *address, size_t alignment, size_t size) {
  size_t request;
  unsigned class = class_of(address, &request);
  if (class == CLASS_COUNT) return size == request;
  size_t usable = block_classes[class].size;
  if (size <= usable && (size > usable / 2 || usable == 1u << MIN_ORDER)) return 1;
  return block_aligned_class(alignment, size) == class;
}

void bm_free_sized(void *address, size_t size) {
  if (address == NULL) return;
  if (!is_possible_size(address, 1, size)) fatal(FATAL_WRONG_SIZE, address);
  bm_free(address);
}

void bm_free_aligned_sized(void *address, size_t alignment, size_t size) {
  if (address == NULL) return;
  if (((uintptr_t)address & (alignment - 1)) != 0 || !is_possible_size(address, alignment, size)) fatal(FATAL_WRONG_SIZE, address);
  bm_free(address);
}

/* 1 if operator new of the size gets such a block. The C++ library may have rounded the size up to the alignment. */
static int is_size_of_new(const void *address, size_t alignment, size_t size) {
  size_t request;
  unsigned class = class_of(address, &request);
  if (size == 0) size = 1; /* as operator new asks */
  if (class < CLASS_COUNT) return block_aligned_class(alignment, size) == class;
  return request == size || request == ((size + alignment - 1) & ~(alignment - 1));
}

static NOINLINE void delete_elsewhere(void *address, size_t alignment, size_t size) {
  if (address == NULL) return;
  if (!is_size_of_new(address, alignment, size)) fatal(FATAL_WRONG_SIZE, address);
  bm_free(address);
}

/* C++ programs free most of their blocks so: a slot of the right class is all that is looked at before bm_free() looks
 * at the block. */
void bm_delete_sized(void *address, size_t size) {
  if (LIKELY(heap_contains((uintptr_t)address) && size <= SLOT_BLOCK_MAX)) {
    const struct slot *slot = slot_of((uintptr_t)address);
    if (LIKELY(slot_owner(slot) != NULL && slot->class == block_class_of(size))) {
      bm_free(address);
      return;
    }
  }
  delete_elsewhere(address, 1, size);
}

void bm_delete_aligned_sized(void *address, size_t alignment, size_t size) { delete_elsewhere(address, alignment, size); }
