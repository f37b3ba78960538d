/* huge_cache.c: freed mappings, kept for a while for the next request, so that their warm pages are used again.
 *
 * What is kept never makes the program larger than it was when it was largest. A mapping that the system
 * refuses to unmap is kept too: no address is lost.
 *
 * Owner:     huge_lock.
 * Invariant: H3  cached_bytes is the sum over the cache (huge_check()).
 * Cost:      O(HUGE_CACHE_ENTRIES), and one system call for each mapping that goes, made without the lock. */
#include "huge_cache.h"

#include "huge.h"
#include "options.h"
#include "os.h"

/* A mapping that is reused may be so much (1/n) larger than asked for; the rest of a larger one stays in the cache. */
#define EXCESS_DIVISOR 16u

/* Mappings that are unmapped between two looks: a thread may have little stack. */
#define AT_A_TIME 16u

struct cached {
  struct huge_mapping mapping;
  uint32_t stamp; /* ms when it was freed */
};

static struct cached cache[HUGE_CACHE_ENTRIES];
static uint32_t cache_count;
static size_t cached_bytes;
static size_t peak_bytes; /* the most that huge_live_bytes was, less what huge_decay() forgets of it */
static size_t heap_grown; /* bytes that the heap took since a mapping was cached, or given up for that (huge_give_way()) */
static uint64_t released_bytes;

/* Mappings that the system refused to unmap while the cache was full, linked through their first words:
 * huge_decay() tries again. */
struct stranded {
  struct stranded *next;
  size_t bytes;
};
static struct stranded *stranded;

static void set_cached_bytes(size_t bytes) { __atomic_store_n(&cached_bytes, bytes, __ATOMIC_RELAXED); }
size_t huge_cached_bytes(void) { return __atomic_load_n(&cached_bytes, __ATOMIC_RELAXED); }
uint64_t huge_cache_released(void) { return __atomic_load_n(&released_bytes, __ATOMIC_RELAXED); }

void huge_cache_note_growth(void) {
  if (huge_live_bytes > peak_bytes) peak_bytes = huge_live_bytes;
}

uint32_t huge_cache_origin(void) {
  static uint32_t last;
  return ++last;
}

/* Requires room. What lies next to it and has its origin becomes one with it, as old as the largest part: another request may need
 * both. */
static void add(struct huge_mapping mapping) {
  struct cached whole = {mapping, os_now_ms()};
  size_t largest = mapping.bytes;
  set_cached_bytes(cached_bytes + mapping.bytes);
  for (uint32_t i = cache_count; i-- > 0;) {
    struct cached part = cache[i];
    int is_before = part.mapping.address + part.mapping.bytes == whole.mapping.address;
    int is_after = whole.mapping.address + whole.mapping.bytes == part.mapping.address;
    if (part.mapping.origin != mapping.origin || !(is_before || is_after)) continue;
    if (part.mapping.bytes > largest) largest = part.mapping.bytes, whole.stamp = part.stamp;
    if (is_before) whole.mapping.address = part.mapping.address;
    whole.mapping.bytes += part.mapping.bytes;
    cache[i] = cache[--cache_count];
  }
  cache[cache_count++] = whole;
}

static struct huge_mapping take(uint32_t i) {
  struct huge_mapping mapping = cache[i].mapping;
  cache[i] = cache[--cache_count];
  set_cached_bytes(cached_bytes - mapping.bytes);
  return mapping;
}

/* Take the first `bytes` of a larger one. */
static struct huge_mapping take_first(uint32_t i, size_t bytes) {
  struct huge_mapping mapping = cache[i].mapping;
  mapping.bytes = bytes;
  cache[i].mapping.address += bytes;
  cache[i].mapping.bytes -= bytes;
  set_cached_bytes(cached_bytes - bytes);
  return mapping;
}

/* The one that fits best, or HUGE_CACHE_ENTRIES. */
static uint32_t best_fit(size_t bytes, size_t alignment) {
  uint32_t best = HUGE_CACHE_ENTRIES;
  for (uint32_t i = 0; i < cache_count; i++) {
    if (((cache[i].mapping.address + HUGE_LEAD) & (alignment - 1)) != 0) continue;
    if (best == HUGE_CACHE_ENTRIES) {
      best = i;
      continue;
    }
    size_t size = cache[i].mapping.bytes, other = cache[best].mapping.bytes;
    if (size >= bytes ? other < bytes || size < other : other < bytes && size > other) best = i;
  }
  return best;
}

int huge_cache_take(size_t bytes, size_t alignment, struct huge_mapping *mapping) {
  uint32_t best = best_fit(bytes, alignment);
  if (best == HUGE_CACHE_ENTRIES) return 0;
  size_t found = cache[best].mapping.bytes;
  *mapping = found > bytes && found - bytes > bytes / EXCESS_DIVISOR ? take_first(best, bytes) : take(best);
  return 1;
}

int huge_cache_take_next(const struct huge_mapping *mapping, size_t bytes) {
  uint32_t i = 0;
  while (i < cache_count && (cache[i].mapping.address != mapping->address + mapping->bytes || cache[i].mapping.origin != mapping->origin)) i++;
  if (i == cache_count || cache[i].mapping.bytes < bytes) return 0;
  if (cache[i].mapping.bytes == bytes)
    take(i);
  else
    take_first(i, bytes);
  return 1;
}

