/* latency.c: how long a single malloc or free takes, at the worst.
 * Owner:     one thread measures; with load=1 another one allocates meanwhile. The
 *            histograms are mapped and written beforehand.
 * Cost:      about 10 s for 10^8 operations. */
#include "common.h"
#include "threads.h"

#include <stdatomic.h>
#include <stdlib.h>

#if defined(__x86_64__)
#include <x86intrin.h>
static inline uint64_t ticks(void) {
  unsigned core;
  return __rdtscp(&core);
}
#elif defined(__aarch64__)
static inline uint64_t ticks(void) {
  uint64_t value;
  __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value));
  return value;
}
#else
static inline uint64_t ticks(void) { return clock_ns(); }
#endif

/* 32 buckets in every doubling: a bucket is at most 3 % wide. */
#define BUCKET_ORDER 5
#define BUCKETS (64u << BUCKET_ORDER)

struct histogram {
  uint64_t counts[BUCKETS];
  uint64_t total;
  uint64_t max;
};

static size_t bucket_of(uint64_t value) {
  if (value < (1u << BUCKET_ORDER)) return (size_t)value;
  unsigned order = 63u - (unsigned)__builtin_clzll(value);
  unsigned shift = order - BUCKET_ORDER;
  return ((size_t)(shift + 1) << BUCKET_ORDER) + (size_t)((value >> shift) - (1u << BUCKET_ORDER));
}

static uint64_t bucket_low(size_t bucket) {
  size_t shift = bucket >> BUCKET_ORDER;
  if (shift == 0) return bucket;
  return ((bucket & ((1u << BUCKET_ORDER) - 1)) + (1u << BUCKET_ORDER)) << (shift - 1);
}

static inline void note(struct histogram *histogram, uint64_t value) {
  histogram->counts[bucket_of(value)]++;
  histogram->total++;
  if (value > histogram->max) histogram->max = value;
}

static uint64_t quantile(const struct histogram *histogram, double part) {
  double wanted = part * (double)histogram->total;
  double seen = 0;
  for (size_t i = 0; i < BUCKETS; i++) {
    seen += (double)histogram->counts[i];
    if (seen >= wanted) return bucket_low(i);
  }
  return histogram->max;
}

static void report(const char *p50, const char *p999, const char *p99999, const char *max,
                   const struct histogram *histogram, double ns_per_tick) {
  out_number(p50, (double)quantile(histogram, 0.5) * ns_per_tick);
  out_number(p999, (double)quantile(histogram, 0.999) * ns_per_tick);
  out_number(p99999, (double)quantile(histogram, 0.99999) * ns_per_tick);
  out_number(max, (double)histogram->max * ns_per_tick);
}

struct load {
  _Atomic bool ended; /* written by the thread that measures */
};

/* Replace blocks and hand none over, until told to stop. */
static void *load_body(void *argument) {
  struct load *load = argument;
  struct rng rng = rng_of(77);
  void *blocks[1000] = {NULL};
  while (!atomic_load_explicit(&load->ended, memory_order_relaxed)) {
    size_t at = rng_below(&rng, 1000);
    free(blocks[at]);
    blocks[at] = take(rng_size_log(&rng, 16, 4 * KIB));
  }
  for (size_t i = 0; i < 1000; i++) free(blocks[i]);
  return NULL;
}

/* Random replacement in a live set; every malloc and every free is timed, and as a
 * control, in between, nothing at all: what the machine itself adds. */
static void run_latency(void) {
  size_t live = param("live", 20000);
  size_t high = param("high", 512);
  size_t count = scaled(param("count", 50000000));
  struct rng rng = rng_of(live);
  void **blocks = table_map(live * sizeof *blocks);
  struct histogram *takes = table_map(sizeof *takes);
  struct histogram *frees = table_map(sizeof *frees);
  struct histogram *nothing = table_map(sizeof *nothing);
  size_t loads = param("load", 0);
  struct load load = {false};
  pthread_t loaders[THREADS_MAX];
  threads_start(loaders, loads, load_body, &load, 0);
  uint64_t start_cpu_ns = cpu_ns();
  uint64_t start_ns = clock_ns();
  uint64_t start_ticks = ticks();
  for (size_t i = 0; i < count; i++) {
    size_t at = rng_below(&rng, live);
    size_t size = 16 + rng_below(&rng, high - 15);
    void *old = blocks[at];
    uint64_t first = ticks();
    free(old);
    uint64_t second = ticks();
    char *block = malloc(size);
    uint64_t third = ticks();
    uint64_t fourth = ticks();
    if (block == NULL) die("malloc failed");
    block[0] = 1;
    blocks[at] = block;
    note(frees, second - first);
    note(takes, third - second);
    note(nothing, fourth - third);
  }
  double ns_per_tick = (double)(clock_ns() - start_ns) / (double)(ticks() - start_ticks);
  out_cost(2 * count, start_cpu_ns);
  atomic_store_explicit(&load.ended, true, memory_order_relaxed);
  threads_join(loaders, loads);
  report("malloc_p50", "malloc_p999", "malloc_p99999", "malloc_max", takes, ns_per_tick);
  report("free_p50", "free_p999", "free_p99999", "free_max", frees, ns_per_tick);
  report("nothing_p50", "nothing_p999", "nothing_p99999", "nothing_max", nothing, ns_per_tick);
  for (size_t i = 0; i < live; i++) free(blocks[i]);
}

const struct pattern latency_patterns[] = {
    {"latency", "quantiles of a single malloc and free, in ns: live, high, load", run_latency},
    {NULL, NULL, NULL},
};
