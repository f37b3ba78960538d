/* pool_inbox.c: blocks that one thread sends to another, which hears of them without a message for each.
 *
 * Owner:     pool->lock. A block that was sent is the receiver's at once, so that whatever ends the receiver, or frees
 *            everything, frees it too.
 * Invariant: I1  an arrival is a used block whose owner is the inbox's holder.
 *            I2  the holder of an inbox that is not empty was notified since it last found it empty.
 * Cost:      sending looks at the pool's inboxes until it finds the address; taking in is O(1). A receiver that is awake
 *            costs the sender no system call. */
#include "pool_inside.h"

#include "purge.h"

#include <sched.h>

#define RING_ROOM 128u /* entries of the first ring: a page */
#define RING_ROOM_MOST (1u << 24)

static struct inbox *inbox_at(const struct pool *pool, uint64_t address) {
  struct inbox *inbox = pool->inboxes;
  while (inbox != NULL && inbox->address != address) inbox = inbox->next;
  return inbox;
}

static struct arrival *entry(const struct inbox *inbox, uint32_t index) {
  return &inbox->ring[(inbox->first + index) & (inbox->room - 1)];
}

static size_t ring_bytes(uint32_t room) { return os_round_up(room * sizeof(struct arrival)); }

/* By the system's own call: bm_malloc() may purge, which takes the pool's lock. */
static int grow(struct inbox *inbox) {
  uint32_t room = inbox->room == 0 ? RING_ROOM : inbox->room * 2;
  struct arrival *ring = room > RING_ROOM_MOST ? NULL : os_map(ring_bytes(room));
  if (ring == NULL) return 0;
  for (uint32_t i = 0; i < inbox->count; i++) ring[i] = *entry(inbox, i);
  if (inbox->ring != NULL) os_unmap(inbox->ring, ring_bytes(inbox->room));
  inbox->ring = ring;
  inbox->room = room;
  inbox->first = 0;
  return 1;
}

uint64_t pool_open_inbox(struct holder *holder) {
  struct pool *pool = holder->pool;
  struct inbox *inbox = bm_malloc(sizeof *inbox);
  if (inbox == NULL) return 0;
  lock_acquire(&pool->lock);
  /* The count tells two inboxes apart whatever the tag. */
  uint64_t address = (uint64_t)transit_random(pool) << 20 | (++pool->inbox_count & 0xfffff);
  *inbox = (struct inbox){pool->inboxes, holder, address, NULL, 0, 0, 0, 0};
  pool->inboxes = inbox;
  lock_release(&pool->lock);
  return address;
}

static void clear(struct pool *pool, struct inbox *inbox, int give) {
  for (uint32_t i = 0; give && i < inbox->count; i++) {
    uint32_t place = entry(inbox, i)->place;
    pool_drop(pool, pool_region_of(pool, place), pool_unit_of(pool, place));
  }
  inbox->count = 0;
}

void inbox_clear_all(struct pool *pool, int give) {
  for (struct inbox *inbox = pool->inboxes; inbox != NULL; inbox = inbox->next) clear(pool, inbox, give);
}

static void unlink_inbox(struct pool *pool, const struct inbox *inbox) {
  struct inbox **link = &pool->inboxes;
  while (*link != inbox) link = &(*link)->next;
  *link = inbox->next;
}

struct inbox *inbox_unlink_all(struct pool *pool, const struct holder *holder) {
  struct inbox *all = NULL;
  for (struct inbox *inbox = pool->inboxes, *next; inbox != NULL; inbox = next) {
    next = inbox->next;
    if (inbox->holder != holder) continue;
    unlink_inbox(pool, inbox);
    inbox->next = all;
    all = inbox;
  }
  return all;
}

void inbox_free(struct inbox *inbox) {
  if (inbox->ring != NULL) os_unmap(inbox->ring, ring_bytes(inbox->room));
  bm_free(inbox);
}

void pool_close_inbox(struct holder *holder, uint64_t address) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  struct inbox *inbox = inbox_at(pool, address);
  if (inbox != NULL && inbox->holder != holder) inbox = NULL;
  if (inbox != NULL) {
    clear(pool, inbox, 1);
    unlink_inbox(pool, inbox);
    wait_grant(pool);
  }
  size_t freed = pool->freed_bytes;
  lock_release(&pool->lock);
  if (inbox != NULL) inbox_free(inbox);
  if (freed >= BACKGROUND_THRESHOLD) purge_notice();
}

enum pool_status pool_send(struct holder *holder, uint32_t place, size_t size, double note, uint64_t address) {
  struct pool *pool = holder->pool;
  struct region *region;
  uint32_t unit;
  lock_acquire(&pool->lock);
  enum pool_status status = pool_find(holder, place, &region, &unit);
  struct inbox *inbox = status == POOL_OK ? inbox_at(pool, address) : NULL;
  if (status == POOL_OK && inbox == NULL) status = POOL_STALE;
  if (status == POOL_OK && inbox->count == inbox->room && !grow(inbox)) status = POOL_NO_MEMORY;
  struct holder *untold = NULL;
  if (status == POOL_OK) {
    struct holder *receiver = inbox->holder;
    region->owner[unit] = receiver->number;
    *entry(inbox, inbox->count++) = (struct arrival){note, size, place};
    if (!inbox->told && receiver->notify != NULL) untold = receiver;
    inbox->told = 1;
    if (untold != NULL) __atomic_fetch_add(&untold->notifiers, 1, __ATOMIC_RELAXED); /* under the lock */
  }
  lock_release(&pool->lock);
  if (untold != NULL) {
    /* Without the lock: the receiver wants it as soon as it wakes, which may be in this thread's place on its processor. */
    untold->notify(untold->context);
    /* release: what follows in inbox_wait_for_notifiers() comes after the call. */
    __atomic_fetch_sub(&untold->notifiers, 1, __ATOMIC_RELEASE);
  }
  return status;
}

void inbox_wait_for_notifiers(const struct holder *holder) {
  /* acquire: see pool_send(). It takes as long as another thread's system call. */
  while (__atomic_load_n(&holder->notifiers, __ATOMIC_ACQUIRE) != 0) sched_yield();
}

enum pool_status pool_receive(struct holder *holder, uint64_t address, uint32_t *place, size_t *size, double *note) {
  struct pool *pool = holder->pool;
  lock_acquire(&pool->lock);
  enum pool_status status = pool_look(holder);
  struct inbox *inbox = status == POOL_OK ? inbox_at(pool, address) : NULL;
  if (status == POOL_OK && (inbox == NULL || inbox->holder != holder)) status = POOL_STALE;
  if (status == POOL_OK && inbox->count == 0) {
    inbox->told = 0;
    status = POOL_NO_BLOCK;
  }
  if (status == POOL_OK) {
    const struct arrival *arrival = entry(inbox, 0);
    *place = arrival->place;
    *size = arrival->size;
    *note = arrival->note;
    inbox->first = (inbox->first + 1) & (inbox->room - 1);
    inbox->count--;
  }
  lock_release(&pool->lock);
  return status;
}
