/* pool_transit.c: blocks that belong to no thread: those on their way to another, and shared ones.
 *
 * Owner:     pool->lock.
 * Invariant: T1  an entry is on the list of vacant ones if and only if it is not taken.
 *            T2  a handle is an entry's index and the tag that this use of the entry was given; the tag is drawn at random, so
 *                that a handle cannot be guessed and a stale one not be taken for its successor. */
#define _GNU_SOURCE
#include "pool_inside.h"

#include <string.h>
#include <sys/random.h>

#define TRANSIT_BITS 21u

/* Without the system's randomness a counter still tells a stale handle. */
uint32_t transit_random(struct pool *pool) {
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

/* Take the block from its holder and give it a handle. */
static enum pool_status deposit(struct holder *holder, uint32_t place, size_t size, uint16_t owner, uint64_t *handle) {
  struct pool *pool = holder->pool;
  struct region *region;
  uint32_t unit;
  enum pool_status status = pool_find(holder, place, &region, &unit);
  if (status == POOL_OK && pool->vacant == 0 && !grow_transit(pool)) status = POOL_NO_MEMORY;
  if (status != POOL_OK) return status;
  uint32_t index = pool->vacant - 1;
  struct transit *transit = &pool->transit[index];
  pool->vacant = transit->next_vacant;
  *transit = (struct transit){size, place, transit_random(pool), 0, owner == OWNER_SHARED, os_now_ms(), 1};
  region->owner[unit] = owner;
  *(owner == OWNER_SHARED ? &pool->shared_blocks : &pool->transit_blocks) += 1;
  *handle = (uint64_t)transit->tag << TRANSIT_BITS | (index + 1);
  return POOL_OK;
}

void transit_vacate(struct pool *pool, struct transit *transit) {
  *(pool_region_of(pool, transit->place)->owner[pool_unit_of(pool, transit->place)] == OWNER_SHARED ? &pool->shared_blocks
                                                                                                : &pool->transit_blocks) -= 1;
  transit->taken = 0;
  transit->next_vacant = pool->vacant;
  pool->vacant = (uint32_t)(transit - pool->transit) + 1;
}

/* What waits under the handle, or NULL. */
static struct transit *transit_of(struct pool *pool, uint64_t handle) {
  uint64_t index = (handle & ((1u << TRANSIT_BITS) - 1)) - 1;
  if (index >= pool->transit_room) return NULL;
  struct transit *transit = &pool->transit[index];
  return transit->taken && transit->tag == handle >> TRANSIT_BITS ? transit : NULL;
}

enum pool_status pool_handover(struct holder *holder, uint32_t place, size_t size, uint64_t *handle) {
  lock_acquire(&holder->pool->lock);
  enum pool_status status = deposit(holder, place, size, OWNER_NOBODY, handle);
  lock_release(&holder->pool->lock);
  return status;
}

enum pool_status pool_adopt(struct holder *holder, uint64_t handle, uint32_t *place, size_t *size) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  enum pool_status status = pool_look(holder);
  struct transit *transit = status == POOL_OK ? transit_of(pool, handle) : NULL;
  if (status == POOL_OK && (transit == NULL || transit->users > 0)) status = POOL_STALE;
  if (status == POOL_OK) {
    *place = transit->place;
    *size = transit->size;
    transit_vacate(pool, transit);
    pool_region_of(pool, *place)->owner[pool_unit_of(pool, *place)] = holder->number;
  }
  lock_release(&pool->lock);
  return status;
}

enum pool_status pool_share(struct holder *holder, uint32_t place, size_t size, uint64_t *handle) {
  lock_acquire(&holder->pool->lock);
  enum pool_status status = deposit(holder, place, size, OWNER_SHARED, handle);
  lock_release(&holder->pool->lock);
  return status;
}

enum pool_status pool_use_shared(struct pool *pool, uint64_t handle, uint32_t *place, size_t *size) {
  lock_acquire(&pool->lock);
  enum pool_status status = pool->dead ? POOL_DEAD : POOL_STALE;
  struct transit *transit = pool->dead ? NULL : transit_of(pool, handle);
  if (transit != NULL && transit->users > 0 && transit->users < UINT32_MAX) {
    transit->users++;
    *place = transit->place;
    *size = transit->size;
    status = POOL_OK;
  }
  lock_release(&pool->lock);
  return status;
}

void pool_leave_shared(struct pool *pool, uint64_t handle) {
  lock_acquire(&pool->lock);
  struct transit *transit = transit_of(pool, handle);
  if (transit != NULL && transit->users > 0 && --transit->users == 0) {
    uint32_t place = transit->place;
    transit_vacate(pool, transit);
    pool_drop(pool, pool_region_of(pool, place), pool_unit_of(pool, place));
    wait_grant(pool);
  }
  lock_release(&pool->lock);
}

size_t pool_reclaim(struct pool *pool, uint32_t age) {
  size_t count = 0;
  uint32_t now = os_now_ms();
  lock_acquire(&pool->lock);
  for (uint32_t index = 0; index < pool->transit_room; index++) {
    struct transit *transit = &pool->transit[index];
    if (!transit->taken || transit->users > 0 || now - transit->since < age) continue;
    uint32_t place = transit->place;
    transit_vacate(pool, transit);
    pool_drop(pool, pool_region_of(pool, place), pool_unit_of(pool, place));
    count++;
  }
  wait_grant(pool);
  lock_release(&pool->lock);
  return count;
}
