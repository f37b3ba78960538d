/* heap.c: the window of addresses that the heap lives in, and its table.
 *
 * The window is fixed at the start: the break and what lies above it. A flat table has an
 * entry for every slot of it, so that a pointer finds its slot with one shift, and a
 * pointer from elsewhere is recognised by one comparison; only the entries of slots that were
 * ever used cost memory.
 *
 * Owner:     `base`, `span` and `slots` are constant once heap_init() has succeeded; the rest is
 *            chunk.c's, under heap.lock.
 * Cost:      once, five system calls. */
#include "heap.h"

#include "options.h"
#include "os.h"

/* User space ends here (x86-64 and aarch64 with 47 bits or more). */
#define ADDRESS_END ((uintptr_t)1 << 47)
/* A break above this lies among the mappings: no room to grow into. */
#define BREAK_MAX ((uintptr_t)0x700000000000)

struct heap heap;

static unsigned window_order(void) {
  size_t wanted = os_memory() * WINDOW_PER_MEMORY;
  size_t limit = os_address_limit();
  if (limit < (SIZE_MAX >> 5) && wanted > limit * 16) wanted = limit * 16;
  unsigned order = wanted <= 1 ? WINDOW_ORDER_MIN : 64u - (unsigned)__builtin_clzll(wanted - 1);
  if (order < WINDOW_ORDER_MIN) order = WINDOW_ORDER_MIN;
  return order > WINDOW_ORDER_MAX ? WINDOW_ORDER_MAX : order;
}

/* Where the window begins: just above the break, or in the largest gap that mmap offers. */
static uintptr_t window_base(size_t *span) {
  if (options.sbrk) {
    uintptr_t start = (uintptr_t)os_break();
    if (start != 0 && start < BREAK_MAX) {
      uintptr_t base = heap_round_up(start) - CHUNK_BYTES;
      if (base + *span < ADDRESS_END) return base;
    }
  }
  heap.sbrk_failed = 1;
  for (; *span >= 4 * CHUNK_BYTES; *span /= 2) {
    void *gap = os_reserve(*span);
    if (gap == NULL) continue;
    os_unmap(gap, *span);
    uintptr_t base = heap_round_up((uintptr_t)gap);
    *span -= CHUNK_BYTES;
    return base;
  }
  return 0;
}

/* The heap's window and table. Once it succeeded it is constant; until then every call tries. */
int heap_init(void) {
  if (__atomic_load_n(&heap.span, __ATOMIC_ACQUIRE) != 0) return 1;
  lock_acquire(&heap.lock);
  if (heap.span == 0) {
    options_init();
    size_t span = (size_t)1 << window_order();
    uintptr_t base = window_base(&span);
    struct slot *slots = NULL;
    size_t bytes = 0;
    for (; base != 0 && span >= 4 * CHUNK_BYTES; span /= 2) {
      bytes = (span >> SLOT_ORDER) * sizeof(struct slot) + (span >> CHUNK_ORDER) * sizeof(uint64_t);
      slots = os_map(bytes);
      if (slots != NULL) break;
    }
    if (slots != NULL) {
      os_hugepages(slots, bytes, 0);
      heap.base = base;
      heap.slots = slots;
      heap.dirty = (uint64_t *)(slots + (span >> SLOT_ORDER));
      heap.top = CHUNK_SLOTS; /* the first chunk of the window is never used: slot 0 means none */
      /* release: pairs with the acquire above. */
      __atomic_store_n(&heap.span, span, __ATOMIC_RELEASE);
    }
  }
  lock_release(&heap.lock);
  return heap.span != 0;
}
