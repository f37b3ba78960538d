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

#include <string.h>
#include <sys/random.h>

#define TOP_LEVEL(pool) ((pool)->region_order - UNIT_ORDER)

struct pool *pool_create(const struct pool_options *options) {
  struct pool *pool = os_map(os_round_up(sizeof *pool));
  if (pool == NULL) return NULL;
  pool->limit = options->limit;
  pool->region_order = options->region_order;
  pool->unit_bits = options->region_order - UNIT_ORDER;
  pool->most_regions = PLACE_BITS - pool->unit_bits < 12 ? 1u << (PLACE_BITS - pool->unit_bits) : MOST_REGIONS;
  pool->alignment = options->alignment < UNIT_BYTES ? UNIT_BYTES : options->alignment;
  return pool;
}

unsigned pool_unit_bits(const struct pool *pool) { return pool->unit_bits; }

static void unmap_pool(struct pool *pool) {
  if (pool->transit != NULL) os_unmap(pool->transit, pool->transit_room * sizeof *pool->transit);
  os_unmap(pool, os_round_up(sizeof *pool));
}

/* ---- Words ---------------------------------------------------------------------------------- */

static void write_word(struct pool *pool, struct holder *holder) {
  uint32_t word = pool->epoch * WORD_EPOCH | (pool->dead ? WORD_DEAD : 0u) | (pool->waiters.first != NULL ? WORD_AWAITED : 0u);
  /* relaxed: the thread looks at it now and then; what it says is done under the lock. */
  __atomic_store_n(&holder->stock[0], (int32_t)word, __ATOMIC_RELAXED);
}

static void write_words(struct pool *pool) {
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next) write_word(pool, holder);
}

/* ---- Regions -------------------------------------------------------------------------------- */

static void note_levels(struct pool *pool, const struct region *region, uint32_t before) {
  uint64_t bit = (uint64_t)1 << (region->number & 63);
  for (uint32_t changed = before ^ region->nonempty; changed != 0; changed &= changed - 1)
    pool->with_free[__builtin_ctz(changed)][region->number >> 6] ^= bit;
}

struct region *pool_region_of(const struct pool *pool, uint32_t place) {
  uint32_t number = place >> pool->unit_bits;
  return number < MOST_REGIONS ? pool->regions[number] : NULL;
}

static uint32_t unit_of(const struct pool *pool, uint32_t place) { return place & ((1u << pool->unit_bits) - 1); }

static struct region *region_with(const struct pool *pool, unsigned level) {
  uint32_t words = (pool->region_top + 63) / 64;
  for (; level <= TOP_LEVEL(pool); level++)
    for (uint32_t word = 0; word < words; word++)
      if (pool->with_free[level][word] != 0)
        return pool->regions[word * 64 + (uint32_t)__builtin_ctzll(pool->with_free[level][word])];
  return NULL;
}

