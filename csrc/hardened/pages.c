/* pages.c: blocks beyond those of slots, each between two pages that nobody may touch.
 *
 * A large block begins a page after its first slot does; from the page after it to the end of its last slot nothing can be
 * touched. A huge block ends where the page after it begins, as far as its alignment lets it. What is left of the first and last page of either is filled, as the
 * slack of other blocks is. How long a block is stands in the slot's entry or in the table of huge blocks,
 * where no block is near. A huge block that is freed is unmapped at once.
 *
 * The kernel may refuse to protect a page, when a process has too many mappings: such a block has the filling alone.
 *
 * Owner:     who has the block.
 * Invariant: K1  what is mapped of a large block that no program has, its guard pages too, is zeros, once it was freed.
 * Cost:      of a large block that the arena kept: one system call to see which of its pages are there, one more if its
 *            length changes, two for its free; of another two more. Four for a huge one. */
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

/* In a slot of SLOT_LARGE: fields that it has no other use for. */
#define END_PAGE(slot) ((slot)->countdown) /* the page after the block, counted from the slot's first; 0 before it is set */
#define CLOSED(slot) ((slot)->purged)      /* bits: the guards that are closed in fact */
#define THERE(slot) ((slot)->inline_states) /* bits: the pages of a freed block that were in memory when it was wiped */
static_assert(KEPT_SLOTS_MAX * SLOT_BYTES / 4096 / 8 <= INLINE_STATES, "a bit for each page of a block that is kept; no page is smaller");
#define FILL_MIN 32u /* bytes */
enum { CLOSED_FIRST = 1, CLOSED_END = 2 /* from END_PAGE on */ };

static uint64_t value_for(uintptr_t address) { return pattern_key((const uint64_t *)address); }

/* The bytes from `from` to `to`, which is a multiple of 8. */
static void fill(uintptr_t from, uintptr_t to, uint64_t value) { pattern_fill((uint64_t *)to, value, to - from); }
static void expect_filled(uintptr_t from, uintptr_t to, uint64_t value, const char *fault, const void *address) {
  if (!pattern_is_filled((const uint64_t *)to, value, to - from)) fatal(fault, address);
}

/* ---- Large blocks -------------------------------------------------------------------------- */

void guard_large_made(struct slot *slot) {
  END_PAGE(slot) = CLOSED(slot) = 0;
  memset(THERE(slot), 0, sizeof THERE(slot));
}

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
static uintptr_t slots_end(const struct slot *slot) { return slot_base(slot) + large_usable(slot); }

/* Of so many bytes at a time it is asked which pages are in memory. */
#define SWEEP_STEP ((size_t)1 << 20)

struct pages {
  uintptr_t from;
  size_t count;
  unsigned char present[SWEEP_STEP / 4096]; /* no page is smaller */
};

/* The next pages from `from` on and before `to`; returns where they end. */
static uintptr_t look(struct pages *pages, uintptr_t from, uintptr_t to) {
  size_t step = to - from < SWEEP_STEP ? to - from : SWEEP_STEP;
  pages->from = from;
  pages->count = step / OS_PAGE;
  if (os_present((void *)from, step, pages->present) != 0) memset(pages->present, 1, pages->count);
  return from + step;
}

/* Zero them. Pages that a program never reached are not written, so that they stay absent; they are purged all the same,
 * since they may be on swap. One call purges all of them, and what lies between. */
static void wipe(struct pages *pages) {
  size_t first = 0, end = pages->count;
  while (first < end && (pages->present[first] & 1) != 0) first++;
  while (end > first && (pages->present[end - 1] & 1) != 0) end--;
  if (first < end && os_purge((void *)(pages->from + first * OS_PAGE), (end - first) * OS_PAGE) == 0)
    memset(pages->present + first, 0, end - first);
  else
    end = first;
  memset((void *)pages->from, 0, first * OS_PAGE);
  memset((void *)(pages->from + end * OS_PAGE), 0, (pages->count - end) * OS_PAGE);
}

void guard_large_zero(void *address, size_t bytes) {
  struct pages pages;
  for (uintptr_t from = (uintptr_t)address, to = from + bytes; from < to;) {
    from = look(&pages, from, to);
    wipe(&pages);
  }
}

/* Zero a large block that is freed, and note the pages that stay in memory: they are looked at when it is handed out again. */
static void wipe_large(struct slot *slot) {
  struct pages pages;
  uintptr_t base = slot_base(slot);
  memset(THERE(slot), 0, sizeof THERE(slot));
  for (uintptr_t from = base + OS_PAGE, to = large_end(slot); from < to;) {
    size_t page = (from - base) / OS_PAGE;
    from = look(&pages, from, to);
    wipe(&pages);
    for (size_t i = 0; i < pages.count && slot->used <= KEPT_SLOTS_MAX; i++, page++)
      THERE(slot)[page / 8] = (uint8_t)(THERE(slot)[page / 8] | (pages.present[i] & 1u) << page % 8);
  }
}

static int is_zeros(const void *memory, size_t bytes) {
  const pattern_pair *pair = memory;
  pattern_pair all = pattern_any(pair, pair + bytes / sizeof *pair);
  return (all[0] | all[1]) == 0;
}

/* Fatal if a large block that was freed, and is kept, was written to where its pages were there. */
static void expect_zeros(const struct slot *slot) {
  const uint8_t *there = THERE(slot);
  for (size_t page = 1; page < END_PAGE(slot); page++)
    if ((there[page / 8] >> page % 8 & 1) != 0 && !is_zeros((void *)(slot_base(slot) + page * OS_PAGE), OS_PAGE))
      fatal(FATAL_WRITE_AFTER_FREE, (void *)(slot_base(slot) + OS_PAGE));
}

