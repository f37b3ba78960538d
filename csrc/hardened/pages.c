/* pages.c: blocks beyond those of slots, each between two pages that nobody may touch.
 *
 * A large block begins a page after its first slot does, and is followed by another. A huge block ends where the page
 * after it begins, as far as its alignment lets it. What is left of the first and last page of either is filled, as the
 * slack of other blocks is. How long a block is stands in the slot's entry or in the table of huge blocks,
 * where no block is near. A huge block that is freed is unmapped at once.
 *
 * The kernel may refuse to protect a page, when a process has too many mappings: such a block has the filling alone.
 *
 * Owner:     who has the block.
 * Invariant: K1  what is mapped of a large block that no program has, its guard pages too, is zeros, once it was freed.
 * Cost:      two system calls for a large block, unless the last one freed was as long, and two or more to sweep it
 *            at its allocation and its free; four for a huge one. */
#include "../alloc.h"
#include "../fatal.h"
#include "../guard.h"
#include "../huge.h"
#include "../large.h"
#include "../os.h"
#include "../slot.h"
#include "pattern.h"
#include "verbs.h"

#include <errno.h>
#include <string.h>

/* In a slot of SLOT_LARGE. */
#define REQUEST(slot) ((slot)->reciprocal) /* bytes */
#define END_PAGE(slot) ((slot)->countdown) /* the page after the block, counted from the slot's first; 0 before it is set */
#define CLOSED(slot) ((slot)->purged)      /* bits: the pages that are guards in fact */
enum { CLOSED_FIRST = 1, CLOSED_END = 2 };

static uint64_t value_for(uintptr_t address) { return pattern_key((const uint64_t *)address); }

/* The bytes from `from` to `to`, which is a multiple of 8. */
static void fill(uintptr_t from, uintptr_t to, uint64_t value) { pattern_fill((uint64_t *)to, value, to - from); }
static void expect_filled(uintptr_t from, uintptr_t to, uint64_t value, const char *fault, const void *address) {
  if (!pattern_is_filled((const uint64_t *)to, value, to - from)) fatal(fault, address);
}

/* ---- Large blocks -------------------------------------------------------------------------- */

void guard_large_made(struct slot *slot) { END_PAGE(slot) = CLOSED(slot) = 0; }

/* Freed blocks whose guard pages the system refuses to open: slot numbers, linked by `next`. Any thread pushes, and
 * takes all of them. A page that is opened counts for RLIMIT_DATA, a closed one does not. */
static uint32_t stuck;

