/* malloc.c: from a size to a block.
 *
 * malloc(200): the size finds its class (256 bytes) in a table; the class's stock in the thread's
 * arena has a block, which is popped and marked as used. With an empty stock arena_refill() takes
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

#include <errno.h>

/* The system has no more: give back all that is free, so that it can be had in another form. */
static COLD void reclaim(void) {
  if (!arena_is_none(arena_mine)) arena_flush(arena_mine);
  orphan_drain();
  purge_run(os_now_ms(), 0);
  lock_acquire(&heap.lock);
  chunk_release();
  lock_release(&heap.lock);
}

static COLD void *out_of_memory(void) {
  errno = ENOMEM;
  return NULL;
}

static struct block *refill(unsigned class) {
  struct arena *arena = arena_mine;
  return arena_is_none(arena) ? arena_first_block(class) : arena_refill(arena, class);
}

static NOINLINE void *alloc_slow(unsigned class) {
  struct block *block = refill(class);
  if (UNLIKELY(block == NULL)) {
    reclaim();
    block = refill(class);
    if (block == NULL) return out_of_memory();
  }
  return alloc_claim(block);
}

void *alloc_class(unsigned class) {
  struct arena *arena = arena_mine;
  struct block *block = arena->blocks[class];
  if (UNLIKELY(block == NULL)) return alloc_slow(class);
  arena->blocks[class] = block->next;
  return alloc_claim(block);
}

static void *try_beyond(size_t size, size_t alignment, int zeroed) {
  if (size <= LARGE_MAX && alignment <= LARGE_MAX && heap_init()) return large_alloc(size, alignment, zeroed);
  if (!heap_init()) return NULL;
  return huge_alloc(size, alignment, zeroed);
}

void *alloc_beyond(size_t size, size_t alignment, int zeroed) {
  if (size > PTRDIFF_MAX) return out_of_memory();
  void *address = try_beyond(size, alignment, zeroed);
  if (UNLIKELY(address == NULL)) {
    reclaim();
    address = try_beyond(size, alignment, zeroed);
    if (address == NULL) return out_of_memory();
  }
  return address;
}

static NOINLINE void *malloc_medium(size_t size) {
  if (UNLIKELY(size > SLOT_BLOCK_MAX)) return alloc_beyond(size, 1, 0);
  return alloc_class(block_medium_class(size));
}

/* Hot path: at most 20 instructions, two branches, no atomic read-modify-write. */
void *bm_malloc(size_t size) {
  struct arena *arena = arena_mine;
  if (UNLIKELY(size > SMALL_MAX)) return malloc_medium(size);
  unsigned class = arena->step_class[(size + 15) >> 4];
  struct block *block = arena->blocks[class];
  if (UNLIKELY(block == NULL)) return alloc_slow(class);
  arena->blocks[class] = block->next;
  return alloc_claim(block);
}
