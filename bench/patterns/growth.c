/* growth.c: how the cost of an operation moves as something grows: one point of a
 * curve per run, or, for age, the whole curve. */
#include "common.h"

#include <stdlib.h>

/* Random replacement of small objects in a live set of `bytes`. */
static void run_live_set(void) {
  size_t bytes = param("bytes", 64 * MIB);
  size_t live = bytes / 264;
  size_t count = scaled(param("count", 4000000));
  struct rng rng = rng_of(live);
  void **blocks = table_map(live * sizeof *blocks);
  for (size_t i = 0; i < live; i++) blocks[i] = take(16 + rng_below(&rng, 497));
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t i = 0; i < count; i++) {
    size_t at = rng_below(&rng, live);
    free(blocks[at]);
    blocks[at] = take(16 + rng_below(&rng, 497));
  }
  out_cost(count, start_cpu_ns);
  out_bytes("rss_now", rss_bytes() - live * sizeof *blocks);
}

/* A ring of blocks of one size, the first byte written: the cost of the block itself. */
static void run_block_size(void) {
  size_t size = param("size", 64);
  size_t live = size < 8 * MIB ? 64 : 512 * MIB / size;
  size_t count = scaled(param("count", size <= 32 * KIB ? 10000000 : 40000 + 60 * GIB / size));
  void **blocks = table_map(live * sizeof *blocks);
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t i = 0; i < count; i++) {
    free(blocks[i % live]);
    blocks[i % live] = take(size);
  }
  out_cost(count, start_cpu_ns);
  for (size_t i = 0; i < live; i++) free(blocks[i]);
}

#define AGE_POINTS 40

/* Random replacement for long, with sizes that drift, in a live set that stays the
 * same in bytes: cost and resident memory at 40 moments of the process's life. */
static void run_age(void) {
  size_t bytes = param("bytes", 64 * MIB);
  size_t count = scaled(param("count", 30000000)) / AGE_POINTS;
  size_t room = bytes / 16;
  struct rng rng = rng_of(room);
  void **blocks = table_map(room * sizeof *blocks);
  uint32_t *sizes = table_map(room * sizeof *sizes);
  size_t before = rss_bytes();
  size_t live_bytes = 0;
  size_t live = 0;
  double costs[AGE_POINTS];
  double rss[AGE_POINTS];
  uint64_t all_start_cpu_ns = cpu_ns();
  for (size_t point = 0; point < AGE_POINTS; point++) {
    /* The middle size wanders from small to large and back, four times in a life. */
    size_t phase = point % (AGE_POINTS / 4);
    size_t high = 64ul << (phase < 5 ? phase : 9 - phase);
    uint64_t start_cpu_ns = cpu_ns();
    for (size_t i = 0; i < count; i++) {
      while (live > 0 && (live_bytes >= bytes || live == room)) {
        size_t at = rng_below(&rng, live);
        free(blocks[at]);
        live_bytes -= sizes[at];
        live--;
        blocks[at] = blocks[live];
        sizes[at] = sizes[live];
      }
      size_t size = rng_size_log(&rng, 16, high * 2);
      blocks[live] = take(size);
      sizes[live++] = (uint32_t)size;
      live_bytes += size;
    }
    costs[point] = (double)(cpu_ns() - start_cpu_ns) / (double)count;
    rss[point] = (double)(rss_bytes() - before) / (double)live_bytes;
  }
  out_cost(count * AGE_POINTS, all_start_cpu_ns);
  out_series("ns_by_age", costs, AGE_POINTS);
  out_series("rss_per_live_by_age", rss, AGE_POINTS);
  out_bytes("rss_peak", rss_peak_bytes());
}

const struct pattern growth_patterns[] = {
    {"live-set", "replacement in a live set of small objects: bytes", run_live_set},
    {"block-size", "a ring of blocks of one size: size", run_block_size},
    {"age", "replacement for long with sizes that drift: bytes", run_age},
    {NULL, NULL, NULL},
};
