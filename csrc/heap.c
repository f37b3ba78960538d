/* heap.c: the window of addresses that the heap lives in, and its table.
 *
 * The window is fixed at the start: the break and what lies above it. A flat table has an
 * entry for every slot of it, so that a pointer finds its slot with one shift, and a
 * pointer from elsewhere is recognised by one comparison; only the entries of slots that were
 * ever used cost memory.
 *
 * Owner:     `base`, `full_span` and `slots` are constant once heap_init() has succeeded; `span` shrinks to what was
 *            used while addresses are limited, and grows again; the rest is chunk.c's, under heap.lock.
 * Cost:      once, seven system calls; one for every 32 MiB that the heap grows. */
#include "heap.h"

#include "fatal.h"
#include "guard.h"
#include "options.h"
#include "os.h"

/* The table is opened for so many slots at a time: 64 KiB of it, for 32 MiB of heap. */
#define OPEN_SLOTS 512u

/* User space ends here, where mappings begin; a program and its break lie at two thirds of it at most. */
#if defined(__aarch64__)
#define ADDRESS_END ((uintptr_t)1 << 48)
#else
#define ADDRESS_END ((uintptr_t)1 << 47)
#endif
/* A break above this lies among the mappings: no room to grow into. */
#define BREAK_MAX (ADDRESS_END / 8 * 7)

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
  if (options.sbrk && !os_is_simulated()) {
    uintptr_t start = (uintptr_t)os_break();
    if (start != 0 && start < BREAK_MAX) {
      uintptr_t base = heap_round_up(start) - CHUNK_BYTES;
      if (base + *span < ADDRESS_END) return base;
    }
  }
  heap.sbrk_failed = 1;
  for (size_t room = *span; room >= 4 * CHUNK_BYTES; room /= 2) {
    void *gap = os_reserve(room);
    if (gap == NULL) continue;
    os_unmap(gap, room);
    /* A limit of addresses counts what is reserved. The kernel maps downwards: what lies below is free too. */
    uintptr_t end = (uintptr_t)gap + room;
    if (end / 2 < *span) *span = room;
    uintptr_t base = heap_round_up(end - *span);
    *span -= CHUNK_BYTES;
    return base;
  }
  return 0;
}

static size_t table_bytes(size_t span) { return (span >> SLOT_ORDER) * sizeof(struct slot); }

/* The heap's window and table. Once it succeeded it is constant; until then every call tries. */
int heap_init(void) {
  if (__atomic_load_n(&heap.span, __ATOMIC_ACQUIRE) != 0) return 1;
  lock_acquire(&heap.lock);
  if (heap.span == 0) {
    options_init();
    if (OS_PAGE > SLOT_BYTES) fatal("pages of more than 64 KiB are not supported", (void *)OS_PAGE);
    size_t span = (size_t)1 << window_order();
    uintptr_t base = window_base(&span);
    struct slot *slots = NULL;
    for (; base != 0 && span >= 4 * CHUNK_BYTES; span /= 2) {
      slots = os_map_closed(table_bytes(span));
      if (slots != NULL) break;
    }
    uint64_t *dirty = slots == NULL ? NULL : os_map((span >> CHUNK_ORDER) * sizeof(uint64_t));
    if (dirty != NULL && guard_init()) {
      os_hugepages(slots, table_bytes(span), 0);
      heap.base = base;
      heap.full_span = span;
      heap.slots = slots;
      heap.dirty = dirty;
      heap.top = CHUNK_SLOTS; /* the first chunk of the window is never used: slot 0 means none */
      /* release: pairs with the acquire above. */
      __atomic_store_n(&heap.span, span, __ATOMIC_RELEASE);
    } else if (slots != NULL) {
      os_unmap(slots, table_bytes(span));
    }
  }
  lock_release(&heap.lock);
  return heap.span != 0;
}

int heap_open(uint32_t end) {
  if (end <= heap.open) return 1;
  uint32_t all = (uint32_t)(heap.span >> SLOT_ORDER);
  uint32_t until = end + OPEN_SLOTS - end % OPEN_SLOTS;
  if (until > all) until = all;
  if (os_open(heap.slots + heap.open, (until - heap.open) * sizeof(struct slot)) != 0) return 0;
  heap.open = until;
  return 1;
}

/* The number of slots that the table must have room for, under a limit of addresses. Requires heap.lock. */
static uint32_t slots_under(size_t limit) {
  uint32_t all = (uint32_t)(heap.full_span >> SLOT_ORDER);
  uint32_t used = heap.open > heap.top ? heap.open : heap.top;
  size_t wanted = limit >> (SLOT_ORDER - 1);
  if (limit == SIZE_MAX || wanted >= all - used) return all;
  uint32_t kept = (uint32_t)(used + wanted + OPEN_SLOTS) / OPEN_SLOTS * OPEN_SLOTS;
  return kept < all ? kept : all;
}

static void set_span(uint32_t slots) { __atomic_store_n(&heap.span, (size_t)slots << SLOT_ORDER, __ATOMIC_RELAXED); }

void heap_fit(void) {
  size_t limit = os_address_limit();
  lock_acquire(&heap.lock);
  uint32_t slots = (uint32_t)(heap.span >> SLOT_ORDER), kept = slots_under(limit);
  if (kept < slots) {
    /* First of all: other threads may free what lies there, a huge block, and look at its place in the table. */
    set_span(kept);
    if (os_unmap(heap.slots + kept, (slots - kept) * sizeof(struct slot)) != 0) set_span(slots);
  } else if (kept > slots && os_map_closed_at(heap.slots + slots, (kept - slots) * sizeof(struct slot)) != NULL) {
    set_span(kept);
  }
  lock_release(&heap.lock);
}