/* Give a region a number; 0 if all are taken. */
static int install(struct pool *pool, struct region *region) {
  uint32_t number = 0;
  while (number < pool->most_regions && pool->regions[number] != NULL) number++;
  if (number == pool->most_regions) return 0;
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
static void uninstall(struct pool *pool, struct region *region) {
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
  if (--region->openings == 0 && region->doomed) {
    pool->doomed_bytes -= region->bytes;
    region_unmap(region);
  }
  int last = --pool->references == 0;
  lock_release(&pool->lock);
  if (last) unmap_pool(pool);
}

void *pool_memory(struct pool *pool, uint32_t place, size_t *bytes) {
  void *memory = NULL;
  lock_acquire(&pool->lock);
  struct region *region = pool_region_of(pool, place);
  if (region != NULL && region_is_block(region, unit_of(pool, place))) {
    memory = region->base + ((size_t)unit_of(pool, place) << UNIT_ORDER);
    *bytes = region_block_bytes(region, unit_of(pool, place));
  }
  lock_release(&pool->lock);
  return memory;
}

/* ---- Taking and giving ---------------------------------------------------------------------- */

static unsigned level_of(size_t bytes) {
  return bytes <= UNIT_BYTES ? 0 : 64u - (unsigned)__builtin_clzll(bytes - 1) - UNIT_ORDER;
}

static int has_room(const struct pool *pool, size_t bytes) { return bytes <= pool->limit - pool->used_bytes; }

/* Unmap whole free regions that nobody has open. */
static size_t drop_empty(struct pool *pool) {
  size_t dropped = 0;
  for (uint32_t number = 0; number < pool->region_top; number++) {
    struct region *region = pool->regions[number];
    if (region == NULL || region->used_blocks > 0 || region->openings > 0) continue;
    dropped += region->bytes;
    uninstall(pool, region);
  }
  return dropped;
}

static size_t purge_all(struct pool *pool) {
  size_t purged = 0;
  for (uint32_t number = 0; number < pool->region_top; number++)
    if (pool->regions[number] != NULL) purged += region_purge(pool->regions[number]);
  pool->purged_bytes += purged;
  return purged;
}

static enum pool_status take_alone(struct pool *pool, uint16_t owner, size_t size, size_t alignment, uint32_t *place) {
  if (size > pool->limit || !has_room(pool, os_round_up(size))) return POOL_FULL;
  /* What is free elsewhere must not stay in memory beside it. */
  size_t ordinary = os_round_up(pool->limit > SIZE_MAX / 2 ? SIZE_MAX / 2 : pool->limit);
  if (pool->mapped_bytes + size > ordinary) {
    drop_empty(pool);
    purge_all(pool);
  }
  struct region *region = region_map_alone(size, alignment);
  if (region == NULL) return POOL_NO_MEMORY;
  if (!install(pool, region)) {
    region_unmap(region);
    return POOL_FULL;
  }
  region->owner[0] = owner;
  pool->used_bytes += region->bytes;
  pool->used_blocks++;
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

static enum pool_status take(struct pool *pool, uint16_t owner, size_t size, size_t alignment, uint32_t *place) {
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
  pool->used_bytes += bytes;
  pool->used_blocks++;
  *place = region->number << pool->unit_bits | unit;
  return POOL_OK;
}

static void give(struct pool *pool, struct region *region, uint32_t unit) {
  pool->used_bytes -= region_block_bytes(region, unit);
  pool->used_blocks--;
  if (region->alone) {
    uninstall(pool, region);
    return;
  }
  uint32_t before = region->nonempty;
  region_give(region, unit);
  note_levels(pool, region, before);
}

/* Whether the thread may go on as if nothing had happened. */
static enum pool_status look(const struct holder *holder) {
  if (holder->pool->dead) return POOL_DEAD;
  return holder->epoch == holder->pool->epoch ? POOL_OK : POOL_BEHIND;
}

static enum pool_status find(struct holder *holder, uint32_t place, struct region **region, uint32_t *unit) {
  struct pool *pool = holder->pool;
  enum pool_status status = look(holder);
  if (status != POOL_OK) return status;
  *region = pool_region_of(pool, place);
  *unit = unit_of(pool, place);
  if (*region == NULL || !region_is_block(*region, *unit)) return POOL_NO_BLOCK;
  return (*region)->owner[*unit] == holder->number ? POOL_OK : POOL_NOT_YOURS;
}

/* ---- Waiting -------------------------------------------------------------------------------- */

static void append(struct waiters *list, struct waiter *waiter) {
  waiter->next = NULL;
  if (list->last == NULL) {
    list->first = waiter;
  } else {
    list->last->next = waiter;
  }
  list->last = waiter;
}

static void answer(struct waiter *waiter, enum pool_status status) {
  struct holder *holder = waiter->holder;
  struct waiter **end = &holder->granted;
  while (*end != NULL) end = &(*end)->next;
  waiter->next = NULL;
  waiter->status = status;
  *end = waiter;
  if (holder->notify != NULL) holder->notify(holder->context);
}

/* Serve those that wait, in turn, while there is room for the first. */
static void grant(struct pool *pool) {
  if (pool->waiters.first == NULL) return;
  while (pool->waiters.first != NULL) {
    struct waiter *waiter = pool->waiters.first;
    enum pool_status status =
        pool->dead ? POOL_DEAD
                   : take(pool, waiter->holder->number, waiter->size, waiter->alignment, &waiter->place);
    if (status == POOL_FULL) return;
    pool->waiters.first = waiter->next;
    if (pool->waiters.first == NULL) pool->waiters.last = NULL;
    pool->waiting--;
    answer(waiter, status);
  }
  write_words(pool);
}

/* Bytes of the block that serves a request. */
static size_t bytes_for(const struct pool *pool, size_t size) {
  return size > (size_t)1 << pool->region_order ? os_round_up(size) : region_fit_bytes(region_fit_of(size));
}

enum pool_status pool_wait(struct holder *holder, double id, size_t size, size_t alignment) {
  struct pool *pool = holder->pool;
  struct waiter *waiter = bm_malloc(sizeof *waiter);
  if (waiter == NULL) return POOL_NO_MEMORY;
  pool_flush(holder);
  lock_acquire(&pool->lock);
  if (pool->dead || size > pool->limit || bytes_for(pool, size) > pool->limit) {
    enum pool_status status = pool->dead ? POOL_DEAD : POOL_FULL;
    lock_release(&pool->lock);
    bm_free(waiter);
    return status;
  }
  *waiter = (struct waiter){NULL, holder, id, size, alignment, 0, POOL_OK};
  append(&pool->waiters, waiter);
  pool->waiting++;
  grant(pool);
  if (pool->waiters.first != NULL) {
    write_words(pool);
    /* Whoever keeps a stock gives it back. */
    for (struct holder *other = pool->holders; other != NULL; other = other->next)
      if (other != holder && other->notify != NULL) other->notify(other->context);
  }
  lock_release(&pool->lock);
  return POOL_OK;
}

static struct waiter *unlink_waiter(struct pool *pool, const struct holder *holder, const double *id) {
  struct waiter *before = NULL;
  for (struct waiter *waiter = pool->waiters.first; waiter != NULL; before = waiter, waiter = waiter->next) {
    if (waiter->holder != holder || (id != NULL && waiter->id != *id)) continue;
    if (before == NULL) {
      pool->waiters.first = waiter->next;
    } else {
      before->next = waiter->next;
    }
    if (waiter->next == NULL) pool->waiters.last = before;
    pool->waiting--;
    return waiter;
  }
  return NULL;
}

int pool_cancel(struct holder *holder, double id) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  struct waiter *waiter = unlink_waiter(pool, holder, &id);
  if (waiter != NULL) {
    /* A large request may have kept smaller ones behind it waiting. */
    grant(pool);
    write_words(pool);
  }
  lock_release(&pool->lock);
  bm_free(waiter);
  return waiter != NULL;
}

int pool_granted(struct holder *holder, double *id, uint32_t *place, enum pool_status *status) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  struct waiter *waiter = holder->granted;
  if (waiter != NULL) holder->granted = waiter->next;
  lock_release(&pool->lock);
  if (waiter == NULL) return 0;
  *id = waiter->id;
  *place = waiter->place;
  *status = waiter->status;
  bm_free(waiter);
  return 1;
}

