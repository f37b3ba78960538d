/* pool.c: memory that several threads share, cut out of regions, with a limit.
 *
 * Owner:     pool->lock guards everything but the places in a holder's stock, which are its thread's.
 * Invariant: Q1  used_bytes is the sum of the regions', and never more than the limit.
 *            Q2  bit r of with_free[l] is set if and only if region r has a free block of level l.
 *            Q3  a used block's owner is a holder, OWNER_NOBODY while its handle waits, or OWNER_SHARED.
 *            Q4  the mapped bytes are the sum of the regions'; those of ordinary ones are at most the limit, rounded up
 *                to whole regions.
 * Cost:      taking and giving are O(levels), and look at a word of with_free for each 64 regions. */
#define _GNU_SOURCE
#include "pool.h"

#include "pool_inside.h"
#include "purge.h"

#include <linux/membarrier.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A region with so much in use asks for huge pages: a pool that holds little does not take 2 MiB for it. docs/adr/0006 */
#define HUGE_PAGES_FROM ((size_t)4 << 20)

#define TOP_LEVEL(pool) ((pool)->region_order - UNIT_ORDER)

struct pool *pool_create(const struct pool_options *options) {
  struct pool *pool = os_map(os_round_up(sizeof *pool));
  if (pool == NULL) return NULL;
  pool->limit = options->limit;
  pool->region_order = options->region_order;
  pool->unit_bits = options->region_order - UNIT_ORDER;
  pool->most_regions = PLACE_BITS - pool->unit_bits < 12 ? 1u << (PLACE_BITS - pool->unit_bits) : MOST_REGIONS;
  pool->alignment = options->alignment < UNIT_BYTES ? UNIT_BYTES : options->alignment;
  pool->keeps_own = options->keeps_own != 0;
  pool->fills_freed = options->fills_freed != 0;
  pool->freed_byte = options->freed_byte;
  decay_enlist(pool);
  return pool;
}

unsigned pool_unit_bits(const struct pool *pool) { return pool->unit_bits; }

int pool_keeps_own(const struct pool *pool) { return (int)pool->keeps_own; }

uint32_t pool_first_alone(const struct pool *pool) { return pool->most_regions / 2 << pool->unit_bits; }

void pool_unmap(struct pool *pool) {
  decay_strike(pool);
  if (pool->transit != NULL) os_unmap(pool->transit, pool->transit_room * sizeof *pool->transit);
  os_unmap(pool, os_round_up(sizeof *pool));
}

/* ---- Words --------------------------------------------------------------------------------------- */

void pool_write_word(struct pool *pool, struct holder *holder) {
  uint32_t word = pool->epoch * WORD_EPOCH | (pool->dead ? WORD_DEAD : 0u) | (pool->waiters.first != NULL ? WORD_AWAITED : 0u) |
                  (holder->robbed ? WORD_ROBBED : 0u);
  /* relaxed: the thread looks at it now and then; what it says is done under the lock. */
  __atomic_store_n(&holder->stock[HEAD_WORD], (int32_t)word, __ATOMIC_RELAXED);
}

void pool_write_words(struct pool *pool) {
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next) pool_write_word(pool, holder);
}

/* ---- Regions ------------------------------------------------------------------------------------- */

static void note_levels(struct pool *pool, const struct region *region, uint32_t before) {
  uint64_t bit = (uint64_t)1 << (region->number & 63);
  for (uint32_t changed = before ^ region->nonempty; changed != 0; changed &= changed - 1)
    pool->with_free[__builtin_ctz(changed)][region->number >> 6] ^= bit;
}

struct region *pool_region_of(const struct pool *pool, uint32_t place) {
  uint32_t number = place >> pool->unit_bits;
  return number < MOST_REGIONS ? pool->regions[number] : NULL;
}

static struct region *region_with(const struct pool *pool, unsigned level) {
  uint32_t words = (pool->region_top + 63) / 64;
  for (; level <= TOP_LEVEL(pool); level++)
    for (uint32_t word = 0; word < words; word++)
      if (pool->with_free[level][word] != 0)
        return pool->regions[word * 64 + (uint32_t)__builtin_ctzll(pool->with_free[level][word])];
  return NULL;
}

