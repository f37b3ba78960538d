/* region.c: one mapping of a pool, and the buddy system in it.
 *
 * Owner:     the pool's lock guards every function here.
 * Invariant: N1  every unit of a region lies in exactly one free or used block.
 *            N2  a free block of level l starts at a multiple of 2^l and has no free buddy of its own level.
 *            N3  used[unit] is not 0 if and only if a used block begins at the unit.
 *            N4  free_count, nonempty, used_blocks and used_bytes agree with the maps.
 * Cost:      take and give are O(levels), without a system call. */
#include "region.h"

#include "config.h"
#include "options.h"

#include <string.h>

/* A used block in a byte: the level above zero in five bits, the eighths less five in two, and one bit that is always set. */
static uint8_t code_of(struct fit fit) { return (uint8_t)(0x80u | (unsigned)(fit.eighths - 5) << 5 | fit.level); }

struct fit region_fit(const struct region *region, uint32_t unit) {
  unsigned code = region->used[unit];
  return (struct fit){(uint8_t)(code & 31), (uint8_t)((code >> 5 & 3) + 5)};
}

size_t region_block_bytes(const struct region *region, uint32_t unit) {
  return region->alone ? region->bytes : region_fit_bytes(region_fit(region, unit));
}

struct fit region_fit_of(size_t bytes) {
  size_t units = bytes == 0 ? 1 : (bytes + UNIT_BYTES - 1) >> UNIT_ORDER;
  unsigned level = units == 1 ? 0 : 64u - (unsigned)__builtin_clzll(units - 1);
  struct fit fit = {(uint8_t)level, 8};
  if (level < 3) return fit;
  size_t eighth = (size_t)1 << (level - 3);
  while (units <= eighth * (fit.eighths - 1u)) fit.eighths--;
  return fit;
}

/* `bytes` of addresses, the first a multiple of `alignment`. */
static char *map_aligned(size_t bytes, size_t alignment) {
  if (alignment <= OS_PAGE) return os_map(bytes);
  size_t room = bytes + alignment;
  if (room < bytes) return NULL;
  char *start = os_map(room);
  if (start == NULL) return NULL;
  size_t before = -(uintptr_t)start & (alignment - 1);
  if (before > 0) os_unmap(start, before);
  if (alignment > before) os_unmap(start + before + bytes, alignment - before);
  return start + before;
}

static size_t rounded(size_t bytes) { return (bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1); }

static struct region *map_with(size_t bytes, size_t alignment, size_t units, unsigned top) {
  size_t pages = bytes / OS_PAGE, words = 0;
  for (unsigned level = 0; units > 1 && level <= top; level++) words += bitmap_words(units >> level);
  size_t meta = os_round_up(rounded(sizeof(struct region)) + rounded(units * sizeof(uint8_t)) +
                            rounded(units * sizeof(uint16_t)) + rounded((pages + 63) / 64 * 8) + words * 8);
  char *place = os_map(meta);
  if (place == NULL) return NULL;
  struct region *region = (struct region *)(void *)place;
  region->base = map_aligned(bytes, alignment);
  if (region->base == NULL) {
    os_unmap(place, meta);
    return NULL;
  }
  if (options.dontdump) os_dontdump(region->base, bytes);
  region->bytes = bytes;
  region->meta_bytes = meta;
  region->top = top;
  place += rounded(sizeof(struct region));
  region->used = (uint8_t *)place;
  place += rounded(units * sizeof(uint8_t));
  region->owner = (uint16_t *)(void *)place;
  place += rounded(units * sizeof(uint16_t));
  region->dirty = (uint64_t *)(void *)place;
  place += rounded((pages + 63) / 64 * 8);
  for (unsigned level = 0; units > 1 && level <= top; level++) {
    bitmap_init(&region->free[level], (uint64_t *)(void *)place, units >> level);
    place += bitmap_words(units >> level) * 8;
  }
  return region;
}

static void put_free(struct region *region, uint32_t unit, unsigned level) {
  bitmap_put(&region->free[level], unit >> level);
  if (region->free_count[level]++ == 0) region->nonempty |= 1u << level;
}

static void drop_free(struct region *region, uint32_t unit, unsigned level) {
  bitmap_drop(&region->free[level], unit >> level);
  if (--region->free_count[level] == 0) region->nonempty &= ~(1u << level);
}

struct region *region_map(unsigned order) {
  unsigned top = order - UNIT_ORDER;
  struct region *region = map_with((size_t)1 << order, (size_t)1 << order, (size_t)1 << top, top);
  if (region != NULL) put_free(region, 0, top);
  return region;
}

