/* pool_test.c: the memory pool's C heap, where its tests through the package do not reach. */
#include "harness.h"

#include "pool.h"

#define LIMIT ((size_t)1 << 20)

static struct pool *make_pool(void) {
  struct pool_options options = {.limit = LIMIT, .region_order = 17, .alignment = 64};
  struct pool *pool = pool_create(&options);
  CHECK(pool != NULL);
  return pool;
}

static struct holder *join(struct pool *pool) {
  struct holder *holder = pool_join(pool, NULL, NULL);
  CHECK(holder != NULL);
  return holder;
}

TEST("a request that was granted, but not heard of yet when everything is freed, is granted anew") {
  struct pool *pool = make_pool();
  struct holder *waits = join(pool), *resets = join(pool);
  uint32_t place, other;
  double id;
  enum pool_status status;
  CHECK_EQ(pool_wait(waits, 1, 1000, 0), POOL_OK); /* there is room: it is granted at once */
  pool_reset(pool);
  CHECK_EQ(pool_granted(waits, &id, &place, &status), 0); /* not before the thread has looked at its word */
  pool_sync(waits);
  pool_sync(resets);
  CHECK_EQ(pool_take(resets, 1000, 0, &other), POOL_OK);
  CHECK_EQ(pool_granted(waits, &id, &place, &status), 1);
  CHECK_EQ(status, POOL_OK);
  CHECK(place != other);
  CHECK_EQ(pool_check(pool), 0);
  CHECK_EQ(pool_give(waits, place), POOL_OK);
  CHECK_EQ(pool_give(resets, other), POOL_OK);
  CHECK_EQ(pool_leave(waits), 0);
  CHECK_EQ(pool_leave(resets), 1);
}

TEST("a request that was granted, but not heard of yet when the pool is destroyed, is refused") {
  struct pool *pool = make_pool();
  struct holder *holder = join(pool);
  uint32_t place;
  double id;
  enum pool_status status;
  CHECK_EQ(pool_wait(holder, 1, 1000, 0), POOL_OK);
  pool_destroy(pool);
  CHECK_EQ(pool_granted(holder, &id, &place, &status), 1);
  CHECK_EQ(status, POOL_DEAD);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST("a block of no bytes whose alignment is beyond a region has memory all the same") {
  struct pool *pool = make_pool();
  struct holder *holder = join(pool);
  uint32_t place;
  size_t bytes = 0;
  CHECK_EQ(pool_take(holder, 0, (size_t)1 << 19, &place), POOL_OK);
  char *memory = pool_memory(pool, place, &bytes);
  CHECK_EQ((uintptr_t)memory % ((size_t)1 << 19), 0);
  CHECK_GE(bytes, 1);
  memory[bytes - 1] = 1;
  CHECK_EQ(pool_give(holder, place), POOL_OK);
  CHECK_EQ(pool_leave(holder), 1);
}
