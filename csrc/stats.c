/* stats.c: the figures, added up when somebody asks.
 *
 * The hot paths count nothing. Requests follow from what slots and arenas note on their slow paths:
 * blocks moved into a stock, less those still there; frees that countdowns have told of, and those
 * they have not yet. Live blocks are counted by their state bytes. */
#include "arena.h"
#include "guard.h"
#include "huge.h"
#include "include/buddymalloc.h"
#include "orphan.h"
#include "park.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What one arena, or all slots without one, come to. */
struct sums {
  uint64_t slots, used_blocks, used_bytes, free_blocks, free_bytes;
  uint64_t untold_frees, untold_recycled; /* of blocks; of those: into a stock */
};

static void add_cut(struct sums *sums, const struct slot *slot) {
  const struct block_class *class = &block_classes[slot->class];
  uint64_t used = 0;
  for (uint32_t i = 0; i < class->capacity; i++) used += slot->states[i] == BLOCK_USED;
  uint64_t free = slot_capacity(slot) - used;
  sums->slots++;
  sums->used_blocks += used;
  sums->used_bytes += used * class->size;
  sums->free_blocks += free;
  sums->free_bytes += free * class->size;
  sums->untold_frees += slot_returned(slot);
  if (slot_feeds_stock(slot)) sums->untold_recycled += slot_returned(slot);
}

static void add_whole(struct sums *sums, const struct slot *slot) {
  if (slot->kind == SLOT_LARGE) {
    sums->used_blocks++;
    sums->used_bytes += (uint64_t)slot->used * SLOT_BYTES;
  } else if (slot->kind == SLOT_KEPT) {
    sums->free_blocks++;
    sums->free_bytes += (uint64_t)slot->used * SLOT_BYTES;
  } else if (slot->kind == SLOT_FREE) {
    sums->free_blocks++;
    sums->free_bytes += SLOT_BYTES << (slot->order - SLOT_ORDER);
  }
}

/* The slots of `arena`; of every arena if `all`; of none (large and free) if neither. */
static struct sums add_up(const struct arena *arena, int all) {
  struct sums sums = {0};
  lock_acquire(&heap.lock);
  for (uint32_t number = CHUNK_SLOTS; number < heap.top; number++) {
    const struct slot *slot = slot_at(number);
    const struct arena *owner = slot_owner(slot);
    if (slot->kind == SLOT_CUT && (all || (arena != NULL && owner == arena))) add_cut(&sums, slot);
    if (slot->kind != SLOT_CUT && (all || arena == NULL)) add_whole(&sums, slot);
  }
  lock_release(&heap.lock);
  return sums;
}

static const struct arena *first_arena(void) { return __atomic_load_n(&arenas.all, __ATOMIC_ACQUIRE); }

/* Allocations and frees by way of one arena. A block on its way home was freed, though its slot has
 * not heard of it. */
static void add_requests(const struct arena *arena, uint64_t *allocs, uint64_t *frees) {
  *allocs += arena->handed + arena->recycled - arena_stock(arena) + arena->large_allocs;
  *frees += arena->returned + arena->recycled - arena->drained + arena->sent + arena->large_frees + guard_held(arena);
}

void bm_stats(struct bm_stats *out) {
  memset(out, 0, sizeof *out);
  if (!heap_init()) return;
  lock_acquire(&purge_lock);
  struct sums sums = add_up(NULL, 1);
  struct huge_totals huge;
  huge_stats(&huge);
  add_requests(&orphanage, &out->alloc_requests, &out->free_requests);
  for (const struct arena *arena = first_arena(); arena != NULL; arena = arena->next) {
    add_requests(arena, &out->alloc_requests, &out->free_requests);
    out->remote_frees += arena->sent;
  }
  out->remote_frees += orphanage.sent;
  out->arenas = arenas.count;
  for (const struct arena *arena = first_arena(); arena != NULL; arena = arena->next)
    out->arenas_abandoned += arena->life == ARENA_IDLE;
  out->alloc_requests += sums.untold_recycled + heap.large_allocs + huge.allocs;
  out->free_requests += sums.untold_frees + heap.large_frees + huge.frees;
  out->mmapped_regions = huge.live;
  out->mmapped_bytes = huge.live_bytes;
  out->cached_bytes = huge.cached_bytes;
  out->heap_bytes = heap.sbrk_bytes + heap.mmap_bytes;
  out->sbrk_bytes = heap.sbrk_bytes;
  out->allocated_blocks = sums.used_blocks + huge.live;
  out->allocated_bytes = sums.used_bytes + huge.live_bytes;
  out->free_blocks = sums.free_blocks;
  out->free_bytes = sums.free_bytes;
  out->purged_bytes = heap.purged_bytes + huge.released_bytes + orphan_purged() + park_purged();
  out->dirty_bytes = heap.dirty_bytes;
  if (arenas.forked) out->free_requests = out->alloc_requests - out->allocated_blocks;
  lock_release(&purge_lock);
}

struct bm_mallinfo bm_mallinfo(void) {
  struct bm_stats stats;
  bm_stats(&stats);
  return (struct bm_mallinfo){
      .arena = stats.heap_bytes,
      .ordblks = stats.free_blocks,
      .hblks = stats.mmapped_regions,
      .hblkhd = stats.mmapped_bytes,
      .uordblks = stats.allocated_bytes - stats.mmapped_bytes,
      .fordblks = stats.free_bytes,
      .keepcost = stats.dirty_bytes,
  };
}

