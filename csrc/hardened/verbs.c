/* verbs.c: the verbs of the hardened build, in place of those of malloc.c, free.c, calloc.c and realloc.c.
 *
 * A request takes a block that is at least a tail longer. A block that is handed out is known to hold zeros, and is
 * looked at for writes since it was freed. free() looks at the slack behind the block and at the tail before it,
 * wipes the block, and puts it into quarantine. See docs/misuse.md.
 *
 * Cost:      malloc and free: the default build's, a pass over the block each, and a handful of multiplications. */
#include "../alloc.h"
#include "../fatal.h"
#include "../guard.h"
#include "../include/buddymalloc.h"
#include "../slot.h"
#include "../thread.h"
#include "pattern.h"
#include "verbs.h"

#include <errno.h>
#include <string.h>

/* ---- Handing out ------------------------------------------------------------------------------ */

static inline void *hand_out(struct block *block, uint32_t size, size_t request) {
  if (UNLIKELY(!pattern_is_wiped(block, size))) fatal(FATAL_WRITE_AFTER_FREE, block);
  block->next = NULL;
  pattern_seal(block, size, request);
  return block;
}

static void *from_class(unsigned class, size_t request) {
  struct block *block = alloc_class(class);
  return LIKELY(block != NULL) ? hand_out(block, block_classes[class].size, request) : NULL;
}

static NOINLINE void *malloc_slowly(size_t size) {
  if (size == 0) {
    void *address = zero_alloc(1);
    return address != NULL ? address : from_class(0, 0);
  }
  if (size > SLOT_BLOCK_MAX - PATTERN_TAIL) return pages_alloc(size, 1);
  return from_class(block_class_of(size + PATTERN_TAIL), size);
}

void *bm_malloc(size_t size) {
  struct arena *arena = arena_mine;
  if (UNLIKELY(size - 1 >= SMALL_MAX - PATTERN_TAIL)) return malloc_slowly(size);
  struct stock *stock = arena_small_stock(arena, size + PATTERN_TAIL);
  struct block *block = stock->first;
  if (UNLIKELY(block == NULL)) return malloc_slowly(size);
  alloc_pop(stock, block);
  return hand_out(block, block_classes[arena_stock_class(arena, stock)].size, size);
}

void *bm_calloc(size_t count, size_t size) {
  size_t bytes;
  if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
    errno = ENOMEM;
    return NULL;
  }
  return bm_malloc(bytes); /* it holds zeros */
}

void *alloc_aligned(size_t alignment, size_t size) {
  if (size == 0) {
    void *address = zero_alloc(alignment);
    if (address != NULL) return address;
  }
  unsigned class = size <= SLOT_BLOCK_MAX ? block_aligned_class(alignment, size + PATTERN_TAIL) : CLASS_COUNT;
  return class < CLASS_COUNT ? from_class(class, size) : pages_alloc(size, alignment);
}

/* ---- Taking back ---------------------------------------------------------------------------- */

/* The block of a cut slot at the address, with its state in the program's hands; fatal if there is none. */
static inline uint8_t *used_state(const struct slot *slot, const void *address) {
  uint64_t product = slot_product(slot, (uintptr_t)address);
  if (UNLIKELY(!slot_is_start(slot, product))) fatal(FATAL_INTERIOR, address);
  uint8_t *state = slot_state_at(slot, product);
  if (UNLIKELY(__atomic_load_n(state, __ATOMIC_RELAXED) != BLOCK_USED)) fatal(FATAL_DOUBLE_FREE, address);
  return state;
}

static inline size_t request_of(const struct block *block, uint32_t size, uint64_t key) {
  size_t request = pattern_request(block, size, key);
  if (UNLIKELY(request == PATTERN_BROKEN)) fatal(FATAL_OVERFLOW, block);
  return request;
}

/* The tail before the block is none. It is no fault if the pages of the block before were purged; and since that may just
 * have happened, or ended, the tail is read again after the state. */
static NOINLINE void look_again(const struct block *block, const uint8_t *state) {
  if (__atomic_load_n(state - 1, __ATOMIC_ACQUIRE) == BLOCK_PURGED) return;
  if (!pattern_is_tail((const uint64_t *)block - 1)) fatal(FATAL_UNDERFLOW, block);
}

/* What a block may have been asked for with: one of two sizes. */
struct sizes {
  size_t one, other;
};

static void expect_size(const void *address, size_t request, const struct sizes *sizes) {
  if (sizes != NULL && request != sizes->one && request != sizes->other) fatal(FATAL_WRONG_SIZE, address);
}

/* The block is another thread's: of two threads that free it the second is stopped. One that only frees gets an arena too, to keep
 * a quarantine in. Returns the arena. */
static NOINLINE struct arena *take_from_other(uint8_t *state, const void *address) {
  if (__atomic_exchange_n(state, BLOCK_QUARANTINED, __ATOMIC_RELAXED) != BLOCK_USED) fatal(FATAL_DOUBLE_FREE, address);
  if (UNLIKELY(arena_is_none(arena_mine))) thread_begin();
  return arena_mine;
}

