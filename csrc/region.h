/* region.h: one mapping of a pool, and the buddy system in it.
 *
 * What is known of the blocks lies beside the memory, never in it: JavaScript may write anything into memory that it
 * has freed. Numbers are in units of 64 bytes from the region's base. */
#ifndef BM_REGION_H
#define BM_REGION_H

#include "bitmap.h"
#include "os.h"

#define UNIT_ORDER 6u /* log2 bytes: the smallest block is a cache line, so that no two threads' blocks share one */
#define UNIT_BYTES ((size_t)1 << UNIT_ORDER)
#define REGION_ORDER_MIN 16u /* log2 bytes */
#define REGION_ORDER_MAX 30u /* log2 bytes: an ArrayBuffer may be longer, but Node 20 collects slowly from here on */
#define REGION_LEVELS (REGION_ORDER_MAX - UNIT_ORDER + 1)

/* A size of blocks: 2^level units, or so many eighths of that (5 to 8). */
struct fit {
  uint8_t level;
  uint8_t eighths;
};

struct region {
  char *base;      /* aligned to the region's size, or to the page if `alone` */
  size_t bytes;    /* a multiple of the OS page */
  uint8_t *used;   /* by unit: 0, or what begins there; see region_fit() */
  uint16_t *owner; /* by unit, where a used block begins: the pool's word for whose it is */
  uint64_t *dirty; /* by OS page: a bit, 1 if a block has lain there since the page was last purged */
  struct bitmap free[REGION_LEVELS]; /* by level: number of the block, which is its unit >> level */
  uint32_t free_count[REGION_LEVELS];
  uint32_t nonempty;    /* bit l: free_count[l] is not 0 */
  uint32_t used_blocks;
  uint32_t openings;    /* ArrayBuffers over it that may still be reached */
  uint32_t number;      /* in its pool */
  uint32_t top;         /* level of the whole region */
  uint32_t alone;       /* 1 if it holds one block larger than a region; then no arrays but of one unit */
  uint32_t dirty_pages; /* bits in `dirty` */
  uint32_t idle;        /* 1 if it was free when the pool was last trimmed, and is since */
  uint32_t huge;        /* 1 if it asked for huge pages */
  uint32_t doomed;      /* 1 if it is to be unmapped when `openings` is 0 */
  size_t used_bytes;
  size_t meta_bytes;    /* of this struct and its arrays */
  struct region *next;  /* among the doomed */
};

/* A new region of 2^order bytes, or for one block of `bytes`; NULL without memory. */
struct region *region_map(unsigned order);
struct region *region_map_alone(size_t bytes, size_t alignment);
void region_unmap(struct region *region);
/* Have what is not touched yet in huge pages, where the system has them. */
void region_use_huge_pages(struct region *region);

/* The smallest fit for a request. Requires: bytes <= 2^REGION_ORDER_MAX. */
struct fit region_fit_of(size_t bytes);
static inline size_t region_fit_bytes(struct fit fit) { return (UNIT_BYTES << fit.level) / 8 * fit.eighths; }

/* Take a block whose unit is a multiple of 2^align_level; returns its unit. Requires: region_has(). */
uint32_t region_take(struct region *region, struct fit fit, unsigned align_level);
static inline int region_has(const struct region *region, unsigned level) { return region->nonempty >> level != 0; }
/* The levels at which a block of `fit` is found. */
static inline unsigned region_level_for(struct fit fit, unsigned align_level) {
  return fit.level > align_level ? fit.level : align_level;
}
/* Give back the used block at `unit`. */
void region_give(struct region *region, uint32_t unit);
/* Change the used block at `unit` where it is; 0 if there is no room. */
int region_resize(struct region *region, uint32_t unit, struct fit fit);
/* 1 if a used block begins at `unit`. */
static inline int region_is_block(const struct region *region, uint32_t unit) {
  return unit < (region->alone ? 1u : 1u << region->top) && region->used[unit] != 0;
}
struct fit region_fit(const struct region *region, uint32_t unit);
size_t region_block_bytes(const struct region *region, uint32_t unit);
/* Everything free. */
void region_reset(struct region *region);
/* The unit of the next used block from `unit` on, or UINT32_MAX. */
uint32_t region_next_used(const struct region *region, uint32_t unit);
/* Give pages of free blocks back to the system until it is `most` bytes or a block more; returns the bytes given. */
size_t region_purge(struct region *region, size_t most);

#endif
