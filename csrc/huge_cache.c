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

/* Requires room. */
static void add(uintptr_t address, size_t bytes) {
  cache[cache_count++] = (struct cached){{address, bytes}, os_now_ms()};
  set_cached_bytes(cached_bytes + bytes);
}

static struct huge_mapping take(uint32_t i) {
  struct huge_mapping mapping = cache[i].mapping;
  cache[i] = cache[--cache_count];
  set_cached_bytes(cached_bytes - mapping.bytes);
  return mapping;
}

int huge_cache_take(size_t bytes, size_t alignment, struct huge_mapping *mapping) {
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
  if (best == HUGE_CACHE_ENTRIES) return 0;
  *mapping = take(best);
  return 1;
}

/* Never more than the option, nor than the program once used itself. */
int huge_cache_keep(uintptr_t address, size_t bytes) {
  size_t limit = (size_t)options.huge_cache << 10;
  if (BM_HARDENED) return 0; /* who reads what was freed shall see nothing */
  if (cache_count == HUGE_CACHE_ENTRIES || cached_bytes + bytes > limit) return 0;
  if (huge_live_bytes + cached_bytes + bytes > peak_bytes) return 0;
  if (cache_count == 0) heap_grown = 0;
  add(address, bytes);
  return 1;
}

void huge_cache_strand(void *address, size_t bytes) {
  if (BM_HARDENED && os_open(address, bytes) != 0) return; /* lost, with its guard pages */
  os_purge(address, bytes);
  if (cache_count < HUGE_CACHE_ENTRIES) {
    add((uintptr_t)address, bytes);
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

size_t huge_decay(uint32_t now, uint32_t delay) {
  size_t total = 0;
  struct huge_mapping old[HUGE_CACHE_ENTRIES];
  uint32_t count = 0;
  /* relaxed: a hint; the list is looked at again under the lock. */
  if (__atomic_load_n(&stranded, __ATOMIC_RELAXED) != NULL) unmap_stranded();
  if (huge_cached_bytes() == 0) return 0;
  lock_acquire(&huge_lock);
  for (uint32_t i = 0; i < cache_count;) {
    if (os_has_passed(now, cache[i].stamp, delay))
      old[count++] = take(i);
    else
      i++;
  }
  peak_bytes = huge_live_bytes > peak_bytes / 4 * 3 ? huge_live_bytes : peak_bytes / 4 * 3;
  lock_release(&huge_lock);
  for (uint32_t i = 0; i < count; i++) {
    if (huge_cache_unmap(old[i].address, old[i].bytes)) total += old[i].bytes;
  }
  return total;
}

/* Requires one. */
static uint32_t oldest(void) {
  uint32_t first = 0;
  for (uint32_t i = 1; i < cache_count; i++)
    if ((int32_t)(cache[i].stamp - cache[first].stamp) < 0) first = i;
  return first;
}

void huge_cache_make_way(size_t bytes) {
  struct huge_mapping old[HUGE_CACHE_ENTRIES];
  uint32_t count = 0;
  lock_acquire(&huge_lock);
  while (cache_count > 0 && huge_live_bytes + cached_bytes + bytes > peak_bytes) old[count++] = take(oldest());
  lock_release(&huge_lock);
  for (uint32_t i = 0; i < count; i++) huge_cache_unmap(old[i].address, old[i].bytes);
}

void huge_give_way(size_t bytes) {
  struct huge_mapping mapping = {0, 0};
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