/* Give a region a number; 0 if all of its kind are taken. A thread keeps the ArrayBuffer over an ordinary region under its
 * number, so that is free again only when nobody has it open. */
static int install(struct pool *pool, struct region *region) {
  uint32_t half = pool->most_regions / 2, number = region->alone ? half : 0, end = number + half;
  while (number < end && pool->regions[number] != NULL) number++;
  if (number == end) return 0;
  region->number = number;
  pool->regions[number] = region;
  if (number >= pool->region_top) pool->region_top = number + 1;
  pool->mapped_bytes += region->bytes;
  pool->meta_bytes += region->meta_bytes;
  pool->region_count++;
  if (!region->alone) pool->ordinary_bytes += region->bytes;
  note_levels(pool, region, 0);
  return 1;
}

/* The region is the pool's no more. Its memory goes when nobody has it open any longer: a system call that some other
 * part of the program still has under way may write to it. Until then it holds no pages. */
void pool_uninstall(struct pool *pool, struct region *region) {
  uint32_t before = region->nonempty;
  region->nonempty = 0;
  note_levels(pool, region, before);
  pool->regions[region->number] = NULL;
  while (pool->region_top > 0 && pool->regions[pool->region_top - 1] == NULL) pool->region_top--;
  pool->mapped_bytes -= region->bytes;
  pool->meta_bytes -= region->meta_bytes;
  pool->region_count--;
  pool->purged_bytes += region->bytes;
  if (!region->alone) pool->ordinary_bytes -= region->bytes;
  if (region->openings == 0) {
    region_unmap(region);
    return;
  }
  os_purge(region->base, region->bytes);
  region->doomed = 1;
  pool->doomed_bytes += region->bytes;
}

struct region *pool_open_region(struct pool *pool, uint32_t number) {
  lock_acquire(&pool->lock);
  struct region *region = number < MOST_REGIONS ? pool->regions[number] : NULL;
  if (region != NULL) {
    region->openings++;
    pool->references++;
  }
  lock_release(&pool->lock);
  return region;
}

void pool_close_region(struct pool *pool, struct region *region) {
  lock_acquire(&pool->lock);
  if (--region->openings == 0) {
    if (region->doomed) {
      pool->doomed_bytes -= region->bytes;
      region_unmap(region);
    } else if (region->idle && region->used_blocks == 0) {
      pool_uninstall(pool, region);
    }
  }
  int last = --pool->references == 0;
  lock_release(&pool->lock);
  if (last) pool_unmap(pool);
}

void pool_strand_region(struct pool *pool) {
  lock_acquire(&pool->lock);
  pool->stranded++;
  lock_release(&pool->lock);
}

void *pool_memory(struct pool *pool, uint32_t place, size_t *bytes) {
  void *memory = NULL;
  lock_acquire(&pool->lock);
  struct region *region = pool_region_of(pool, place);
  if (region != NULL && region_is_block(region, pool_unit_of(pool, place))) {
    memory = region->base + ((size_t)pool_unit_of(pool, place) << UNIT_ORDER);
    *bytes = region_block_bytes(region, pool_unit_of(pool, place));
  }
  lock_release(&pool->lock);
  return memory;
}

/* ---- Taking and giving --------------------------------------------------------------------------- */

static unsigned level_of(size_t bytes) {
  return bytes <= UNIT_BYTES ? 0 : 64u - (unsigned)__builtin_clzll(bytes - 1) - UNIT_ORDER;
}

static int has_room(const struct pool *pool, size_t bytes) { return bytes <= pool->limit - pool->used_bytes; }

/* Unmap whole free regions that nobody has open. */
size_t pool_drop_empty(struct pool *pool) {
  size_t dropped = 0;
  for (uint32_t number = 0; number < pool->region_top; number++) {
    struct region *region = pool->regions[number];
    if (region == NULL || region->used_blocks > 0 || region->openings > 0) continue;
    dropped += region->bytes;
    pool_uninstall(pool, region);
  }
  return dropped;
}

