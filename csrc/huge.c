/* huge.c: blocks beyond the largest block of the heap, each a mapping of its own.
 *
 * A hash table knows them by address, so a block needs no header and every address can be told
 * from a block's. A freed block's mapping may be kept (huge_cache.c) and given to the next request,
 * in part, or grown with mremap.
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
/* A block that shrinks by more than this part of itself gives it back. */
#define SHRINK_DIVISOR 4u
/* A block that grows by so much (1/n) of itself is copied into a kept mapping, if one is large enough: that costs less than to be given
 * fresh pages. */
#define COPY_DIVISOR 3u

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
static void insert(struct huge_mapping mapping, size_t request) {
  struct huge_entry *entry = find(huge_entries, huge_capacity, mapping.address);
  if (entry->address == 0) filled++;
  entry->address = mapping.address;
  entry->bytes = mapping.bytes;
  entry->origin = mapping.origin != 0 ? mapping.origin : huge_cache_origin();
  entry->request = request;
  live++;
  huge_live_bytes += mapping.bytes;
  huge_cache_note_growth();
}

static struct huge_entry *find_live(const void *address) {
  if (huge_entries == NULL || address == NULL) return NULL;
  struct huge_entry *entry = find(huge_entries, huge_capacity, (uintptr_t)address);
  return entry->bytes != 0 ? entry : NULL;
}

static struct huge_mapping mapping_of(const struct huge_entry *entry) {
  return (struct huge_mapping){entry->address, entry->bytes, entry->origin};
}

static void remove_live(struct huge_entry *entry) {
  live--;
  huge_live_bytes -= entry->bytes;
  entry->bytes = 0;
}

/* ---- Allocation ------------------------------------------------------------------------ */

/* Have a cached mapping hold `bytes`; 0 if the system refuses. */
static int reshape(struct huge_mapping *mapping, size_t bytes, size_t alignment) {
  if (mapping->bytes >= bytes) return 1;
  uintptr_t address = (uintptr_t)os_remap((void *)mapping->address, mapping->bytes, bytes, alignment <= OS_PAGE);
  if (address == 0) return 0;
  if (address != mapping->address) mapping->origin = 0;
  mapping->address = address;
  mapping->bytes = bytes;
  return 1;
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
  struct huge_mapping mapping;
  lock_acquire(&huge_lock);
  int found = huge_cache_take(bytes, alignment, &mapping);
  lock_release(&huge_lock);
  if (found) {
    size_t used_before = mapping.bytes < bytes ? mapping.bytes : bytes;
    found = reshape(&mapping, bytes, alignment);
    if (!found)
      huge_cache_unmap(mapping.address, mapping.bytes);
    else if (zeroed)
      os_zero((void *)mapping.address, used_before);
  }
  if (!found) {
    purge_for(bytes);
    mapping = (struct huge_mapping){map_aligned(bytes, alignment), bytes, 0};
    if (mapping.address == 0) return NULL;
    if (options.hugepages) os_hugepages((void *)mapping.address, bytes, 1);
  }
  if (options.dontdump) os_dontdump((void *)mapping.address, mapping.bytes);
  lock_acquire(&huge_lock);
  int room = make_room();
  if (room) {
    insert(mapping, size);
    allocs++;
  }
  int is_excessive = huge_cache_excess() > 0;
  lock_release(&huge_lock);
  if (is_excessive) huge_cache_trim();
  if (room) return (void *)mapping.address;
  huge_cache_unmap(mapping.address, mapping.bytes);
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
  struct huge_mapping mapping = mapping_of(entry);
  remove_live(entry);
  frees++;
  int kept = huge_cache_keep(&mapping);
  lock_release(&huge_lock);
  if (kept)
    purge_notice();
  else
    huge_cache_unmap(mapping.address, mapping.bytes);
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

/* ---- Resizing: under huge_lock, since the entry must not vanish while its mapping moves ---- */

static void shrink(struct huge_entry *entry, size_t bytes) {
  size_t rest = entry->bytes - bytes;
  if (rest <= entry->bytes / SHRINK_DIVISOR || os_unmap((void *)(entry->address + bytes), rest) != 0) return;
  entry->bytes = bytes;
  huge_live_bytes -= rest;
}

/* Take what follows the block in the cache, whose pages are there; 1 or 0. */
static int extend(struct huge_entry *entry, size_t bytes) {
  struct huge_mapping mapping = mapping_of(entry);
  size_t more = bytes - entry->bytes;
  if (!huge_cache_take_next(&mapping, more)) return 0;
  entry->bytes = bytes;
  huge_live_bytes += more;
  huge_cache_note_growth();
  return 1;
}

/* Have the system find room for the block's pages and more, with some to spare; returns where, or 0. */
static uintptr_t remap(uintptr_t address, size_t bytes, size_t request) {
  if (!make_room()) return 0;
  struct huge_entry *entry = find_live((const void *)address);
  struct huge_mapping mapping = mapping_of(entry);
  size_t old_bytes = mapping.bytes;
  mapping.bytes = bytes + os_round_up(bytes / GROWTH_DIVISOR);
  mapping.address = (uintptr_t)os_remap((void *)address, old_bytes, mapping.bytes, 1);
  if (mapping.address == 0) {
    mapping.bytes = bytes;
    mapping.address = (uintptr_t)os_remap((void *)address, old_bytes, bytes, 1);
  }
  if (mapping.address == 0) return 0;
  if (mapping.address != address) mapping.origin = 0;
  remove_live(entry);
  insert(mapping, request);
  return mapping.address;
}

void *huge_resize(void *address, size_t size) {
  if (size > PTRDIFF_MAX / 2) return NULL;
  size_t bytes = os_round_up(size);
  uintptr_t moved = (uintptr_t)address;
  size_t fresh = 0;
  lock_acquire(&huge_lock);
  struct huge_entry *entry = find_live(address);
  if (entry == NULL) {
    lock_release(&huge_lock);
    fatal(huge_fault(address), address);
  }
  size_t old_bytes = entry->bytes;
  if (bytes <= old_bytes || extend(entry, bytes)) {
    entry->request = size;
    if (bytes < old_bytes) shrink(entry, bytes);
  } else if (bytes - old_bytes >= old_bytes / COPY_DIVISOR && huge_cache_has(bytes)) {
    moved = 0;
  } else {
    moved = remap(moved, bytes, size);
    fresh = bytes - old_bytes;
  }
  lock_release(&huge_lock);
  if (options.dontdump && moved != 0 && bytes > old_bytes) os_dontdump((void *)moved, bytes);
  if (moved != 0 && fresh > 0) {
    huge_cache_trim();
    purge_for(fresh);
  }
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