struct region *region_map_alone(size_t bytes, size_t alignment) {
  struct region *region = map_with(os_round_up(bytes), alignment, 1, 0);
  if (region == NULL) return NULL;
  region->alone = 1;
  region->used[0] = 0x80;
  region->used_blocks = 1;
  region->used_bytes = region->bytes;
  return region;
}

void region_use_huge_pages(struct region *region) {
  region->huge = 1;
  os_hugepages(region->base, region->bytes, 1);
}

void region_unmap(struct region *region) {
  os_unmap(region->base, region->bytes);
  os_unmap(region, region->meta_bytes);
}

/* From a free block of `level` that was taken off its list down to `wanted`, at the same unit. */
static void split(struct region *region, uint32_t unit, unsigned level, unsigned wanted) {
  while (level > wanted) {
    level--;
    put_free(region, unit + (1u << level), level);
  }
}

/* Give back what follows the fit's eighths. The rest of the block is in use, so nothing can be merged. */
static void give_tail(struct region *region, uint32_t unit, struct fit fit) {
  if (fit.eighths == 8) return;
  unsigned eighth = fit.level - 3u;
  if (fit.eighths != 6) put_free(region, unit + ((uint32_t)fit.eighths << eighth), eighth);
  if (fit.eighths != 7) put_free(region, unit + (6u << eighth), eighth + 1);
}

/* Merge upward while the buddy is free. */
static void merge(struct region *region, uint32_t unit, unsigned level) {
  while (level < region->top && bitmap_has(&region->free[level], (unit >> level) ^ 1u)) {
    drop_free(region, unit ^ (1u << level), level);
    unit &= ~(1u << level);
    level++;
  }
  put_free(region, unit, level);
}

/* 64 pages at a time: a page at a time was a quarter of what allocating and freeing 1 MiB cost. */
static void mark_dirty(struct region *region, uint32_t unit, struct fit fit) {
  size_t first = ((size_t)unit << UNIT_ORDER) / OS_PAGE;
  size_t last = (((size_t)unit << UNIT_ORDER) + region_fit_bytes(fit) - 1) / OS_PAGE;
  for (size_t page = first; page <= last; page = (page | 63) + 1) {
    uint64_t *word = &region->dirty[page >> 6];
    uint64_t bits = UINT64_MAX << (page & 63);
    if ((page | 63) > last) bits &= UINT64_MAX >> (63 - (last & 63));
    region->dirty_pages += (uint32_t)__builtin_popcountll(bits & ~*word);
    *word |= bits;
  }
}

static void mark_used(struct region *region, uint32_t unit, struct fit fit) {
  region->used[unit] = code_of(fit);
  region->used_blocks++;
  region->used_bytes += region_fit_bytes(fit);
  region->idle = 0;
  mark_dirty(region, unit, fit);
}

uint32_t region_take(struct region *region, struct fit fit, unsigned align_level) {
  unsigned wanted = region_level_for(fit, align_level);
  unsigned level = wanted + (unsigned)__builtin_ctz(region->nonempty >> wanted);
  uint32_t unit = bitmap_first(&region->free[level]) << level;
  drop_free(region, unit, level);
  split(region, unit, level, fit.level);
  give_tail(region, unit, fit);
  mark_used(region, unit, fit);
  return unit;
}

/* Free the units of the block, which its mark says nothing of any more. */
static void give_units(struct region *region, uint32_t unit, struct fit fit) {
  if (fit.eighths == 8) {
    merge(region, unit, fit.level);
    return;
  }
  unsigned eighth = fit.level - 3u;
  /* The smallest part first: it may merge with the tail, and the next part with both. */
  if (fit.eighths != 6) merge(region, unit + ((fit.eighths - 1u) << eighth), eighth);
  if (fit.eighths != 5) merge(region, unit + (4u << eighth), eighth + 1);
  merge(region, unit, fit.level - 1u);
}

static void unmark(struct region *region, uint32_t unit, struct fit fit) {
  region->used[unit] = 0;
  region->used_blocks--;
  region->used_bytes -= region_fit_bytes(fit);
}

void region_give(struct region *region, uint32_t unit) {
  struct fit fit = region_fit(region, unit);
  unmark(region, unit, fit);
  give_units(region, unit, fit);
}