size_t pool_purge_all(struct pool *pool) {
  size_t purged = 0;
  for (uint32_t number = 0; number < pool->region_top; number++)
    if (pool->regions[number] != NULL) purged += region_purge(pool->regions[number], SIZE_MAX);
  pool->purged_bytes += purged;
  return purged;
}

static enum pool_status take_alone(struct pool *pool, uint16_t owner, size_t size, size_t alignment, uint32_t *place) {
  if (size == 0) size = 1; /* for the sake of its alignment */
  if (size > pool->limit || !has_room(pool, os_round_up(size))) return POOL_FULL;
  /* What is free elsewhere must not stay in memory beside it. */
  size_t ordinary = os_round_up(pool->limit > SIZE_MAX / 2 ? SIZE_MAX / 2 : pool->limit);
  if (pool->mapped_bytes + size > ordinary) {
    pool_drop_empty(pool);
    pool_purge_all(pool);
  }
  struct region *region = region_map_alone(size, alignment);
  if (region == NULL) return POOL_NO_MEMORY;
  if (!install(pool, region)) {
    region_unmap(region);
    return POOL_FULL;
  }
  region->owner[0] = owner;
  if (region->bytes >= HUGE_PAGES_FROM) region_use_huge_pages(region);
  pool->used_bytes += region->bytes;
  pool->used_blocks++;
  if (pool->used_bytes > pool->used_peak) pool->used_peak = pool->used_bytes;
  *place = region->number << pool->unit_bits;
  return POOL_OK;
}

static enum pool_status add_region(struct pool *pool) {
  if (pool->ordinary_bytes >= pool->limit) return POOL_FULL;
  struct region *region = region_map(pool->region_order);
  if (region == NULL) return POOL_NO_MEMORY;
  if (install(pool, region)) return POOL_OK;
  region_unmap(region);
  return POOL_FULL;
}

enum pool_status pool_cut(struct pool *pool, uint16_t owner, size_t size, size_t alignment, uint32_t *place) {
  if (alignment < pool->alignment) alignment = pool->alignment;
  size_t most = (size_t)1 << pool->region_order;
  if (size > most || alignment > most) return take_alone(pool, owner, size, alignment, place);
  struct fit fit = region_fit_of(size);
  size_t bytes = region_fit_bytes(fit);
  if (!has_room(pool, bytes)) return POOL_FULL;
  unsigned align_level = level_of(alignment), level = region_level_for(fit, align_level);
  struct region *region = region_with(pool, level);
  if (region == NULL) {
    enum pool_status status = add_region(pool);
    if (status != POOL_OK) return status;
    region = region_with(pool, level);
  }
  uint32_t before = region->nonempty, unit = region_take(region, fit, align_level);
  note_levels(pool, region, before);
  region->owner[unit] = owner;
  if (!region->huge && region->used_bytes >= HUGE_PAGES_FROM) region_use_huge_pages(region);
  pool->used_bytes += bytes;
  pool->used_blocks++;
  if (pool->used_bytes > pool->used_peak) pool->used_peak = pool->used_bytes;
  *place = region->number << pool->unit_bits | unit;
  return POOL_OK;
}

void pool_put_back(struct pool *pool, struct region *region, uint32_t unit) {
  size_t bytes = region_block_bytes(region, unit);
  pool->used_bytes -= bytes;
  pool->used_blocks--;
  if (region->alone) {
    pool_uninstall(pool, region);
    return;
  }
  decay_count(pool, bytes);
  uint32_t before = region->nonempty;
  region_give(region, unit);
  note_levels(pool, region, before);
}

static void fill_freed(const struct pool *pool, char *memory, size_t bytes) {
  if (pool->freed_byte == 0) os_zero(memory, bytes);
  else memset(memory, pool->freed_byte, bytes);
}

void pool_drop(struct pool *pool, struct region *region, uint32_t unit) {
  /* What has a region to itself goes with it. */
  if (pool->fills_freed && !region->alone)
    fill_freed(pool, region->base + ((size_t)unit << UNIT_ORDER), region_block_bytes(region, unit));
  pool_put_back(pool, region, unit);
}

