/* pool_stock.c: free blocks that a thread keeps at hand, and takes and puts without a lock.
 *
 * Owner:     the holder's thread, which JavaScript runs in; another thread takes a stock away only as stock_rob() says.
 * Invariant: K1  every place in a stock is a used block of its class whose owner is the holder, unless the holder's epoch is
 *                not the pool's: then the stock counts for nothing. */
#define _GNU_SOURCE
#include "pool_inside.h"
#include "purge.h"

#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

size_t pool_class_bytes(unsigned class) {
  if (class < 3) return UNIT_BYTES << class;
  struct fit fit = {(uint8_t)(3 + (class - 3) / 4), (uint8_t)(5 + (class - 3) % 4)};
  return region_fit_bytes(fit);
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
  if (pool_look(holder) == POOL_OK && pool->waiters.first == NULL)
    while (got < count && pool_cut(pool, holder->number, bytes, 0, &place) == POOL_OK) stock[1 + have + got++] = (int32_t)place;
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
    if (pool_find(holder, (uint32_t)stock[1 + i], &region, &unit) == POOL_OK) pool_put_back(pool, region, unit);
  }
  memmove(stock + 1, stock + 1 + gone, keep * sizeof *stock);
  stock[0] = (int32_t)keep;
}

void pool_unstock(struct holder *holder, unsigned class, unsigned keep) {
  if (class >= STOCK_CLASSES) return;
  lock_acquire(&holder->pool->lock);
  unstock(holder, class, keep);
  wait_grant(holder->pool);
  size_t freed = holder->pool->freed_bytes;
  lock_release(&holder->pool->lock);
  if (freed >= BACKGROUND_THRESHOLD) purge_notice();
}

void stock_flush(struct holder *holder) {
  for (unsigned class = 0; class < STOCK_CLASSES; class++) unstock(holder, class, 0);
}

#if defined(__x86_64__)
/* Let no thread of the process be in the middle of what it is doing: what each has written is seen here, and each sees what
 * was written here. Returns 0 where the kernel cannot. */
static int meet_all_threads(void) {
  static int registered;
  if (registered == 0)
    registered = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 ? 1 : -1;
  return registered > 0 && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}
#else
/* A weaker order of stores than x86's would let HEAD_BUSY be seen as 0 too early. */
static int meet_all_threads(void) { return 0; }
#endif

static int has_stock(const struct holder *holder) {
  for (unsigned class = 0; class < STOCK_CLASSES; class++)
    if (__atomic_load_n(stock_of(holder, class), __ATOMIC_RELAXED) != 0) return 1;
  return 0;
}

/* Take the other threads' stocks away. A thread writes HEAD_BUSY before it looks at its word and clears it when it has taken
 * or put a place, all without atomic operations. The word is changed first; once all threads have met, one that is not busy
 * will see it before it touches its stock. One that is busy gives its stock back itself when it is told. */
int stock_rob(struct pool *pool, struct holder *robber) {
  int found = 0;
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next) {
    if (holder == robber || holder->robbed || holder->epoch != pool->epoch || !has_stock(holder)) continue;
    holder->robbed = 1;
    pool_write_word(pool, holder);
    found = 1;
  }
  if (!found) return 0;
  size_t before = pool->used_bytes;
  int met = meet_all_threads();
  for (struct holder *holder = pool->holders; holder != NULL; holder = holder->next) {
    if (holder == robber || !holder->robbed || !has_stock(holder)) continue;
    if (met && __atomic_load_n(&holder->stock[HEAD_BUSY], __ATOMIC_RELAXED) == 0) {
      stock_flush(holder);
    } else if (holder->notify != NULL) {
      holder->notify(holder->context);
    }
  }
  return pool->used_bytes < before;
}

void pool_sync(struct holder *holder) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  if (holder->robbed) {
    holder->robbed = 0;
    if (holder->epoch == pool->epoch) stock_flush(holder);
    pool_write_word(pool, holder);
    wait_grant(pool);
  }
  if (holder->epoch != pool->epoch) {
    holder->epoch = pool->epoch;
    if (pool->keeps_own) {
      stock_flush(holder);
    } else {
      for (unsigned class = 0; class < STOCK_CLASSES; class++) stock_of(holder, class)[0] = 0;
    }
  }
  if (pool->waiters.first != NULL) {
    stock_flush(holder);
    wait_grant(pool);
  }
  lock_release(&pool->lock);
}

void pool_flush(struct holder *holder) {
  lock_acquire(&holder->pool->lock);
  stock_flush(holder);
  wait_grant(holder->pool);
  lock_release(&holder->pool->lock);
}
