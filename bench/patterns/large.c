/* large.c: blocks of many pages: kept and replaced, and grown by realloc.
 * Cost:      each runs 0.2 to 1 s, most of it in the system; `scale_percent` makes
 *            it shorter, but for realloc-step, whose length is its point. */
#include "common.h"

#include <stdlib.h>

#define LARGE_SLOTS 64

/* Blocks of 5 to 25 MiB kept and replaced at random, every page written. */
static void run_large(void) {
  size_t slots = param("slots", 20);
  if (slots > LARGE_SLOTS) die("at most 64 slots");
  size_t count = scaled(param("count", 80));
  size_t low = param("low", 5 * MIB);
  size_t high = param("high", 25 * MIB);
  void *blocks[LARGE_SLOTS] = {NULL};
  size_t sizes[LARGE_SLOTS] = {0};
  size_t live = 0;
  size_t live_peak = 0;
  struct rng rng = rng_of(slots);
  size_t rss_start = rss_bytes();
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t i = 0; i < count + slots; i++) {
    size_t at = i < slots ? i : rng_below(&rng, slots);
    free(blocks[at]);
    live -= sizes[at];
    sizes[at] = low + rng_below(&rng, high - low);
    blocks[at] = take(sizes[at]);
    touch(blocks[at], sizes[at]);
    live += sizes[at];
    if (live > live_peak) live_peak = live;
  }
  out_cost(count + slots, start_cpu_ns);
  out_bytes("live_peak", live_peak);
  out_bytes("rss_peak", rss_peak_bytes() - rss_start);
  out_number("rss_per_live", (double)(rss_peak_bytes() - rss_start) / (double)live_peak);
  for (size_t i = 0; i < slots; i++) free(blocks[i]);
}

/* Vectors that double until `max`, `vectors` of them side by side. */
static void run_realloc_double(void) {
  size_t vectors = param("vectors", 8);
  if (vectors > LARGE_SLOTS) die("at most 64 vectors");
  size_t max = param("max", MIB);
  size_t rounds = scaled(param("count", GIB / max)) / vectors + 1;
  void *blocks[LARGE_SLOTS] = {NULL};
  size_t operations = 0;
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t round = 0; round < rounds; round++) {
    for (size_t size = 16; size <= max; size *= 2) {
      for (size_t v = 0; v < vectors; v++) {
        char *grown = realloc(blocks[v], size);
        if (grown == NULL) die("realloc failed");
        touch(grown + size / 2, size / 2);
        blocks[v] = grown;
        operations++;
      }
    }
    for (size_t v = 0; v < vectors; v++) {
      free(blocks[v]);
      blocks[v] = NULL;
    }
  }
  out_cost(operations, start_cpu_ns);
}

/* One block that grows by `step` to `max`, the new part written. */
static void run_realloc_step(void) {
  size_t step = param("step", 64 * KIB);
  size_t max = param("max", 256 * MIB);
  char *block = NULL;
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t size = step; size <= max; size += step) {
    block = realloc(block, size);
    if (block == NULL) die("realloc failed");
    touch(block + size - step, step);
  }
  free(block);
  out_cost(max / step, start_cpu_ns);
}

/* Strings that grow a little at a time, many at once, as an editor's lines do. */
static void run_realloc_small(void) {
  size_t strings = param("strings", 2000);
  size_t count = scaled(param("count", 8000000));
  struct rng rng = rng_of(strings);
  char **blocks = table_map(strings * sizeof *blocks);
  uint32_t *sizes = table_map(strings * sizeof *sizes);
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t i = 0; i < count; i++) {
    size_t at = rng_below(&rng, strings);
    size_t size = sizes[at] + 1 + rng_below(&rng, 64);
    if (size > 4 * KIB) {
      free(blocks[at]);
      blocks[at] = NULL;
      sizes[at] = 0;
      continue;
    }
    char *grown = realloc(blocks[at], size);
    if (grown == NULL) die("realloc failed");
    grown[size - 1] = 1;
    blocks[at] = grown;
    sizes[at] = (uint32_t)size;
  }
  out_cost(count, start_cpu_ns);
  for (size_t i = 0; i < strings; i++) free(blocks[i]);
}

const struct pattern large_patterns[] = {
    {"large", "large blocks kept and replaced at random: slots, low, high", run_large},
    {"realloc-double", "vectors that double to max: vectors, max", run_realloc_double},
    {"realloc-step", "one block grown by step to max: step, max", run_realloc_step},
    {"realloc-small", "strings that grow a little at a time: strings", run_realloc_small},
    {NULL, NULL, NULL},
};