/* Whether the thread may go on as if nothing had happened. */
enum pool_status pool_look(const struct holder *holder) {
  if (holder->pool->dead) return POOL_DEAD;
  return holder->epoch == holder->pool->epoch ? POOL_OK : POOL_BEHIND;
}

enum pool_status pool_find(struct holder *holder, uint32_t place, struct region **region, uint32_t *unit) {
  struct pool *pool = holder->pool;
  enum pool_status status = pool_look(holder);
  if (status != POOL_OK) return status;
  *region = pool_region_of(pool, place);
  *unit = pool_unit_of(pool, place);
  if (*region == NULL || !region_is_block(*region, *unit)) return POOL_NO_BLOCK;
  return (*region)->owner[*unit] == holder->number ? POOL_OK : POOL_NOT_YOURS;
}

/* ---- Single blocks ------------------------------------------------------------------------------- */

static int lacks_room(enum pool_status status) { return status == POOL_FULL || status == POOL_NO_MEMORY; }

enum pool_status pool_take(struct holder *holder, size_t size, size_t alignment, uint32_t *place) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  enum pool_status status = pool_look(holder);
  if (status == POOL_OK) status = pool_cut(pool, holder->number, size, alignment, place);
  /* What lies in stocks is free: this thread's first, then the others'. */
  if (lacks_room(status)) {
    stock_flush(holder);
    status = pool_cut(pool, holder->number, size, alignment, place);
    if (lacks_room(status) && stock_rob(pool, holder)) status = pool_cut(pool, holder->number, size, alignment, place);
    wait_grant(pool); /* the rest of what was given back may do for somebody who waits */
  }
  if (status == POOL_OK) pool->alloc_requests++;
  lock_release(&pool->lock);
  return status;
}

static enum pool_status give(struct holder *holder, uint32_t place, void (*put)(struct pool *, struct region *, uint32_t)) {
  struct pool *pool = holder->pool;
  struct region *region;
  uint32_t unit;
  lock_acquire(&pool->lock);
  enum pool_status status = pool_find(holder, place, &region, &unit);
  if (status == POOL_OK) {
    put(pool, region, unit);
    pool->free_requests++;
    wait_grant(pool);
  }
  size_t freed = pool->freed_bytes;
  lock_release(&pool->lock);
  if (freed >= BACKGROUND_THRESHOLD) purge_notice();
  return status;
}

enum pool_status pool_give(struct holder *holder, uint32_t place) { return give(holder, place, pool_put_back); }

enum pool_status pool_give_lost(struct holder *holder, uint32_t place) { return give(holder, place, pool_drop); }

static enum pool_status resize(struct pool *pool, struct region *region, uint32_t unit, size_t size) {
  if (region->alone) return size <= region->bytes && size > region->bytes / 2 ? POOL_OK : POOL_FULL;
  if (size > region->bytes) return POOL_FULL;
  struct fit fit = region_fit_of(size);
  size_t old = region_block_bytes(region, unit), bytes = region_fit_bytes(fit);
  if (bytes == old) return POOL_OK;
  if (bytes > old && !has_room(pool, bytes - old)) return POOL_FULL;
  uint32_t before = region->nonempty;
  int done = region_resize(region, unit, fit);
  note_levels(pool, region, before);
  if (!done) return POOL_FULL;
  pool->used_bytes += bytes - old;
  if (pool->used_bytes > pool->used_peak) pool->used_peak = pool->used_bytes;
  return POOL_OK;
}

enum pool_status pool_resize(struct holder *holder, uint32_t place, size_t size) {
  struct pool *pool = holder->pool;
  struct region *region;
  uint32_t unit;
  lock_acquire(&pool->lock);
  enum pool_status status = pool_find(holder, place, &region, &unit);
  if (status == POOL_OK) {
    size_t before = region_block_bytes(region, unit);
    status = resize(pool, region, unit, size);
    /* Nobody has taken what was freed before the lock is released. */
    if (status == POOL_OK && pool->fills_freed && size < before)
      fill_freed(pool, region->base + ((size_t)unit << UNIT_ORDER) + size, before - size);
    wait_grant(pool);
  }
  lock_release(&pool->lock);
  return status;
}
