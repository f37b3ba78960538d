/* pool_wait.c: requests that wait until there is room.
 *
 * Owner:     pool->lock. A free block goes to the request that has waited longest before any other can have it: while one
 *            waits, no thread keeps a stock.
 * Invariant: W1  a request that waits does not fit, or others wait before it.
 * Cost:      one look at the first request for each block that is freed. */
#include "pool_inside.h"

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
void wait_grant(struct pool *pool) {
  if (pool->waiters.first == NULL) return;
  while (pool->waiters.first != NULL) {
    struct waiter *waiter = pool->waiters.first;
    enum pool_status status =
        pool->dead ? POOL_DEAD
                   : pool_cut(pool, waiter->holder->number, waiter->size, waiter->alignment, &waiter->place);
    if (status == POOL_FULL) return;
    pool->waiters.first = waiter->next;
    if (pool->waiters.first == NULL) pool->waiters.last = NULL;
    pool->waiting--;
    answer(waiter, status);
  }
  pool_write_words(pool);
}

void wait_recall(struct pool *pool) {
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next) {
    struct waiter **link = &holder->granted, **front = &pool->waiters.first;
    while (*link != NULL) {
      struct waiter *waiter = *link;
      if (waiter->status != POOL_OK) {
        link = &waiter->next;
        continue;
      }
      *link = waiter->next;
      waiter->next = *front;
      *front = waiter;
      front = &waiter->next;
      if (waiter->next == NULL) pool->waiters.last = waiter;
      pool->waiting++;
    }
  }
}

/* Bytes of the block that serves a request. */
static size_t bytes_for(const struct pool *pool, size_t size) {
  return size > (size_t)1 << pool->region_order ? os_round_up(size) : region_fit_bytes(region_fit_of(size));
}

void pool_hoard(struct holder *holder) {
  lock_acquire(&holder->pool->lock);
  holder->hoards = 1;
  lock_release(&holder->pool->lock);
}

static void notify_hoarders(const struct pool *pool, const struct holder *but) {
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next)
    if (holder->hoards && holder != but && holder->notify != NULL) holder->notify(holder->context);
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
  wait_grant(pool);
  if (pool->waiters.first != NULL) {
    pool_write_words(pool);
    if (stock_rob(pool, holder)) wait_grant(pool);
    if (pool->waiters.first != NULL) notify_hoarders(pool, holder);
  }
  lock_release(&pool->lock);
  return POOL_OK;
}

struct waiter *wait_unlink(struct pool *pool, const struct holder *holder, const double *id) {
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
  struct waiter *waiter = wait_unlink(pool, holder, &id);
  if (waiter != NULL) {
    /* A large request may have kept smaller ones behind it waiting. */
    wait_grant(pool);
    pool_write_words(pool);
  }
  lock_release(&pool->lock);
  bm_free(waiter);
  return waiter != NULL;
}

int pool_granted(struct holder *holder, double *id, uint32_t *place, enum pool_status *status) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  /* What is granted after everything was freed is not mixed up with what was: the thread looks at its word first. */
  struct waiter *waiter = pool_look(holder) == POOL_BEHIND ? NULL : holder->granted;
  if (waiter != NULL) holder->granted = waiter->next;
  lock_release(&pool->lock);
  if (waiter == NULL) return 0;
  *id = waiter->id;
  *place = waiter->place;
  *status = waiter->status;
  bm_free(waiter);
  return 1;
}
