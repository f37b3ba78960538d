/* pool_inside.h: what pool.c and its checker know of a pool and nobody else does. */
#ifndef BM_POOL_INSIDE_H
#define BM_POOL_INSIDE_H

#include "include/buddymalloc.h"
#include "pool.h"

#define RANDOM_TAGS 64u

/* A block on its way from one thread to another. */
struct transit {
  size_t size; /* what the sender said of it */
  uint32_t place;
  uint32_t tag;         /* drawn at random, so that a handle cannot be guessed and a stale one not be taken for the next */
  uint32_t next_vacant; /* index + 1 of the next entry that is vacant, or 0 */
  uint32_t waits;       /* 1 if the entry is not vacant */
};

struct waiters {
  struct waiter *first, *last;
};

struct pool {
  struct lock lock;
  uint32_t dead;     /* 1 once destroyed */
  uint32_t epoch;    /* times that everything was freed at once */
  unsigned region_order, unit_bits;
  uint32_t most_regions, region_top; /* numbers are below both */
  size_t limit, alignment;
  uint64_t references; /* holders and openings: the pool is unmapped with the last */
  uint64_t region_count, holder_count, used_blocks, transit_blocks, shared_blocks, waiting, alloc_requests, free_requests,
      purged_bytes;
  size_t mapped_bytes, ordinary_bytes, meta_bytes, used_bytes, doomed_bytes;
  struct holder *holders;
  struct waiters waiters;
  struct transit *transit;
  uint32_t transit_room, vacant; /* entries; index + 1 of the first vacant one, or 0 */
  uint32_t random_left, tag_counter;
  uint32_t random[RANDOM_TAGS];
  struct region *regions[MOST_REGIONS];
  uint64_t with_free[REGION_LEVELS][MOST_REGIONS / 64];
};

struct region *pool_region_of(const struct pool *pool, uint32_t place);

#endif