/* ---- Stocks --------------------------------------------------------------------------------- */

size_t pool_class_bytes(unsigned class) {
  if (class < 3) return UNIT_BYTES << class;
  struct fit fit = {(uint8_t)(3 + (class - 3) / 4), (uint8_t)(5 + (class - 3) % 4)};
  return region_fit_bytes(fit);
}

static int32_t *stock_of(const struct holder *holder, unsigned class) {
  return holder->stock + STOCK_HEAD + class * STOCK_STRIDE;
}

unsigned pool_stock(struct holder *holder, unsigned class, unsigned count) {
  struct pool *pool = holder->pool;
  if (class >= STOCK_CLASSES) return 0;
  int32_t *stock = stock_of(holder, class);
  uint32_t have = (uint32_t)stock[0], got = 0;
  if (have > STOCK_MOST) return 0;
  if (count > STOCK_MOST - have) count = STOCK_MOST - have;
  size_t bytes = pool_class_bytes(class);
  lock_acquire(&pool->lock);
  uint32_t place;
  if (look(holder) == POOL_OK && pool->waiters.first == NULL)
    while (got < count && take(pool, holder->number, bytes, 0, &place) == POOL_OK) stock[1 + have + got++] = (int32_t)place;
  lock_release(&pool->lock);
  stock[0] = (int32_t)(have + got);
  return got;
}

static void unstock(struct holder *holder, unsigned class, unsigned keep) {
  struct pool *pool = holder->pool;
  int32_t *stock = stock_of(holder, class);
  uint32_t have = (uint32_t)stock[0];
  if (have > STOCK_MOST) have = 0;
  if (keep >= have) return;
  /* The oldest go: the newest are in the processor's caches. */
  uint32_t gone = have - keep;
  for (uint32_t i = 0; i < gone; i++) {
    struct region *region;
    uint32_t unit;
    if (find(holder, (uint32_t)stock[1 + i], &region, &unit) == POOL_OK) give(pool, region, unit);
  }
  memmove(stock + 1, stock + 1 + gone, keep * sizeof *stock);
  stock[0] = (int32_t)keep;
}