int guard_large_unmade(struct slot *slot) {
  if (CLOSED(slot) == 0) return 1;
  size_t bytes = large_usable(slot);
  if (os_open((void *)slot_base(slot), bytes) == 0) {
    CLOSED(slot) = 0;
    return 1;
  }
  os_purge((void *)slot_base(slot), bytes);
  uint32_t head = __atomic_load_n(&stuck, __ATOMIC_RELAXED);
  do slot->next = head;
  /* release: pairs with the exchange in free_stuck(). */
  while (!__atomic_compare_exchange_n(&stuck, &head, slot_number(slot), 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
  return 0;
}

/* Free once more what is stuck; 1 if there was anything. */
static int free_stuck(void) {
  uint32_t number = __atomic_exchange_n(&stuck, 0, __ATOMIC_ACQUIRE), next;
  if (number == 0) return 0;
  for (; number != 0; number = next) {
    struct slot *slot = slot_at(number);
    next = slot->next;
    __atomic_store_n(&slot->kind, SLOT_LARGE, __ATOMIC_RELAXED);
    large_free(slot, (void *)slot_base(slot));
  }
  return 1;
}

static size_t whole_large(size_t size) { return os_round_up(size) + 2 * OS_PAGE; }

static uintptr_t large_end(const struct slot *slot) { return slot_base(slot) + END_PAGE(slot) * OS_PAGE; }

/* Of so many bytes at a time it is asked which pages are in memory. */
#define SWEEP_STEP ((size_t)1 << 20)

/* Pages that a program never reached are neither read nor written, so that they stay absent. They are purged all the
 * same, since they may be on swap. The other ones, run by run, go through `visit` until it returns 0; returns what
 * the last one did. */
static int sweep(uintptr_t from, uintptr_t to, int (*visit)(void *pages, size_t bytes)) {
  unsigned char present[SWEEP_STEP / 4096]; /* no page is smaller */
  for (size_t step; from < to; from += step) {
    step = to - from < SWEEP_STEP ? to - from : SWEEP_STEP;
    size_t count = step / OS_PAGE;
    if (os_present((void *)from, step, present) != 0) memset(present, 1, count);
    for (size_t first = 0, next; first < count; first = next) {
      for (next = first + 1; next < count && ((present[next] ^ present[first]) & 1u) == 0;) next++;
      void *pages = (void *)(from + first * OS_PAGE);
      size_t bytes = (next - first) * OS_PAGE;
      if ((present[first] & 1u) == 0 && os_purge(pages, bytes) == 0) continue;
      if (!visit(pages, bytes)) return 0;
    }
  }
  return 1;
}

static int wipe(void *pages, size_t bytes) {
  memset(pages, 0, bytes);
  return 1;
}

static int is_zeros(void *pages, size_t bytes) {
  const pattern_pair *pair = pages;
  pattern_pair all = pattern_any(pair, pair + bytes / sizeof *pair);
  return (all[0] | all[1]) == 0;
}

/* Fatal if a large block that was freed, and is kept, was written to. */
static void expect_zeros(const struct slot *slot) {
  uintptr_t first = slot_base(slot) + OS_PAGE;
  if (!sweep(first, large_end(slot), is_zeros)) fatal(FATAL_WRITE_AFTER_FREE, (void *)first);
}

/* Open the page after the block; 0 if the system refuses. */
static int open_end(struct slot *slot) {
  if ((CLOSED(slot) & CLOSED_END) == 0) return 1;
  if (os_open((void *)large_end(slot), OS_PAGE) != 0) return 0;
  CLOSED(slot) &= (uint16_t)~CLOSED_END;
  return 1;
}

static void close_page(struct slot *slot, uintptr_t page, unsigned bit) {
  if ((CLOSED(slot) & bit) == 0 && os_close((void *)page, OS_PAGE) == 0) CLOSED(slot) = (uint16_t)(CLOSED(slot) | bit);
}

/* Set the end of a large block, and fill what is left of its last page. 0 if the old page after it cannot be opened. */
static int set_end(struct slot *slot, size_t size) {
  uintptr_t base = slot_base(slot);
  uint32_t end = (uint32_t)(1 + os_round_up(size) / OS_PAGE);
  if (END_PAGE(slot) != end && !open_end(slot)) return 0;
  END_PAGE(slot) = end;
  close_page(slot, base, CLOSED_FIRST);
  close_page(slot, large_end(slot), CLOSED_END);
  REQUEST(slot) = size;
  fill(base + OS_PAGE + size, large_end(slot), value_for(base + OS_PAGE));
  return 1;
}

static void *out_of_memory(void) {
  errno = ENOMEM;
  return NULL;
}

static void *take_large(size_t bytes) {
  void *base = large_take_kept(bytes);
  if (base == NULL) {
    base = alloc_beyond(bytes, 1, 0);
    if (base != NULL) sweep((uintptr_t)base, (uintptr_t)base + bytes, wipe);
    return base;
  }
  expect_zeros(slot_of((uintptr_t)base));
  return base;
}

static void *make_large(size_t size) {
  void *base = take_large(whole_large(size));
  if (base == NULL && free_stuck()) base = take_large(whole_large(size));
  if (base == NULL) return NULL;
  struct slot *slot = slot_of((uintptr_t)base);
  if (set_end(slot, size)) return (char *)base + OS_PAGE;
  large_free(slot, base);
  return out_of_memory();
}

static void find_large(const struct slot *slot, const void *address) {
  uintptr_t base = (uintptr_t)address - OS_PAGE;
  if (base != slot_base(slot)) fatal(large_fault(slot, (uintptr_t)address), address);
  if (slot_kind(slot) != SLOT_LARGE) fatal(large_fault(slot, base), address);
  expect_filled((uintptr_t)address + REQUEST(slot), large_end(slot), value_for((uintptr_t)address), FATAL_OVERFLOW, address);
}

static void free_large(struct slot *slot, void *address) {
  find_large(slot, address);
  sweep((uintptr_t)address, large_end(slot), wipe);
  large_free(slot, (void *)slot_base(slot));
}

static void *resize_large(struct slot *slot, void *address, size_t size) {
  size_t old_bytes = large_usable(slot), old_size = REQUEST(slot);
  uintptr_t base = slot_base(slot), old_end = large_end(slot);
  if (size <= SLOT_BLOCK_MAX - PATTERN_TAIL || whole_large(size) > LARGE_MAX) return NULL;
  if (!open_end(slot)) return NULL;
  /* What is not the block's from here on, and what was its slack, are zeros when they are reached again (K1). */
  size_t kept = size < old_size ? size : old_size;
  os_zero((char *)address + kept, old_end - (uintptr_t)address - kept);
  int done = large_resize(slot, whole_large(size));
  if (done && large_usable(slot) > old_bytes) os_zero((void *)(base + old_bytes), large_usable(slot) - old_bytes);
  set_end(slot, done ? size : kept);
  return done ? address : NULL;
}

/* ---- Huge blocks --------------------------------------------------------------------------- */

struct huge_shape {
  size_t lead;  /* bytes between the page before and the block */
  size_t end;   /* from the mapping's start to the page after the block */
};

static struct huge_shape shape_of(size_t lead, size_t size) {
  return (struct huge_shape){lead, OS_PAGE + os_round_up(lead + size)};
}

static uintptr_t huge_base(const void *address) { return ((uintptr_t)address & ~(OS_PAGE - 1)) - OS_PAGE; }

/* Fill and close what surrounds a huge block in a mapping that is open as a whole; returns the block. */
static void *enclose(uintptr_t base, struct huge_shape shape, size_t size) {
  uintptr_t address = base + OS_PAGE + shape.lead;
  fill(base + OS_PAGE, address, value_for(address));
  fill(address + size, base + shape.end, value_for(address));
  huge_note((void *)base, shape.lead, size);
  os_close((void *)base, OS_PAGE);
  os_close((void *)(base + shape.end), huge_usable((void *)base) - shape.end);
  return (void *)address;
}

static void *make_huge(size_t size, size_t alignment) {
  size_t least = alignment < 16 ? 16 : alignment;
  size_t lead = alignment >= OS_PAGE ? 0 : (0 - size) & (OS_PAGE - 1) & ~(least - 1);
  struct huge_shape shape = shape_of(lead, size);
  size_t bytes = shape.end + OS_PAGE;
  /* Too much for a large block, so that it becomes a huge one whatever its size. */
  if (bytes <= LARGE_MAX) bytes = LARGE_MAX + OS_PAGE;
  void *base = alloc_beyond(bytes, alignment <= OS_PAGE ? 1 : alignment, 1);
  return base == NULL ? NULL : enclose((uintptr_t)base, shape, size);
}

/* The huge block's request; fatal if none begins at the address. */
static size_t find_huge(const void *address) {
  uintptr_t base = huge_base(address);
  size_t lead, size;
  if (!huge_noted((void *)base, &lead, &size)) {
    const char *fault = huge_fault(address);
    fatal(strcmp(fault, FATAL_INTERIOR) == 0 ? fault : huge_fault((void *)base), address);
  }
  if ((uintptr_t)address != base + OS_PAGE + lead) fatal(FATAL_INTERIOR, address);
  uint64_t value = value_for((uintptr_t)address);
  expect_filled(base + OS_PAGE, (uintptr_t)address, value, FATAL_UNDERFLOW, address);
  expect_filled((uintptr_t)address + size, base + shape_of(lead, size).end, value, FATAL_OVERFLOW, address);
  return size;
}

static void *resize_huge(void *address, size_t old_size, size_t size) {
  uintptr_t base = huge_base(address);
  size_t lead = (uintptr_t)address - base - OS_PAGE;
  struct huge_shape old = shape_of(lead, old_size), new = shape_of(lead, size);
  if (new.end <= LARGE_MAX / 2) return NULL;
  if (os_open((void *)base, huge_usable((void *)base)) != 0) return NULL;
  if (size > old_size) memset((char *)address + old_size, 0, base + old.end - (uintptr_t)address - old_size);
  void *moved = huge_resize((void *)base, new.end + OS_PAGE);
  if (moved != NULL) return enclose((uintptr_t)moved, new, size);
  enclose(base, old, old_size);
  return NULL;
}

/* ---- Either ---------------------------------------------------------------------------------- */

static int is_large(const struct slot *slot) { return slot != NULL && slot_kind(slot) != SLOT_NONE; }

void *pages_alloc(size_t size, size_t alignment) {
  if (size > PTRDIFF_MAX / 2) return out_of_memory();
  if (alignment <= OS_PAGE && whole_large(size) <= LARGE_MAX) return make_large(size);
  return make_huge(size, alignment);
}

size_t pages_request(struct slot *slot, const void *address) {
  if (!is_large(slot)) return find_huge(address);
  find_large(slot, address);
  return REQUEST(slot);
}

void pages_free(struct slot *slot, void *address) {
  if (is_large(slot)) {
    free_large(slot, address);
  } else {
    find_huge(address);
    huge_free((void *)huge_base(address));
  }
}

void *pages_resize(struct slot *slot, void *address, size_t size) {
  if (size > PTRDIFF_MAX / 2) return NULL;
  size_t old_size = pages_request(slot, address);
  return is_large(slot) ? resize_large(slot, address, size) : resize_huge(address, old_size, size);
}
