/* single.c: one thread, small to middling blocks: pairs, bursts, replacement.
 * Cost:      each runs 0.2 to 1 s; `scale_percent` makes it shorter. */
#include "common.h"

#include <stdlib.h>

/* malloc and free at once, one size. */
static void run_pair(void) {
  size_t size = param("size", 64);
  size_t count = scaled(param("count", size < 64 * KIB ? 30000000 : 500000));
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t i = 0; i < count; i++) free(take(size));
  out_cost(count, start_cpu_ns);
}

enum order { ORDER_LIFO, ORDER_FIFO, ORDER_RANDOM };

/* A random permutation of 0 to count - 1. */
static void shuffle(uint32_t *order, size_t count, struct rng *rng) {
  for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
  for (size_t i = count - 1; i > 0; i--) {
    size_t j = rng_below(rng, i + 1);
    uint32_t swap = order[i];
    order[i] = order[j];
    order[j] = swap;
  }
}

/* Take `burst` blocks, then give all of them back in the order that is named. */
static void run_burst(enum order kind) {
  size_t burst = param("burst", 1000);
  size_t low = param("low", 64);
  size_t high = param("high", low);
  size_t rounds = scaled(param("count", burst < 100000 ? 15000000 : 8000000)) / burst + 1;
  struct rng rng = rng_of(burst);
  void **blocks = table_map(burst * sizeof *blocks);
  uint32_t *order = table_map(burst * sizeof *order);
  uint16_t *extra = table_map(burst * sizeof *extra);
  shuffle(order, burst, &rng);
  for (size_t i = 0; i < burst; i++) extra[i] = (uint16_t)rng_below(&rng, high - low + 1);
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t round = 0; round < rounds; round++) {
    for (size_t i = 0; i < burst; i++) blocks[i] = take(low + extra[i]);
    for (size_t i = 0; i < burst; i++) {
      size_t at = kind == ORDER_LIFO ? burst - 1 - i : kind == ORDER_FIFO ? i : order[i];
      free(blocks[at]);
    }
  }
  out_cost(rounds * burst, start_cpu_ns);
}

static void run_lifo(void) { run_burst(ORDER_LIFO); }
static void run_fifo(void) { run_burst(ORDER_FIFO); }
static void run_random(void) { run_burst(ORDER_RANDOM); }

/* A live set of `live` blocks, one of them replaced at a time, at random. */
static void run_replace(void) {
  size_t live = param("live", 1000);
  size_t low = param("low", 16);
  size_t high = param("high", 512);
  size_t count = scaled(param("count", 10000000));
  struct rng rng = rng_of(live);
  void **blocks = table_map(live * sizeof *blocks);
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t i = 0; i < count; i++) {
    size_t at = rng_below(&rng, live);
    free(blocks[at]);
    blocks[at] = take(rng_size_log(&rng, low, high));
  }
  out_cost(count, start_cpu_ns);
  for (size_t i = 0; i < live; i++) free(blocks[i]);
}

/* A stack of blocks of mixed sizes that grows and shrinks, as a parser's does. */
static void run_stack(void) {
  size_t depth_max = param("depth", 5000);
  size_t count = scaled(param("count", 20000000));
  struct rng rng = rng_of(depth_max);
  void **blocks = table_map(depth_max * sizeof *blocks);
  size_t depth = 0;
  bool growing = true;
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t i = 0; i < count; i++) {
    if (depth == 0) growing = true;
    if (depth == depth_max) growing = false;
    bool along = (rng_next(&rng) >> 60) != 0;
    if (depth > 0 && (depth == depth_max || growing != along)) {
      free(blocks[--depth]);
    } else {
      blocks[depth++] = take(16 + rng_below(&rng, 240));
    }
  }
  out_cost(count, start_cpu_ns);
  while (depth > 0) free(blocks[--depth]);
}

/* calloc and free of `live` blocks in turn; touch=1 writes all of the block. */
static void run_calloc(void) {
  size_t size = param("size", 4 * KIB);
  size_t live = param("live", 64);
  size_t bytes_each_run = param("touch", 0) ? 4 * GIB : 8 * GIB;
  size_t count = scaled(param("count", size <= 256 ? 10000000 : bytes_each_run / size));
  void **blocks = table_map(live * sizeof *blocks);
  bool touched = param("touch", 0) != 0;
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t i = 0; i < count; i++) {
    size_t at = i % live;
    free(blocks[at]);
    char *block = calloc(1, size);
    if (block == NULL) die("calloc failed");
    if (touched) {
      for (size_t j = 0; j < size; j += 64) block[j] = 1;
    }
    blocks[at] = block;
  }
  out_cost(count, start_cpu_ns);
  for (size_t i = 0; i < live; i++) free(blocks[i]);
}

/* Nothing but the start of a process and one block. */
static void run_start(void) { free(take(64)); }

const struct pattern single_patterns[] = {
    {"pair", "malloc and free at once: size", run_pair},
    {"lifo", "bursts freed last first: burst, low, high", run_lifo},
    {"fifo", "bursts freed first first: burst, low, high", run_fifo},
    {"random", "bursts freed in random order: burst, low, high", run_random},
    {"replace", "random replacement in a live set: live, low, high", run_replace},
    {"stack", "a stack of mixed sizes that grows and shrinks: depth", run_stack},
    {"calloc", "calloc of a ring of blocks: size, live, touch", run_calloc},
    {"start", "start of a trivial program", run_start},
    {NULL, NULL, NULL},
};