int huge_cache_has(size_t bytes) {
  uint32_t best = best_fit(bytes, 1);
  return best < HUGE_CACHE_ENTRIES && cache[best].mapping.bytes >= bytes;
}

/* Never more than the option, nor than the program once used itself. */
int huge_cache_keep(const struct huge_mapping *mapping) {
  size_t bytes = mapping->bytes;
  size_t limit = (size_t)options.huge_cache << 10;
  if (BM_HARDENED) return 0; /* who reads what was freed shall see nothing */
  if (cache_count == HUGE_CACHE_ENTRIES || cached_bytes + bytes > limit) return 0;
  if (huge_live_bytes + cached_bytes + bytes > peak_bytes) return 0; /* see huge_cache_trim() */
  if (cache_count == 0) heap_grown = 0;
  add(*mapping);
  return 1;
}

void huge_cache_strand(void *address, size_t bytes) {
  if (BM_HARDENED && os_open(address, bytes) != 0) return; /* lost, with its guard pages */
  os_purge(address, bytes);
  if (cache_count < HUGE_CACHE_ENTRIES) {
    add((struct huge_mapping){(uintptr_t)address, bytes, huge_cache_origin()});
    return;
  }
  struct stranded *mapping = address;
  *mapping = (struct stranded){stranded, bytes};
  stranded = mapping;
}

int huge_cache_unmap_rest(uintptr_t address, size_t bytes) {
  if (os_unmap((void *)address, bytes) == 0) return 1;
  lock_acquire(&huge_lock);
  huge_cache_strand((void *)address, bytes);
  lock_release(&huge_lock);
  return 0;
}

int huge_cache_unmap(uintptr_t address, size_t bytes) {
  int done = huge_cache_unmap_rest(address, bytes);
  if (done) __atomic_fetch_add(&released_bytes, bytes, __ATOMIC_RELAXED);
  return done;
}

static void unmap_stranded(void) {
  lock_acquire(&huge_lock);
  struct stranded *mapping = stranded, *next;
  stranded = NULL;
  lock_release(&huge_lock);
  for (; mapping != NULL; mapping = next) {
    next = mapping->next;
    huge_cache_unmap((uintptr_t)mapping, mapping->bytes);
  }
}

/* Unmap some mappings; returns the bytes that went. */
static size_t unmap_all(const struct huge_mapping *mappings, uint32_t count) {
  size_t total = 0;
  for (uint32_t i = 0; i < count; i++)
    if (huge_cache_unmap(mappings[i].address, mappings[i].bytes)) total += mappings[i].bytes;
  return total;
}

size_t huge_decay(uint32_t now, uint32_t delay) {
  size_t total = 0, bytes;
  uint32_t count;
  /* relaxed: a hint; the list is looked at again under the lock. */
  if (__atomic_load_n(&stranded, __ATOMIC_RELAXED) != NULL) unmap_stranded();
  if (huge_cached_bytes() == 0) return 0;
  lock_acquire(&huge_lock);
  peak_bytes = huge_live_bytes > peak_bytes / 4 * 3 ? huge_live_bytes : peak_bytes / 4 * 3;
  lock_release(&huge_lock);
  do {
    struct huge_mapping old[AT_A_TIME];
    count = 0;
    lock_acquire(&huge_lock);
    for (uint32_t i = 0; i < cache_count && count < AT_A_TIME;) {
      if (os_has_passed(now, cache[i].stamp, delay))
        old[count++] = take(i);
      else
        i++;
    }
    lock_release(&huge_lock);
    total += bytes = unmap_all(old, count);
  } while (count == AT_A_TIME && bytes > 0);
  return total;
}

/* Requires one. */
static uint32_t oldest(void) {
  uint32_t first = 0;
  for (uint32_t i = 1; i < cache_count; i++)
    if ((int32_t)(cache[i].stamp - cache[first].stamp) < 0) first = i;
  return first;
}

size_t huge_cache_excess(void) {
  size_t bytes = huge_live_bytes + cached_bytes;
  return bytes > peak_bytes ? os_round_up(bytes - peak_bytes) : 0;
}

void huge_cache_trim(void) {
  uint32_t count;
  do {
    struct huge_mapping old[AT_A_TIME];
    count = 0;
    lock_acquire(&huge_lock);
    for (size_t bytes; count < AT_A_TIME && cache_count > 0 && (bytes = huge_cache_excess()) > 0;) {
      uint32_t first = oldest();
      old[count++] = bytes < cache[first].mapping.bytes ? take_first(first, bytes) : take(first);
    }
    lock_release(&huge_lock);
    if (unmap_all(old, count) == 0) return;
  } while (count == AT_A_TIME);
}

void huge_give_way(size_t bytes) {
  struct huge_mapping mapping = {0, 0, 0};
  /* relaxed: a hint. */
  if (LIKELY(huge_cached_bytes() == 0)) return;
  lock_acquire(&huge_lock);
  heap_grown += bytes;
  if (cache_count > 0 && heap_grown >= cache[oldest()].mapping.bytes) {
    mapping = take(oldest());
    heap_grown -= mapping.bytes;
  }
  lock_release(&huge_lock);
  if (mapping.bytes != 0) huge_cache_unmap(mapping.address, mapping.bytes);
}

int huge_cache_agrees(void) {
  size_t sum = 0;
  for (uint32_t i = 0; i < cache_count; i++) sum += cache[i].mapping.bytes;
  return sum == cached_bytes;
}