void pool_unstock(struct holder *holder, unsigned class, unsigned keep) {
  if (class >= STOCK_CLASSES) return;
  lock_acquire(&holder->pool->lock);
  unstock(holder, class, keep);
  grant(holder->pool);
  lock_release(&holder->pool->lock);
}

static void flush(struct holder *holder) {
  for (unsigned class = 0; class < STOCK_CLASSES; class++) unstock(holder, class, 0);
}

void pool_sync(struct holder *holder) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  if (holder->epoch != pool->epoch) {
    for (unsigned class = 0; class < STOCK_CLASSES; class++) stock_of(holder, class)[0] = 0;
    holder->epoch = pool->epoch;
  }
  if (pool->waiters.first != NULL) {
    flush(holder);
    grant(pool);
  }
  lock_release(&pool->lock);
}

void pool_flush(struct holder *holder) {
  lock_acquire(&holder->pool->lock);
  flush(holder);
  grant(holder->pool);
  lock_release(&holder->pool->lock);
}

/* ---- Single blocks -------------------------------------------------------------------------- */

enum pool_status pool_take(struct holder *holder, size_t size, size_t alignment, uint32_t *place) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  enum pool_status status = look(holder);
  if (status == POOL_OK) status = take(pool, holder->number, size, alignment, place);
  if (status == POOL_FULL) {
    flush(holder);
    status = take(pool, holder->number, size, alignment, place);
  }
  if (status == POOL_OK) pool->alloc_requests++;
  lock_release(&pool->lock);
  return status;
}

enum pool_status pool_give(struct holder *holder, uint32_t place) {
  struct pool *pool = holder->pool;
  struct region *region;
  uint32_t unit;
  lock_acquire(&pool->lock);
  enum pool_status status = find(holder, place, &region, &unit);
  if (status == POOL_OK) {
    give(pool, region, unit);
    pool->free_requests++;
    grant(pool);
  }
  lock_release(&pool->lock);
  return status;
}

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
  return POOL_OK;
}

enum pool_status pool_resize(struct holder *holder, uint32_t place, size_t size) {
  struct pool *pool = holder->pool;
  struct region *region;
  uint32_t unit;
  lock_acquire(&pool->lock);
  enum pool_status status = find(holder, place, &region, &unit);
  if (status == POOL_OK) {
    status = resize(pool, region, unit, size);
    grant(pool);
  }
  lock_release(&pool->lock);
  return status;
}

/* ---- Handover ------------------------------------------------------------------------------- */

#define TRANSIT_BITS 21u

/* 32 bits that nobody can guess. Without the system's randomness a counter still tells a stale handle. */
static uint32_t random_tag(struct pool *pool) {
  if (pool->random_left == 0) {
    ssize_t got = getrandom(pool->random, sizeof pool->random, GRND_NONBLOCK);
    if (got != (ssize_t)sizeof pool->random)
      for (size_t i = 0; i < RANDOM_TAGS; i++) pool->random[i] = ++pool->tag_counter;
    pool->random_left = RANDOM_TAGS;
  }
  return pool->random[--pool->random_left];
}

static int grow_transit(struct pool *pool) {
  uint32_t room = pool->transit_room == 0 ? (uint32_t)(OS_PAGE / sizeof *pool->transit) : pool->transit_room * 2;
  if (room > 1u << TRANSIT_BITS) return 0;
  struct transit *table = os_map(os_round_up(room * sizeof *table));
  if (table == NULL) return 0;
  if (pool->transit != NULL) {
    memcpy(table, pool->transit, pool->transit_room * sizeof *table);
    os_unmap(pool->transit, pool->transit_room * sizeof *table);
  }
  pool->transit = table;
  for (uint32_t i = room; i-- > pool->transit_room;) {
    table[i].next_vacant = pool->vacant;
    pool->vacant = i + 1;
  }
  pool->transit_room = room;
  return 1;
}

enum pool_status pool_handover(struct holder *holder, uint32_t place, size_t size, uint64_t *handle) {
  struct pool *pool = holder->pool;
  struct region *region;
  uint32_t unit;
  lock_acquire(&pool->lock);
  enum pool_status status = find(holder, place, &region, &unit);
  if (status == POOL_OK && pool->vacant == 0 && !grow_transit(pool)) status = POOL_NO_MEMORY;
  if (status == POOL_OK) {
    uint32_t index = pool->vacant - 1;
    struct transit *transit = &pool->transit[index];
    pool->vacant = transit->next_vacant;
    transit->place = place;
    transit->size = size;
    transit->tag = random_tag(pool);
    transit->waits = 1;
    region->owner[unit] = OWNER_NOBODY;
    pool->transit_blocks++;
    *handle = (uint64_t)transit->tag << TRANSIT_BITS | (index + 1);
  }
  lock_release(&pool->lock);
  return status;
}

