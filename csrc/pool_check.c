/* pool_check.c: the numbered invariants of region.c and pool.c, verified one by one, for tests. */
#include "pool.h"

#include "pool_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static int violations;

static void expect(int holds, const char *invariant, uint64_t where) {
  if (holds) return;
  char line[160];
  int length = snprintf(line, sizeof line, "buddymalloc: violated: %s: 0x%" PRIx64 "\n", invariant, where);
  violations++;
  if (length > 0) {
    ssize_t written = write(STDERR_FILENO, line, (size_t)length);
    (void)written;
  }
}

/* The level of the free block that begins at the unit, or -1. */
static int free_level_at(const struct region *region, uint32_t unit) {
  for (unsigned level = 0; level <= region->top; level++)
    if ((unit & ((1u << level) - 1)) == 0 && bitmap_has(&region->free[level], unit >> level)) return (int)level;
  return -1;
}

static void check_region(const struct pool *pool, const struct region *region, size_t *used_bytes, uint64_t *used_blocks) {
  uint64_t where = (uint64_t)region->number << 32;
  size_t bytes = 0;
  uint32_t blocks = 0, free_count[REGION_LEVELS] = {0};
  uint32_t units = 1u << region->top;
  for (uint32_t unit = 0; unit < units;) {
    int level = free_level_at(region, unit);
    if (region->used[unit] != 0) {
      expect(level < 0, "N1 a unit lies in one block", where | unit);
      bytes += region_block_bytes(region, unit);
      blocks++;
      unit += (uint32_t)(region_block_bytes(region, unit) >> UNIT_ORDER);
    } else if (level >= 0) {
      free_count[level]++;
      uint32_t buddy = (unit >> level) ^ 1u;
      expect((unsigned)level == region->top || !bitmap_has(&region->free[level], buddy), "N2 no free block has a free buddy",
             where | unit);
      uint32_t next = unit + (1u << level);
      while (++unit < next) expect(region->used[unit] == 0, "N3 a used block is marked where it begins", where | unit);
    } else {
      expect(0, "N1 a unit lies in one block", where | unit);
      unit++;
    }
  }
  for (unsigned level = 0; level <= region->top; level++) {
    expect(free_count[level] == region->free_count[level], "N4 free blocks are counted", where | level);
    expect((region->nonempty >> level & 1) == (free_count[level] > 0), "N4 the bit of a level", where | level);
    expect((pool->with_free[level][region->number >> 6] >> (region->number & 63) & 1) == (free_count[level] > 0),
           "Q2 the pool knows where free blocks are", where | level);
  }
  expect(bytes == region->used_bytes && blocks == region->used_blocks, "N4 used blocks are counted", where);
  *used_bytes += bytes;
  *used_blocks += blocks;
}

static void check_owners(const struct pool *pool, const struct region *region, uint64_t *nobody, uint64_t *shared) {
  for (uint32_t unit = 0; (unit = region_next_used(region, unit)) != UINT32_MAX; unit++) {
    uint16_t owner = region->owner[unit];
    const struct holder *holder = pool->holders;
    while (holder != NULL && holder->number != owner) holder = holder->next;
    if (owner == OWNER_NOBODY) ++*nobody;
    if (owner == OWNER_SHARED) ++*shared;
    expect(owner == OWNER_NOBODY || owner == OWNER_SHARED || holder != NULL, "Q3 a used block has an owner",
           (uint64_t)region->number << 32 | unit);
  }
}

static void check_inboxes(const struct pool *pool) {
  for (const struct inbox *inbox = pool->inboxes; inbox != NULL; inbox = inbox->next) {
    for (uint32_t i = 0; i < inbox->count; i++) {
      uint32_t place = inbox->ring[(inbox->first + i) & (inbox->room - 1)].place, unit = pool_unit_of(pool, place);
      const struct region *region = pool_region_of(pool, place);
      expect(region != NULL && region_is_block(region, unit) && region->owner[unit] == inbox->holder->number,
             "I1 what was sent is a block of the receiver's", place);
    }
    expect(inbox->count == 0 || inbox->told, "I2 the receiver was told", inbox->count);
  }
}

int pool_check(struct pool *pool) {
  size_t used_bytes = 0, mapped = 0, ordinary = 0;
  uint64_t used_blocks = 0, nobody = 0, shared = 0;
  lock_acquire(&pool->lock);
  violations = 0;
  for (uint32_t number = 0; number < MOST_REGIONS; number++) {
    const struct region *region = pool->regions[number];
    if (region == NULL) continue;
    mapped += region->bytes;
    if (region->alone) {
      used_bytes += region->bytes;
      used_blocks++;
    } else {
      ordinary += region->bytes;
      check_region(pool, region, &used_bytes, &used_blocks);
    }
    check_owners(pool, region, &nobody, &shared);
  }
  check_inboxes(pool);
  expect(used_bytes == pool->used_bytes && used_blocks == pool->used_blocks, "Q1 the sum of the regions'", used_bytes);
  expect(pool->used_bytes <= pool->limit, "Q1 the limit", pool->used_bytes);
  expect(nobody == pool->transit_blocks, "Q3 blocks of nobody are on their way", nobody);
  expect(shared == pool->shared_blocks, "Q3 shared blocks are counted", shared);
  expect(mapped == pool->mapped_bytes && ordinary == pool->ordinary_bytes, "Q4 the mapped bytes", mapped);
  int result = violations;
  lock_release(&pool->lock);
  return result;
}