/* The level of the free block that holds the unit. Requires: there is one. */
static unsigned level_around(const struct region *region, uint32_t unit) {
  unsigned level = 0;
  while (!bitmap_has(&region->free[level], unit >> level)) level++;
  return level;
}

/* Take the block of `fit` at `unit` out of the free block of `level` around it. */
static void take_at(struct region *region, uint32_t unit, unsigned level, struct fit fit) {
  uint32_t around = unit >> level << level;
  drop_free(region, around, level);
  while (level > fit.level) {
    level--;
    uint32_t upper = around + (1u << level);
    put_free(region, unit < upper ? upper : around, level);
    if (unit >= upper) around = upper;
  }
  give_tail(region, unit, fit);
  mark_used(region, unit, fit);
}

int region_resize(struct region *region, uint32_t unit, struct fit fit) {
  struct fit old = region_fit(region, unit);
  unmark(region, unit, old);
  give_units(region, unit, old);
  unsigned level = level_around(region, unit);
  int fits = level >= fit.level && (unit & ((1u << fit.level) - 1)) == 0;
  /* The parts of a block of eighths merge into one free block, unless its tail is in use. */
  if (fits) {
    take_at(region, unit, level, fit);
    return 1;
  }
  if (old.eighths == 8) {
    take_at(region, unit, level, old);
    return 0;
  }
  /* Its parts: each is free, whole or within a larger block. */
  unsigned eighth = old.level - 3u;
  take_at(region, unit, level_around(region, unit), (struct fit){(uint8_t)(old.level - 1), 8});
  unmark(region, unit, (struct fit){(uint8_t)(old.level - 1), 8});
  uint32_t part = unit + (4u << eighth);
  if (old.eighths != 5) {
    struct fit two = {(uint8_t)(eighth + 1), 8};
    take_at(region, part, level_around(region, part), two);
    unmark(region, part, two);
    part += 2u << eighth;
  }
  if (old.eighths != 6) {
    struct fit one = {(uint8_t)eighth, 8};
    take_at(region, part, level_around(region, part), one);
    unmark(region, part, one);
  }
  mark_used(region, unit, old);
  return 0;
}

void region_reset(struct region *region) {
  uint32_t unit = 0;
  while ((unit = region_next_used(region, unit)) != UINT32_MAX) region_give(region, unit);
}

uint32_t region_next_used(const struct region *region, uint32_t unit) {
  if (region->used_blocks == 0) return UINT32_MAX;
  uint32_t units = region->alone ? 1u : 1u << region->top;
  for (; unit < units; unit++) {
    if (region->used[unit] != 0) return unit;
    if ((unit & 7) != 0) continue;
    uint64_t eight;
    while (unit + 8 < units) {
      memcpy(&eight, region->used + unit, 8);
      if (eight != 0) break;
      unit += 8;
    }
    if (region->used[unit] != 0) return unit;
  }
  return UINT32_MAX;
}

static size_t purge_pages(struct region *region, size_t first, size_t count) {
  size_t purged = 0;
  for (size_t page = first; page < first + count;) {
    if ((region->dirty[page >> 6] >> (page & 63) & 1) == 0) {
      page++;
      continue;
    }
    size_t end = page;
    while (end < first + count && (region->dirty[end >> 6] >> (end & 63) & 1) != 0) end++;
    if (os_purge(region->base + page * OS_PAGE, (end - page) * OS_PAGE) != 0) return purged;
    for (size_t i = page; i < end; i++) region->dirty[i >> 6] &= ~((uint64_t)1 << (i & 63));
    region->dirty_pages -= (uint32_t)(end - page);
    purged += (end - page) * OS_PAGE;
    page = end;
  }
  return purged;
}

size_t region_purge(struct region *region, size_t most) {
  if (region->alone || region->dirty_pages == 0) return 0;
  size_t purged = 0;
  unsigned page_level = (unsigned)__builtin_ctzll(OS_PAGE) - UNIT_ORDER;
  /* The largest first: they are the least likely to be needed soon. */
  for (unsigned level = region->top + 1; level-- > page_level;) {
    uint32_t left = region->free_count[level];
    for (uint32_t word = 0; left > 0; word++) {
      for (uint64_t bits = region->free[level].rows[0][word]; bits != 0; bits &= bits - 1, left--) {
        if (purged >= most) return purged;
        size_t block = (size_t)word * 64 + (size_t)__builtin_ctzll(bits);
        purged += purge_pages(region, block << (level - page_level), (size_t)1 << (level - page_level));
      }
    }
  }
  return purged;
}