static void vacate(struct pool *pool, uint32_t index) {
  pool->transit[index].waits = 0;
  pool->transit[index].next_vacant = pool->vacant;
  pool->vacant = index + 1;
  pool->transit_blocks--;
}

enum pool_status pool_adopt(struct holder *holder, uint64_t handle, uint32_t *place, size_t *size) {
  struct pool *pool = holder->pool;
  uint64_t index = (handle & ((1u << TRANSIT_BITS) - 1)) - 1;
  enum pool_status status = POOL_STALE;
  lock_acquire(&pool->lock);
  if (look(holder) != POOL_OK) {
    status = look(holder);
  } else if (index < pool->transit_room && pool->transit[index].waits && pool->transit[index].tag == handle >> TRANSIT_BITS) {
    struct transit *transit = &pool->transit[index];
    pool_region_of(pool, transit->place)->owner[unit_of(pool, transit->place)] = holder->number;
    *place = transit->place;
    *size = transit->size;
    vacate(pool, (uint32_t)index);
    status = POOL_OK;
  }
  lock_release(&pool->lock);
  return status;
}

/* ---- Everything at once --------------------------------------------------------------------- */

static void give_all(struct pool *pool) {
  for (uint32_t index = 0; index < pool->transit_room; index++)
    if (pool->transit[index].waits) vacate(pool, index);
  for (uint32_t number = 0; number < pool->region_top; number++) {
    struct region *region = pool->regions[number];
    uint32_t unit = 0;
    if (region == NULL) continue;
    while (region == pool->regions[number] && (unit = region_next_used(region, unit)) != UINT32_MAX) give(pool, region, unit);
  }
}

void pool_reset(struct pool *pool) {
  lock_acquire(&pool->lock);
  if (!pool->dead) {
    pool->epoch++;
    give_all(pool);
    write_words(pool);
    grant(pool);
  }
  lock_release(&pool->lock);
}

static void destroy(struct pool *pool) {
  if (pool->dead) return;
  pool->epoch++;
  give_all(pool);
  pool->dead = 1;
  for (uint32_t number = 0; number < MOST_REGIONS; number++)
    if (pool->regions[number] != NULL) uninstall(pool, pool->regions[number]);
  grant(pool);
  write_words(pool);
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next)
    if (holder->notify != NULL) holder->notify(holder->context);
}

void pool_destroy(struct pool *pool) {
  lock_acquire(&pool->lock);
  destroy(pool);
  lock_release(&pool->lock);
}

/* ---- Holders -------------------------------------------------------------------------------- */

static uint16_t free_number(const struct pool *pool) {
  for (uint16_t number = 1; number < OWNER_SHARED; number++) {
    const struct holder *holder = pool->holders;
    while (holder != NULL && holder->number != number) holder = holder->next;
    if (holder == NULL) return number;
  }
  return 0;
}

struct holder *pool_join(struct pool *pool, void (*notify)(void *), void *context) {
  size_t stock_bytes = os_round_up(STOCK_WORDS * sizeof(int32_t));
  struct holder *holder = bm_malloc(sizeof *holder);
  int32_t *stock = os_map(stock_bytes);
  if (holder == NULL || stock == NULL) {
    bm_free(holder);
    if (stock != NULL) os_unmap(stock, stock_bytes);
    return NULL;
  }
  lock_acquire(&pool->lock);
  *holder = (struct holder){pool, pool->holders, stock, notify, context, NULL, pool->epoch,
                            pool->dead ? (uint16_t)0 : free_number(pool)};
  int joined = holder->number != 0;
  if (joined) {
    pool->holders = holder;
    pool->references++;
    pool->holder_count++;
    write_word(pool, holder);
  }
  lock_release(&pool->lock);
  if (joined) return holder;
  os_unmap(stock, stock_bytes);
  bm_free(holder);
  return NULL;
}

static void give_blocks_of(struct pool *pool, uint16_t owner) {
  for (uint32_t number = 0; number < pool->region_top; number++) {
    struct region *region = pool->regions[number];
    if (region == NULL) continue;
    for (uint32_t unit = 0; (unit = region_next_used(region, unit)) != UINT32_MAX; unit++) {
      if (region->owner[unit] != owner) continue;
      give(pool, region, unit);
      if (region != pool->regions[number]) break;
    }
  }
}

