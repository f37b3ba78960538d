/* huge.c: blocks beyond the largest block of the heap, each a mapping of its own.
 *
 * A hash table knows them by address, so a block needs no header and every address can be told
 * from a block's. A freed block's mapping may be kept (huge_cache.c) and given to the next request,
 * trimmed or grown with mremap.
 *
 * Owner:     huge_lock.
 * Invariant: H1  an entry with bytes > 0 is a live block: a mapping of that many bytes, a
 *                multiple of the OS page.
 *            H2  an entry with bytes 0 and an address is a freed block's, kept to tell a double free.
 *            H3  huge_live_bytes and cached_bytes are the sums over the entries and the cache.
 * Cost:      O(1) expected, and at most two system calls, made without the lock but for resizing. */
#include "huge.h"

#include "config.h"
#include "fatal.h"
#include "huge_cache.h"
#include "options.h"
#include "os.h"
#include "purge.h"

#include <errno.h>

#define FIRST_CAPACITY 256u
/* A block grown by realloc gets an eighth more addresses (no memory), for the next time. */
#define GROWTH_DIVISOR 8u
/* A reused or shrunk mapping may be so much (1/n) larger than asked for before it is trimmed. */
#define EXCESS_DIVISOR 16u

struct lock huge_lock;
struct huge_entry *huge_entries;
size_t huge_capacity, huge_live_bytes;
static size_t filled; /* entries with an address */
static uint64_t live, allocs, frees;