static NOINLINE void free_elsewhere(struct slot *slot, void *address, const struct sizes *sizes) {
  if (address == NULL) return;
  if (sizes != NULL) expect_size(address, bm_malloc_usable_size(address), sizes);
  if (!zero_free(address)) pages_free(slot, address);
}

/* Free the block; fatal if it was asked for with none of the sizes, if there are any. */
static inline void take_back(void *address, const struct sizes *sizes) {
  if (UNLIKELY(!heap_contains((uintptr_t)address))) {
    free_elsewhere(NULL, address, sizes);
    return;
  }
  struct slot *slot = slot_of((uintptr_t)address);
  const struct arena *owner = slot_owner(slot);
  if (UNLIKELY(owner == NULL)) {
    free_elsewhere(slot, address, sizes);
    return;
  }
  struct arena *arena = arena_mine;
  struct block *block = address;
  uint8_t *state = used_state(slot, block);
  uint32_t size = block_classes[slot->class].size;
  uint64_t key = pattern_key_of(block, size);
  expect_size(block, request_of(block, size, key), sizes);
  if (UNLIKELY(!pattern_is_tail((const uint64_t *)block - 1))) look_again(block, state);
  if (LIKELY(owner == arena))
    *state = BLOCK_QUARANTINED;
  else
    arena = take_from_other(state, block);
  pattern_wipe(block, size, key);
  quarantine_put(arena, block, size);
}

void bm_free(void *address) { take_back(address, NULL); }

void bm_free_sized(void *address, size_t size) {
  const struct sizes sizes = {size, size};
  take_back(address, &sizes);
}

void bm_free_aligned_sized(void *address, size_t alignment, size_t size) {
  if (((uintptr_t)address & (alignment - 1)) != 0) fatal(FATAL_WRONG_SIZE, address);
  bm_free_sized(address, size);
}

void bm_delete_sized(void *address, size_t size) { bm_free_sized(address, size == 0 ? 1 : size); /* as operator new asks */ }

/* The C++ library may have rounded the size up to the alignment. */
void bm_delete_aligned_sized(void *address, size_t alignment, size_t size) {
  size_t least = size == 0 ? 1 : size;
  const struct sizes sizes = {least, (least + alignment - 1) & ~(alignment - 1)};
  take_back(address, &sizes);
}

/* ---- The others -------------------------------------------------------------------------------- */

/* The slot of a block of a class; NULL, with *whole set to the slot if there is one, for other blocks. */
static struct slot *cut_slot(const void *address, struct slot **whole) {
  *whole = NULL;
  if (!heap_contains((uintptr_t)address)) return NULL;
  struct slot *slot = slot_of((uintptr_t)address);
  if (slot_owner(slot) != NULL) return slot;
  *whole = slot;
  return NULL;
}

size_t bm_malloc_usable_size(const void *address) {
  if (address == NULL) return 0;
  struct slot *whole;
  const struct slot *slot = cut_slot(address, &whole);
  if (slot == NULL) return zero_is(address) ? 0 : pages_request(whole, address);
  used_state(slot, address);
  uint32_t size = block_classes[slot->class].size;
  return request_of(address, size, pattern_key_of(address, size));
}

static void *move(void *address, size_t old_size, size_t size) {
  void *moved = bm_malloc(size);
  if (moved == NULL) return NULL;
  memcpy(moved, address, size < old_size ? size : old_size);
  bm_free(address);
  return moved;
}

/* From half of the block down a smaller one is worth the copy. */
static int fits(uint32_t block_size, size_t size) {
  return size <= block_size - PATTERN_TAIL && (size + PATTERN_TAIL > block_size / 2 || block_size == 1u << MIN_ORDER);
}

static void *resize_cut(const struct slot *slot, struct block *block, size_t size) {
  used_state(slot, block);
  uint32_t block_size = block_classes[slot->class].size;
  size_t old_size = request_of(block, block_size, pattern_key_of(block, block_size));
  if (!fits(block_size, size)) return move(block, old_size, size);
  if (size > old_size) memset((char *)block + old_size, 0, size - old_size);
  pattern_seal(block, block_size, size);
  return block;
}

void *bm_realloc(void *address, size_t size) {
  if (address == NULL) return bm_malloc(size);
  if (UNLIKELY(size == 0)) {
    bm_free(address);
    return NULL;
  }
  if (UNLIKELY(size > PTRDIFF_MAX)) {
    errno = ENOMEM;
    return NULL;
  }
  struct slot *whole;
  const struct slot *slot = cut_slot(address, &whole);
  if (slot != NULL) return resize_cut(slot, address, size);
  if (zero_is(address)) return move(address, 0, size);
  int saved_errno = errno;
  void *resized = pages_resize(whole, address, size);
  errno = saved_errno;
  return resized != NULL ? resized : move(address, pages_request(whole, address), size);
}

void *bm_reallocarray(void *address, size_t count, size_t size) {
  size_t bytes;
  if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
    errno = ENOMEM;
    return NULL;
  }
  return bm_realloc(address, bytes);
}
