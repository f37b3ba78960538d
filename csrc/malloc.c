/* malloc.c: from a size to a block.
 *
 * malloc(200): the size finds its class (256 bytes) in a table; the class's stock in the thread's
 * arena has a block, which is popped and its state byte marked as used. With an empty stock arena_refill() takes
 * the list of a slot, or carves, adopts or cuts one; chunk.c splits the slot off a larger block or
 * gets a chunk from the system. */
#include "alloc.h"
#include "chunk.h"
#include "huge.h"
#include "include/buddymalloc.h"
#include "large.h"
#include "orphan.h"
#include "os.h"
#include "purge.h"
#include "thread.h"
#include "tidy.h"

#include <errno.h>

/* The system has no more: give back all that is free, so that it can be had in another form. */
static COLD void reclaim(void) {
  if (!arena_is_none(arena_mine)) arena_flush(arena_mine);
  orphan_drain();
  purge_run(os_now_ms(), 0);
  heap_fit();
  lock_acquire(&heap.lock);
  chunk_release();
  lock_release(&heap.lock);
}

static COLD void *out_of_memory(void) {
  errno = ENOMEM;
  return NULL;
}

static void *pop(struct stock *stock, unsigned class) {
  return block_is_medium(class) ? alloc_pop_medium(stock) : alloc_pop(stock, stock->first);
}

static void *try_class(unsigned class) {
  struct arena *arena = thread_arena();
  if (arena == NULL) return NULL;
  struct stock *stock = &arena->blocks[class];
  int filled = arena_has_stock(arena, class) || arena_refill(arena, class);
  void *address = filled ? pop(stock, class) : NULL;
  thread_leave_late();
  return address;
}

/* The stock is empty. */
static NOINLINE void *alloc_slow(struct stock *stock) {
  unsigned class = arena_stock_class(arena_mine, stock);
  void *address = try_class(class);
  if (LIKELY(address != NULL)) return address;
  reclaim();
  address = try_class(class);
  return address != NULL ? address : out_of_memory();
}

static inline void *alloc_medium(unsigned class) {
  struct stock *stock = &arena_mine->blocks[class];
  if (UNLIKELY(stock->count == 0)) return alloc_slow(stock);
  return alloc_pop_medium(stock);
}

void *alloc_class(unsigned class) {
  if (block_is_medium(class)) return alloc_medium(class);
  struct stock *stock = &arena_mine->blocks[class];
  struct block *block = stock->first;
  if (UNLIKELY(block == NULL)) return alloc_slow(stock);
  return alloc_pop(stock, block);
}

static void *try_beyond(size_t size, size_t alignment, int zeroed) {
  void *address = NULL;
  if (!heap_init()) return NULL;
  int is_huge = size > LARGE_MAX || alignment > LARGE_MAX;
  if (!is_huge) address = large_alloc(size, alignment, zeroed);
  /* The heap's window may be full, or something in its way: the system may have a mapping all the same. The hardened build wants slots. */
  return address != NULL || (BM_HARDENED && !is_huge) ? address : huge_alloc(size, alignment, zeroed);
}

void *alloc_beyond(size_t size, size_t alignment, int zeroed) {
  if (size > PTRDIFF_MAX) return out_of_memory();
  struct arena *arena = thread_arena(); /* it keeps what is freed, if only large blocks are */
  if (arena != NULL) tidy_step(arena);
  void *address = try_beyond(size, alignment, zeroed);
  if (UNLIKELY(address == NULL)) {
    reclaim();
    address = try_beyond(size, alignment, zeroed);
  }
  thread_leave_late();
  return address != NULL ? address : out_of_memory();
}

#if !BM_HARDENED /* hardened/verbs.c has its own */

static NOINLINE void *malloc_medium(size_t size) {
  if (UNLIKELY(size > SLOT_BLOCK_MAX)) {
    void *kept = size <= LARGE_MAX ? large_take_kept(size) : NULL;
    return kept != NULL ? kept : alloc_beyond(size, 1, 0);
  }
  return alloc_medium(block_medium_class(size));
}

/* Hot path: at most 20 instructions, two branches, no atomic read-modify-write. */
void *bm_malloc(size_t size) {
  struct arena *arena = arena_mine;
  if (UNLIKELY(size > SMALL_MAX)) return malloc_medium(size);
  struct stock *stock = arena_small_stock(arena, size);
  struct block *block = stock->first;
  if (UNLIKELY(block == NULL)) return alloc_slow(stock);
  return alloc_pop(stock, block);
}

#endif