/* What is in memory of it; its guard pages cannot be read. */
int guard_check_kept(const struct slot *slot, void (*report)(const char *invariant, const void *address)) {
  struct pages pages;
  int damaged = 0;
  for (uintptr_t from = slot_base(slot) + OS_PAGE, to = large_end(slot); from < to;) {
    from = look(&pages, from, to);
    for (size_t i = 0; i < pages.count; i++) {
      const void *page = (const void *)(pages.from + i * OS_PAGE);
      if ((pages.present[i] & 1) != 0 && !is_zeros(page, OS_PAGE)) damaged++, report("K1 a freed large block holds zeros", page);
    }
  }
  return damaged;
}

static int open_range(uintptr_t from, uintptr_t to) { return from >= to || os_open((void *)from, to - from) == 0; }
static int close_range(uintptr_t from, uintptr_t to) { return from >= to || os_close((void *)from, to - from) == 0; }

static void set_closed(struct slot *slot, unsigned bit) { CLOSED(slot) = (uint16_t)(CLOSED(slot) | bit); }

/* Have the guard begin at page `end`, or behind it where it does already; 0 if the system refuses to open what lies before. */
static int move_guard(struct slot *slot, uint32_t end) {
  uintptr_t old = large_end(slot), new = slot_base(slot) + end * OS_PAGE;
  if ((CLOSED(slot) & CLOSED_END) == 0) {
    if (close_range(new, slots_end(slot))) set_closed(slot, CLOSED_END);
  } else if (new > old) {
    if (!open_range(old, new)) return 0;
  } else if (old <= slots_end(slot) - OS_PAGE) {
    return 1;
  } else if (!close_range(new, slots_end(slot))) { /* the block was cut shorter */
    CLOSED(slot) &= (uint16_t)~CLOSED_END;
  }
  END_PAGE(slot) = end;
  return 1;
}

/* What is filled behind a request: the rest of its page, and where that is little, and the guard is not there, the next. */
static uintptr_t fill_end(const struct slot *slot, size_t size) {
  uintptr_t end = slot_base(slot) + OS_PAGE + os_round_up(size + FILL_MIN);
  return end < large_end(slot) ? end : large_end(slot);
}

/* Set the end of a large block, and fill what follows it. 0 if it cannot become longer. */
static int set_end(struct slot *slot, size_t size) {
  uintptr_t base = slot_base(slot);
  if (!move_guard(slot, (uint32_t)(1 + os_round_up(size) / OS_PAGE))) return 0;
  if ((CLOSED(slot) & CLOSED_FIRST) == 0 && close_range(base, base + OS_PAGE)) set_closed(slot, CLOSED_FIRST);
  slot->request = size;
  fill(base + OS_PAGE + size, fill_end(slot, size), value_for(base + OS_PAGE));
  return 1;
}

static void *out_of_memory(void) {
  errno = ENOMEM;
  return NULL;
}

static void *take_large(size_t bytes) {
  void *base = large_take_kept(bytes);
  /* All of its slots: a later one may be longer, and is to find zeros too (K1). */
  if (base == NULL) return alloc_beyond(block_large_slots(bytes) * SLOT_BYTES, 1, 1);
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
  expect_filled((uintptr_t)address + slot->request, fill_end(slot, slot->request), value_for((uintptr_t)address), FATAL_OVERFLOW, address);
}

static void free_large(struct slot *slot, void *address) {
  find_large(slot, address);
  wipe_large(slot);
  large_free(slot, (void *)slot_base(slot));
}

/* Have the block take the slots after it too; 0, with nothing changed, if it cannot have them. */
static int take_more(struct slot *slot, size_t bytes) {
  size_t old_bytes = large_usable(slot);
  uintptr_t base = slot_base(slot);
  if (!large_resize(slot, bytes)) return 0;
  if ((CLOSED(slot) & CLOSED_END) != 0 && !open_range(large_end(slot), base + old_bytes)) {
    large_resize(slot, old_bytes);
    return 0;
  }
  CLOSED(slot) &= (uint16_t)~CLOSED_END;
  guard_large_zero((void *)(base + old_bytes), large_usable(slot) - old_bytes);
  return 1;
}

/* Open the slots that a block of so many bytes does not need; 0 if the system refuses. */
static int open_rest(const struct slot *slot, size_t bytes) {
  uintptr_t rest = slot_base(slot) + block_large_slots(bytes) * SLOT_BYTES;
  if ((CLOSED(slot) & CLOSED_END) == 0) return 1;
  return open_range(rest > large_end(slot) ? rest : large_end(slot), slots_end(slot));
}

static void *resize_large(struct slot *slot, void *address, size_t size) {
  size_t bytes = whole_large(size), old_size = slot->request;
  uintptr_t old_end = fill_end(slot, old_size); /* from there on are zeros */
  if (size <= SLOT_BLOCK_MAX - PATTERN_TAIL || bytes > LARGE_MAX) return NULL;
  size_t slots = block_large_slots(bytes);
  if (slots > slot->used && !take_more(slot, bytes)) return NULL;
  if (slots < slot->used && !open_rest(slot, bytes)) return NULL;
  /* What is not the block's from here on, and what was its slack, are zeros when they are reached again (K1). */
  size_t kept = size < old_size ? size : old_size;
  os_zero((char *)address + kept, old_end - (uintptr_t)address - kept);
  if (slots < slot->used) large_resize(slot, bytes);
  if (set_end(slot, size)) return address;
  set_end(slot, kept);
  return NULL;
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
  return slot->request;
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
