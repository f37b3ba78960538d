/* pool_inside.h: what pool.c and its checker know of a pool and nobody else does. */
#ifndef BM_POOL_INSIDE_H
#define BM_POOL_INSIDE_H

#include "include/buddymalloc.h"
#include "pool.h"

#define RANDOM_TAGS 64u

/* A block on its way from one thread to another, or a shared one. */
struct transit {
  size_t size; /* what the sender said of it */
  uint32_t place;
  uint32_t tag;         /* drawn at random, so that a handle cannot be guessed and a stale one not be taken for the next */
  uint32_t next_vacant; /* index + 1 of the next entry that is vacant, or 0 */
  uint32_t users;       /* of a shared block; 0 for one that is on its way */
  uint32_t since;       /* os_now_ms() when it was handed over */
  uint32_t taken;       /* 1 if the entry is not vacant */
};

/* A block that was sent to a thread, which has not taken it in yet. */
struct arrival {
  double note; /* what the sender said with it */
  size_t size; /* what the sender said of the block */
  uint32_t place;
};

struct inbox {
  struct inbox *next; /* among its pool's */
  struct holder *holder;
  uint64_t address;
  struct arrival *ring;
  uint32_t room, first, count; /* entries, 0 or a power of two; the index of the oldest arrival; how many there are */
  uint32_t told; /* 1 if the holder was notified since it last found the inbox empty */
};

struct waiters {
  struct waiter *first, *last;
};

struct pool {
  struct lock lock;
  uint32_t dead;     /* 1 once destroyed */
  uint32_t keeps_own, fills_freed; /* see pool_options */
  unsigned char freed_byte;
  uint32_t epoch;    /* times that everything was freed at once */
  unsigned region_order, unit_bits;
  uint32_t most_regions, region_top; /* numbers are below both */
  size_t limit, alignment;
  uint64_t references; /* holders and openings: the pool is unmapped with the last */
  uint64_t stranded; /* openings that will never be closed */
  uint64_t region_count, holder_count, used_blocks, transit_blocks, shared_blocks, waiting, alloc_requests, free_requests,
      purged_bytes;
  size_t mapped_bytes, ordinary_bytes, meta_bytes, used_bytes, doomed_bytes;
  size_t used_peak;   /* the most of used_bytes since the last look of pool_decay.c */
  size_t freed_bytes; /* freed since, or in use for a part of that time only */
  uint32_t decayed;   /* os_now_ms() of that look; pools.lock */
  struct pool *next;  /* pools.lock */
  struct holder *holders;
  struct waiters waiters;
  struct inbox *inboxes;
  uint32_t inbox_count; /* ever opened */
  struct transit *transit;
  uint32_t transit_room, vacant; /* entries; index + 1 of the first vacant one, or 0 */
  uint32_t random_left, tag_counter;
  uint32_t random[RANDOM_TAGS];
  struct region *regions[MOST_REGIONS];
  uint64_t with_free[REGION_LEVELS][MOST_REGIONS / 64];
};

/* The caller of each function below holds the pool's lock, but of pool_unmap(). */

struct region *pool_region_of(const struct pool *pool, uint32_t place);
static inline uint32_t pool_unit_of(const struct pool *pool, uint32_t place) { return place & ((1u << pool->unit_bits) - 1); }

/* Tell a thread, or all, by their words what has happened. */
void pool_write_word(struct pool *pool, struct holder *holder);
void pool_write_words(struct pool *pool);
/* Whether the holder's thread may go on as if nothing had happened: POOL_OK, POOL_DEAD or POOL_BEHIND. */
enum pool_status pool_look(const struct holder *holder);
/* The holder's own block at a place. */
enum pool_status pool_find(struct holder *holder, uint32_t place, struct region **region, uint32_t *unit);
/* Take a block and put one back, without a look at those that wait. */
enum pool_status pool_cut(struct pool *pool, uint16_t owner, size_t size, size_t alignment, uint32_t *place);
void pool_put_back(struct pool *pool, struct region *region, uint32_t unit);
/* Put a block back that the thread which had it has not filled as the pool's options want it. */
void pool_drop(struct pool *pool, struct region *region, uint32_t unit);
void pool_uninstall(struct pool *pool, struct region *region);
/* Unmap whole free regions that nobody has open; purge the pages of free blocks. Bytes given back. */
size_t pool_drop_empty(struct pool *pool);
size_t pool_purge_all(struct pool *pool);
/* Nobody refers to the pool any more. */
void pool_unmap(struct pool *pool);

/* Serve those that wait, in turn, while there is room for the first. */
void wait_grant(struct pool *pool);
/* Everything was freed, also what was granted and not heard of yet: such requests wait again, before all others. */
void wait_recall(struct pool *pool);
/* Take a holder's request off the list, of this id or any; NULL if there is none. */
struct waiter *wait_unlink(struct pool *pool, const struct holder *holder, const double *id);

static inline int32_t *stock_of(const struct holder *holder, unsigned class) {
  return holder->stock + STOCK_HEAD + class * STOCK_STRIDE;
}
/* Give the whole stock back. */
void stock_flush(struct holder *holder);
/* The same for all holders but one, as far as their threads let it be taken; 1 if anything was. */
int stock_rob(struct pool *pool, struct holder *robber);

/* Note that so many bytes were freed. Put the pool on the list of those that decay, and take it off: without its lock. */
void decay_count(struct pool *pool, size_t bytes);
void decay_enlist(struct pool *pool);
void decay_strike(struct pool *pool);

void transit_vacate(struct pool *pool, struct transit *transit);
/* 32 bits that nobody can guess. */
uint32_t transit_random(struct pool *pool);

/* Forget what was sent and not taken in; with `give`, those blocks are free. */
void inbox_clear_all(struct pool *pool, int give);
/* Take the holder's inboxes off the pool, and return them to be freed without its lock. Their blocks are the holder's. */
struct inbox *inbox_unlink_all(struct pool *pool, const struct holder *holder);
void inbox_free(struct inbox *inbox);
/* Until nobody is about to notify a holder that has no inbox any more: without the lock. */
void inbox_wait_for_notifiers(const struct holder *holder);

#endif
