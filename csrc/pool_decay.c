/* pool_decay.c: when a pool's free memory goes back to the system.
 *
 * What a pool has used at its height since the last look stays; what lay idle for that whole time is purged, the regions
 * with the highest numbers first, since blocks are taken from the lowest. A pool in steady use is so left alone.
 *
 * Owner:     pools.lock guards the list of pools, pool->lock the rest. They nest in this order, under purge_lock.
 * Cost:      a walk over the free lists of the regions that are purged; nothing for a pool that nobody frees in. */
#include "pool_inside.h"

#include "purge.h"

static struct {
  struct lock lock;
  struct pool *first;
} pools;

/* relaxed: an estimate, read without the locks. */
static size_t waiting_bytes;

void decay_count(struct pool *pool, size_t bytes) {
  pool->freed_bytes += bytes;
  __atomic_fetch_add(&waiting_bytes, bytes, __ATOMIC_RELAXED);
}

static void set_freed(struct pool *pool, size_t bytes) {
  __atomic_fetch_add(&waiting_bytes, bytes - pool->freed_bytes, __ATOMIC_RELAXED);
  pool->freed_bytes = bytes;
}

static size_t dirty_bytes(const struct pool *pool) {
  size_t pages = 0;
  for (uint32_t number = 0; number < pool->region_top; number++)
    if (pool->regions[number] != NULL) pages += pool->regions[number]->dirty_pages;
  return pages * OS_PAGE;
}

static size_t decay(struct pool *pool) {
  size_t dirty = pool->freed_bytes == 0 ? 0 : dirty_bytes(pool), purged = 0;
  size_t excess = dirty > pool->used_peak ? dirty - pool->used_peak : 0;
  for (uint32_t number = pool->region_top; number-- > 0 && purged < excess;)
    if (pool->regions[number] != NULL) purged += region_purge(pool->regions[number], excess - purged);
  pool->purged_bytes += purged;
  set_freed(pool, pool->used_peak - pool->used_bytes); /* may be idle by the next look */
  pool->used_peak = pool->used_bytes;
  return purged;
}

static size_t decay_all(uint32_t now, uint32_t delay) {
  size_t purged = 0;
  lock_acquire(&pools.lock);
  for (struct pool *pool = pools.first; pool != NULL; pool = pool->next) {
    if (pool->freed_bytes == 0 || now - pool->decayed < delay) continue;
    lock_acquire(&pool->lock);
    purged += decay(pool);
    pool->decayed = now;
    lock_release(&pool->lock);
  }
  lock_release(&pools.lock);
  return purged;
}

static size_t purgeable(void) { return __atomic_load_n(&waiting_bytes, __ATOMIC_RELAXED); }

static const struct purge_client client = {purgeable, decay_all};

void decay_enlist(struct pool *pool) {
  lock_acquire(&pools.lock);
  pool->next = pools.first;
  pools.first = pool;
  pool->decayed = os_now_ms();
  purge_client = &client;
  lock_release(&pools.lock);
}

void decay_strike(struct pool *pool) {
  lock_acquire(&pools.lock);
  struct pool **link = &pools.first;
  while (*link != pool) link = &(*link)->next;
  *link = pool->next;
  set_freed(pool, 0);
  lock_release(&pools.lock);
}

size_t pool_trim(struct holder *holder) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  if (pool_look(holder) == POOL_OK) stock_flush(holder);
  stock_rob(pool, holder);
  for (uint32_t number = 0; number < pool->region_top; number++)
    if (pool->regions[number] != NULL && pool->regions[number]->used_blocks == 0) pool->regions[number]->idle = 1;
  size_t bytes = pool_drop_empty(pool) + pool_purge_all(pool);
  set_freed(pool, 0);
  pool->used_peak = pool->used_bytes;
  wait_grant(pool);
  lock_release(&pool->lock);
  return bytes;
}