/* ---- As text --------------------------------------------------------------------------- */

/* Text goes to a buffer, or, line by line, to a file descriptor. */
struct sink {
  char *buffer;
  size_t size, length;
  int fd, error;
};

__attribute__((format(printf, 2, 3))) static void print(struct sink *sink, const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int wanted = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  size_t length = wanted < 0 ? 0 : (size_t)wanted < sizeof line ? (size_t)wanted : sizeof line - 1;
  if (sink->buffer != NULL && sink->length < sink->size) {
    size_t room = sink->size - sink->length - 1;
    size_t part = length < room ? length : room;
    memcpy(sink->buffer + sink->length, line, part);
    sink->buffer[sink->length + part] = '\0';
  }
  sink->length += length;
  for (size_t done = 0; sink->fd >= 0 && sink->error == 0 && done < length;) {
    ssize_t written = write(sink->fd, line + done, length - done);
    if (written > 0)
      done += (size_t)written;
    else if (errno != EINTR)
      sink->error = errno;
  }
}

static void print_arena(struct sink *sink, const struct arena *arena) {
  struct sums sums = add_up(arena, 0);
  const char *life = arena == &orphanage ? "orphanage" : arena->life == ARENA_LIVE ? "live" : "idle";
  print(sink, "%-6" PRIu32 " %-9s %8" PRIu64 " %12" PRIu64 " %15" PRIu64 " %12" PRIu64 " %15" PRIu64 "\n", arena->number,
        life, sums.slots, sums.used_blocks, sums.used_bytes, sums.free_blocks, sums.free_bytes);
}

static void print_stats(struct sink *sink) {
  struct bm_stats stats;
  bm_stats(&stats);
  print(sink, "buddymalloc %d.%d.%d\n", BM_VERSION_MAJOR, BM_VERSION_MINOR, BM_VERSION_PATCH);
  print(sink, "arena  state        slots  used blocks      used bytes  free blocks      free bytes\n");
  print_arena(sink, &orphanage);
  for (const struct arena *arena = first_arena(); arena != NULL; arena = arena->next) print_arena(sink, arena);
  const struct {
    const char *name;
    uint64_t value;
  } rows[] = {
      {"Number of arenas", stats.arenas},
      {"Total allocation requests", stats.alloc_requests},
      {"Total free requests", stats.free_requests},
      {"Frees by other threads", stats.remote_frees},
      {"Number of mmapped regions", stats.mmapped_regions},
      {"Bytes in mmapped regions", stats.mmapped_bytes},
      {"Bytes of cached regions", stats.cached_bytes},
      {"Allocated blocks", stats.allocated_blocks},
      {"Allocated bytes", stats.allocated_bytes},
      {"Free blocks", stats.free_blocks},
      {"Free bytes", stats.free_bytes},
      {"Heap bytes", stats.heap_bytes},
      {"Heap bytes by sbrk", stats.sbrk_bytes},
      {"Free bytes not purged yet", stats.dirty_bytes},
      {"Bytes purged so far", stats.purged_bytes},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) print(sink, "%-26s %20" PRIu64 "\n", rows[i].name, rows[i].value);
}

static void print_xml(struct sink *sink) {
  struct bm_stats stats;
  bm_stats(&stats);
  print(sink, "<malloc version=\"1\">\n");
  for (const struct arena *arena = first_arena(); arena != NULL; arena = arena->next) {
    struct sums sums = add_up(arena, 0);
    print(sink, "<heap nr=\"%" PRIu32 "\">\n", arena->number);
    print(sink, "<total type=\"used\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n", sums.used_blocks, sums.used_bytes);
    print(sink, "<total type=\"rest\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n", sums.free_blocks, sums.free_bytes);
    print(sink, "</heap>\n");
  }
  print(sink, "<total type=\"used\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n", stats.allocated_blocks, stats.allocated_bytes);
  print(sink, "<total type=\"rest\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n", stats.free_blocks, stats.free_bytes);
  print(sink, "<total type=\"mmap\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n", stats.mmapped_regions, stats.mmapped_bytes);
  print(sink, "<system type=\"current\" size=\"%" PRIu64 "\"/>\n", stats.heap_bytes + stats.mmapped_bytes);
  print(sink, "</malloc>\n");
}

void bm_malloc_stats(void) {
  int saved_errno = errno;
  struct sink sink = {.fd = STDERR_FILENO};
  print_stats(&sink);
  errno = saved_errno;
}

static size_t text(void (*print_to)(struct sink *sink), char *buffer, size_t size) {
  struct sink sink = {.buffer = size > 0 ? buffer : NULL, .size = size, .fd = -1};
  if (size > 0) buffer[0] = '\0';
  print_to(&sink);
  return sink.length;
}

size_t bm_stats_text(char *buffer, size_t size) { return text(print_stats, buffer, size); }
size_t bm_info_text(char *buffer, size_t size) { return text(print_xml, buffer, size); }

int bm_malloc_info(int options, int fd) {
  if (options != 0 || fd < 0) return EINVAL;
  struct sink sink = {.fd = fd};
  print_xml(&sink);
  return sink.error;
}