int pool_leave(struct holder *holder) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  struct waiter *waiter, *gone = NULL;
  while ((waiter = unlink_waiter(pool, holder, NULL)) != NULL) waiter->next = gone, gone = waiter;
  struct holder **link = &pool->holders;
  while (*link != holder) link = &(*link)->next;
  *link = holder->next;
  pool->holder_count--;
  if (!pool->dead) give_blocks_of(pool, holder->number);
  int last_holder = pool->holders == NULL;
  if (last_holder) destroy(pool);
  grant(pool);
  write_words(pool);
  int last = --pool->references == 0;
  lock_release(&pool->lock);
  for (struct waiter *list = gone; list != NULL; list = waiter) waiter = list->next, bm_free(list);
  for (struct waiter *list = holder->granted; list != NULL; list = waiter) waiter = list->next, bm_free(list);
  os_unmap(holder->stock, os_round_up(STOCK_WORDS * sizeof(int32_t)));
  bm_free(holder);
  if (last) unmap_pool(pool);
  return last_holder;
}

/* ---- Looking -------------------------------------------------------------------------------- */

size_t pool_trim(struct holder *holder) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  flush(holder);
  size_t bytes = drop_empty(pool) + purge_all(pool);
  grant(pool);
  lock_release(&pool->lock);
  return bytes;
}

void pool_stats(struct pool *pool, struct pool_stats *out) {
  lock_acquire(&pool->lock);
  *out = (struct pool_stats){
      .limit = pool->limit,
      .mapped_bytes = pool->mapped_bytes,
      .meta_bytes = pool->meta_bytes,
      .used_bytes = pool->used_bytes,
      .doomed_bytes = pool->doomed_bytes,
      .regions = pool->region_count,
      .used_blocks = pool->used_blocks,
      .holders = pool->holder_count,
      .transit_blocks = pool->transit_blocks,
      .shared_blocks = pool->shared_blocks,
      .waiting = pool->waiting,
      .alloc_requests = pool->alloc_requests,
      .free_requests = pool->free_requests,
      .purged_bytes = pool->purged_bytes,
      .epoch = pool->epoch,
  };
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next) {
    for (unsigned class = 0; class < STOCK_CLASSES; class++) {
      uint32_t count = (uint32_t)__atomic_load_n(stock_of(holder, class), __ATOMIC_RELAXED);
      out->stocked_blocks += count;
      out->stocked_bytes += count * pool_class_bytes(class);
    }
  }
  lock_release(&pool->lock);
}

/* A mark in `owner` for the time of a walk would be seen by nobody, but stocks are small: they are searched. */
static int is_stocked(const struct pool *pool, uint16_t owner, uint32_t place, size_t bytes) {
  const struct holder *holder = pool->holders;
  while (holder != NULL && holder->number != owner) holder = holder->next;
  if (holder == NULL || bytes > (size_t)1 << STOCK_ORDER_MAX) return 0;
  for (unsigned class = 0; class < STOCK_CLASSES; class++) {
    const int32_t *stock = stock_of(holder, class);
    if (pool_class_bytes(class) != bytes) continue;
    for (int32_t i = 0; i < stock[0]; i++)
      if ((uint32_t)stock[1 + i] == place) return 1;
  }
  return 0;
}

void pool_walk(struct pool *pool, void (*visit)(const struct pool_block *block, void *context), void *context) {
  lock_acquire(&pool->lock);
  for (uint32_t number = 0; number < pool->region_top; number++) {
    const struct region *region = pool->regions[number];
    if (region == NULL) continue;
    for (uint32_t unit = 0; (unit = region_next_used(region, unit)) != UINT32_MAX; unit++) {
      struct pool_block block = {number << pool->unit_bits | unit, region->owner[unit], 0, region_block_bytes(region, unit)};
      block.stocked = (uint16_t)is_stocked(pool, block.owner, block.place, block.bytes);
      visit(&block, context);
    }
  }
  lock_release(&pool->lock);
}

void pool_walk_regions(struct pool *pool, void (*visit)(const struct region *region, void *context), void *context) {
  lock_acquire(&pool->lock);
  for (uint32_t number = 0; number < pool->region_top; number++)
    if (pool->regions[number] != NULL) visit(pool->regions[number], context);
  lock_release(&pool->lock);
}
