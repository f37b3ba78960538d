/* pool_holder.c: threads that come and go, and what frees everything at once. */
#include "pool_inside.h"

/* The blocks that wait for somebody to adopt them; with `all`, shared ones too. */
static void give_transit(struct pool *pool, int all) {
  for (uint32_t index = 0; index < pool->transit_room; index++) {
    struct transit *transit = &pool->transit[index];
    if (!transit->taken || (transit->users > 0 && !all)) continue;
    uint32_t place = transit->place;
    transit_vacate(pool, transit);
    pool_drop(pool, pool_region_of(pool, place), pool_unit_of(pool, place));
  }
}

static void give_all(struct pool *pool) {
  give_transit(pool, 1);
  for (uint32_t number = 0; number < pool->region_top; number++) {
    struct region *region = pool->regions[number];
    uint32_t unit = 0;
    if (region == NULL) continue;
    while (region == pool->regions[number] && (unit = region_next_used(region, unit)) != UINT32_MAX) pool_drop(pool, region, unit);
  }
}

void pool_reset(struct pool *pool) {
  lock_acquire(&pool->lock);
  if (!pool->dead) {
    pool->epoch++;
    inbox_clear_all(pool, (int)pool->keeps_own);
    if (pool->keeps_own) {
      give_transit(pool, 0);
    } else {
      give_all(pool);
      wait_recall(pool);
    }
    pool_write_words(pool);
    wait_grant(pool);
  }
  lock_release(&pool->lock);
}

static void destroy(struct pool *pool) {
  if (pool->dead) return;
  pool->epoch++;
  inbox_clear_all(pool, 0);
  pool->fills_freed = 0; /* all of it goes back to the system */
  give_all(pool);
  pool->dead = 1;
  for (uint32_t number = 0; number < MOST_REGIONS; number++)
    if (pool->regions[number] != NULL) pool_uninstall(pool, pool->regions[number]);
  wait_recall(pool);
  wait_grant(pool);
  pool_write_words(pool);
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next)
    if (holder->notify != NULL) holder->notify(holder->context);
}

void pool_destroy(struct pool *pool) {
  lock_acquire(&pool->lock);
  destroy(pool);
  lock_release(&pool->lock);
}

static uint16_t free_number(const struct pool *pool) {
  for (uint16_t number = 1; number < OWNER_SHARED; number++) {
    const struct holder *holder = pool->holders;
    while (holder != NULL && holder->number != number) holder = holder->next;
    if (holder == NULL) return number;
  }
  return 0;
}

void pool_discard(struct pool *pool) { pool_unmap(pool); }

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
  *holder = (struct holder){pool, pool->holders, stock, notify, context, NULL, pool->epoch, 0, 0, 0,
                            pool->dead ? (uint16_t)0 : free_number(pool)};
  int joined = holder->number != 0;
  if (joined) {
    pool->holders = holder;
    pool->references++;
    pool->holder_count++;
    pool_write_word(pool, holder);
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
      pool_drop(pool, region, unit);
      if (region != pool->regions[number]) break;
    }
  }
}

int pool_leave(struct holder *holder) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  struct waiter *waiter, *gone = NULL;
  while ((waiter = wait_unlink(pool, holder, NULL)) != NULL) waiter->next = gone, gone = waiter;
  struct holder **link = &pool->holders;
  while (*link != holder) link = &(*link)->next;
  *link = holder->next;
  pool->holder_count--;
  struct inbox *inboxes = inbox_unlink_all(pool, holder);
  int last_holder = pool->holders == NULL;
  if (last_holder) destroy(pool);
  else if (!pool->dead) give_blocks_of(pool, holder->number);
  wait_grant(pool);
  pool_write_words(pool);
  int last = --pool->references == 0;
  lock_release(&pool->lock);
  for (struct waiter *list = gone; list != NULL; list = waiter) waiter = list->next, bm_free(list);
  for (struct waiter *list = holder->granted; list != NULL; list = waiter) waiter = list->next, bm_free(list);
  inbox_wait_for_notifiers(holder);
  for (struct inbox *inbox = inboxes; inbox != NULL; inbox = inboxes) inboxes = inbox->next, inbox_free(inbox);
  os_unmap(holder->stock, os_round_up(STOCK_WORDS * sizeof(int32_t)));
  bm_free(holder);
  if (last) pool_unmap(pool);
  return last_holder;
}