static size_t hash(uintptr_t address) { return (size_t)((address >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 20); }

/* The entry of `address`, or the empty one where it would be. */
static struct huge_entry *find(struct huge_entry *table, size_t size, uintptr_t address) {
  size_t i = hash(address) & (size - 1);
  while (table[i].address != 0 && table[i].address != address) i = (i + 1) & (size - 1);
  return &table[i];
}

/* Room for one more entry; freed ones are forgotten. Returns 0 without memory. */
static int make_room(void) {
  if (huge_entries != NULL && (filled + 1) * 2 <= huge_capacity) return 1;
  size_t size = FIRST_CAPACITY;
  while (size < (live + 1) * 4) size *= 2;
  struct huge_entry *table = os_map(size * sizeof *table);
  if (table == NULL) return huge_entries != NULL && filled + 1 < huge_capacity;
  for (size_t i = 0; i < huge_capacity; i++)
    if (huge_entries[i].bytes != 0) *find(table, size, huge_entries[i].address) = huge_entries[i];
  size_t bytes = huge_capacity * sizeof *huge_entries;
  if (huge_entries != NULL && os_unmap(huge_entries, bytes) != 0) huge_cache_strand(huge_entries, bytes);
  huge_entries = table;
  huge_capacity = size;
  filled = live;
  return 1;
}

/* Requires make_room(). */
static void insert(uintptr_t address, size_t bytes, size_t request) {
  struct huge_entry *entry = find(huge_entries, huge_capacity, address);
  if (entry->address == 0) filled++;
  entry->address = address;
  entry->bytes = bytes;
  entry->request = request;
  live++;
  huge_live_bytes += bytes;
  huge_cache_note_growth();
}

static struct huge_entry *find_live(const void *address) {
  if (huge_entries == NULL || address == NULL) return NULL;
  struct huge_entry *entry = find(huge_entries, huge_capacity, (uintptr_t)address);
  return entry->bytes != 0 ? entry : NULL;
}

static void remove_live(struct huge_entry *entry) {
  live--;
  huge_live_bytes -= entry->bytes;
  entry->bytes = 0;
}

/* ---- Allocation ------------------------------------------------------------------------ */

/* Make a mapping out of a cached one: 0 if the system refuses. */
static uintptr_t reshape(struct huge_mapping mapping, size_t *bytes, size_t alignment) {
  if (mapping.bytes > *bytes) {
    if (mapping.bytes - *bytes <= *bytes / EXCESS_DIVISOR || os_unmap((void *)(mapping.address + *bytes), mapping.bytes - *bytes) != 0)
      *bytes = mapping.bytes;
    return mapping.address;
  }
  if (mapping.bytes == *bytes) return mapping.address;
  return (uintptr_t)os_remap((void *)mapping.address, mapping.bytes, *bytes, alignment <= OS_PAGE);
}

static uintptr_t map_aligned(size_t bytes, size_t alignment) {
  if (alignment <= OS_PAGE) return (uintptr_t)os_map(bytes);
  size_t room = bytes + alignment - OS_PAGE;
  if (room < bytes) return 0;
  uintptr_t start = (uintptr_t)os_map(room);
  if (start == 0) return 0;
  uintptr_t address = ((start + HUGE_LEAD + alignment - 1) & ~(uintptr_t)(alignment - 1)) - HUGE_LEAD;
  if (address > start) huge_cache_unmap_rest(start, address - start);
  if (address + bytes < start + room) huge_cache_unmap_rest(address + bytes, start + room - address - bytes);
  return address;
}

void *huge_alloc(size_t size, size_t alignment, int zeroed) {
  if (size > PTRDIFF_MAX - OS_PAGE || alignment > PTRDIFF_MAX - size) return NULL;
  size_t bytes = size == 0 ? OS_PAGE : os_round_up(size);
  uintptr_t address = 0;
  struct huge_mapping mapping;
  lock_acquire(&huge_lock);
  int found = huge_cache_take(bytes, alignment, &mapping);
  lock_release(&huge_lock);
  if (found) {
    if (mapping.bytes < bytes) huge_cache_make_way(bytes);
    address = reshape(mapping, &bytes, alignment);
    if (address == 0)
      huge_cache_unmap(mapping.address, mapping.bytes);
    else if (zeroed)
      os_zero((void *)address, mapping.bytes < bytes ? mapping.bytes : bytes);
  }
  if (address == 0) {
    purge_for(bytes);
    address = map_aligned(bytes, alignment);
    if (address == 0) return NULL;
    if (options.hugepages) os_hugepages((void *)address, bytes, 1);
  }
  if (options.dontdump) os_dontdump((void *)address, bytes);
  lock_acquire(&huge_lock);
  int room = make_room();
  if (room) {
    insert(address, bytes, size);
    allocs++;
  }
  lock_release(&huge_lock);
  if (room) return (void *)address;
  huge_cache_unmap(address, bytes);
  return NULL;
}

const char *huge_fault(const void *address) {
  const char *fault = FATAL_INVALID;
  uintptr_t value = (uintptr_t)address;
  lock_acquire(&huge_lock);
  for (size_t i = 0; i < huge_capacity; i++) {
    if (huge_entries[i].bytes == 0 && huge_entries[i].address == value) fault = FATAL_DOUBLE_FREE;
    if (value - huge_entries[i].address < huge_entries[i].bytes) {
      fault = FATAL_INTERIOR; /* of a block that is there now, whatever was there before */
      break;
    }
  }
  lock_release(&huge_lock);
  return fault;
}

void huge_free(void *address) {
  lock_acquire(&huge_lock);
  struct huge_entry *entry = find_live(address);
  if (entry == NULL) {
    lock_release(&huge_lock);
    fatal(huge_fault(address), address);
  }
  size_t bytes = entry->bytes;
  remove_live(entry);
  frees++;
  int kept = huge_cache_keep((uintptr_t)address, bytes);
  lock_release(&huge_lock);
  if (kept)
    purge_notice();
  else
    huge_cache_unmap((uintptr_t)address, bytes);
}

size_t huge_usable(const void *address) {
  lock_acquire(&huge_lock);
  struct huge_entry *entry = find_live(address);
  size_t bytes = entry == NULL ? 0 : entry->bytes;
  lock_release(&huge_lock);
  return bytes;
}

void huge_note(const void *mapping, size_t lead, size_t request) {
  lock_acquire(&huge_lock);
  struct huge_entry *entry = find_live(mapping);
  if (entry != NULL) entry->lead = lead, entry->request = request;
  lock_release(&huge_lock);
}

int huge_noted(const void *mapping, size_t *lead, size_t *request) {
  lock_acquire(&huge_lock);
  const struct huge_entry *entry = find_live(mapping);
  if (entry != NULL) *lead = entry->lead, *request = entry->request;
  lock_release(&huge_lock);
  return entry != NULL;
}

/* Requires huge_lock: the entry must not vanish while its mapping moves. */
static uintptr_t remap(uintptr_t address, size_t old_bytes, size_t *bytes, size_t wanted) {
  uintptr_t moved = (uintptr_t)os_remap((void *)address, old_bytes, wanted, 1);
  if (moved != 0) {
    *bytes = wanted;
    return moved;
  }
  return *bytes == wanted ? 0 : (uintptr_t)os_remap((void *)address, old_bytes, *bytes, 1);
}

void *huge_resize(void *address, size_t size) {
  if (size > PTRDIFF_MAX / 2) return NULL;
  size_t bytes = os_round_up(size);
  lock_acquire(&huge_lock);
  struct huge_entry *entry = find_live(address);
  if (entry == NULL) {
    lock_release(&huge_lock);
    fatal(huge_fault(address), address);
  }
  size_t old_bytes = entry->bytes;
  uintptr_t moved = (uintptr_t)address;
  if (bytes > old_bytes && make_room()) {
    moved = remap((uintptr_t)address, old_bytes, &bytes, bytes + os_round_up(bytes / GROWTH_DIVISOR));
    if (moved != 0) {
      remove_live(find_live(address));
      insert(moved, bytes, size);
    }
  } else if (bytes > old_bytes) {
    moved = 0;
  } else {
    entry->request = size;
    if (old_bytes - bytes > old_bytes / (GROWTH_DIVISOR / 2) &&
        os_unmap((void *)((uintptr_t)address + bytes), old_bytes - bytes) == 0) {
      entry->bytes = bytes;
      huge_live_bytes -= old_bytes - bytes;
    }
  }
  lock_release(&huge_lock);
  if (moved != 0 && bytes > old_bytes) purge_for(bytes - old_bytes);
  return (void *)moved;
}

/* ---- Looking inside ---------------------------------------------------------------------- */

void huge_stats(struct huge_totals *totals) {
  lock_acquire(&huge_lock);
  *totals = (struct huge_totals){live, huge_live_bytes, huge_cached_bytes(), allocs, frees, huge_cache_released()};
  lock_release(&huge_lock);
}

int huge_walk(int (*visit)(const void *address, size_t bytes, void *context), void *context) {
  int result = 0;
  lock_acquire(&huge_lock);
  for (size_t i = 0; i < huge_capacity && result == 0; i++)
    if (huge_entries[i].bytes != 0) result = visit((const void *)huge_entries[i].address, huge_entries[i].bytes, context);
  lock_release(&huge_lock);
  return result;
}

int huge_check(void (*report)(const char *invariant, const void *address)) {
  int violations = 0;
  size_t live_sum = 0, count = 0;
  lock_acquire(&huge_lock);
  for (size_t i = 0; i < huge_capacity; i++) {
    if (huge_entries[i].bytes == 0) continue;
    count++;
    live_sum += huge_entries[i].bytes;
    if (((huge_entries[i].address | huge_entries[i].bytes) & (OS_PAGE - 1)) != 0)
      violations++, report("H1 a huge block is whole pages", (const void *)huge_entries[i].address);
    if (find(huge_entries, huge_capacity, huge_entries[i].address) != &huge_entries[i])
      violations++, report("H2 an entry is found at its address", (const void *)huge_entries[i].address);
  }
  if (count != live || live_sum != huge_live_bytes || !huge_cache_agrees())
    violations++, report("H3 the sums of huge blocks agree", huge_entries);
  lock_release(&huge_lock);
  return violations;
}
