/* pool_report.c: a pool's figures and blocks, for people. */
#include "pool_inside.h"

/* Whether its stock still counts for something (K1). */
static int counts(const struct pool *pool, const struct holder *holder) {
  return holder->epoch == pool->epoch || pool->keeps_own;
}

void pool_stats(struct pool *pool, struct pool_stats *out) {
  lock_acquire(&pool->lock);
  *out = (struct pool_stats){
      .limit = pool->limit,
      .mapped_bytes = pool->mapped_bytes,
      .meta_bytes = pool->meta_bytes,
      .used_bytes = pool->used_bytes,
      .doomed_bytes = pool->doomed_bytes,
      .stranded = pool->stranded,
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
    if (!counts(pool, holder)) continue;
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
  if (holder == NULL || !counts(pool, holder) || bytes > (size_t)1 << STOCK_ORDER_MAX) return 0;
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
