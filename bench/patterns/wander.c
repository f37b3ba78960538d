/* wander.c: blocks that outlive the threads that allocated them, and threads that
 * come and go. */
#include "common.h"
#include "threads.h"

#include <stdlib.h>

struct wander_work {
  void **blocks; /* handed from thread to thread; the running one owns them */
  size_t live;
  size_t steps;
  size_t generation;
  size_t high;
};

static void *wander_body(void *argument) {
  const struct wander_work *work = argument;
  struct rng rng = rng_of(work->generation);
  for (size_t i = 0; i < work->steps; i++) {
    size_t at = rng_below(&rng, work->live);
    free(work->blocks[at]);
    work->blocks[at] = take(rng_size_log(&rng, 16, work->high));
  }
  return NULL;
}

/* A server: `threads` sets of blocks; each thread replaces some of its set and ends,
 * and a new thread goes on with the set. */
static void run_wander(void) {
  size_t threads = param("threads", 4);
  size_t live = param("live", 2000);
  size_t steps = param("steps", 5000);
  size_t count = scaled(param("count", 6000000));
  size_t generations = count / (threads * steps) + 1;
  if (threads > THREADS_MAX) die("at most 64 threads");
  struct wander_work work[THREADS_MAX];
  for (size_t i = 0; i < threads; i++) {
    void **blocks = table_map(live * sizeof *blocks);
    work[i] = (struct wander_work){blocks, live, steps, 0, param("high", 4096)};
  }
  uint64_t start_cpu_ns = cpu_ns();
  pthread_t running[THREADS_MAX];
  threads_start(running, threads, wander_body, work, sizeof *work);
  for (size_t generation = 1; generation < generations; generation++) {
    /* Each set passes to the next thread as soon as its own has ended. */
    for (size_t i = 0; i < threads; i++) {
      threads_join(&running[i], 1);
      work[i].generation = generation * threads + i;
      threads_start(&running[i], 1, wander_body, &work[i], sizeof *work);
    }
  }
  threads_join(running, threads);
  out_cost(generations * threads * steps, start_cpu_ns);
  out_bytes("rss_peak", rss_peak_bytes());
}

static void *brief_body(void *argument) {
  size_t blocks = *(const size_t *)argument;
  void *kept[256];
  if (blocks > 256) die("at most 256 blocks");
  for (size_t i = 0; i < blocks; i++) kept[i] = take(16 + i * 8);
  for (size_t i = 0; i < blocks; i++) free(kept[i]);
  return NULL;
}

/* Threads that do next to nothing, `at_once` of them at a time. */
static void run_thread_exit(void) {
  size_t at_once = param("at_once", 2);
  if (at_once > THREADS_MAX) die("at most 64 threads");
  size_t rounds = scaled(param("count", 20000)) / at_once + 1;
  size_t blocks[THREADS_MAX];
  for (size_t i = 0; i < at_once; i++) blocks[i] = param("blocks", 16);
  uint64_t start_cpu_ns = cpu_ns();
  for (size_t round = 0; round < rounds; round++) {
    threads_run(at_once, brief_body, blocks, sizeof *blocks);
  }
  out_cost(rounds * at_once, start_cpu_ns);
}

const struct pattern wander_patterns[] = {
    {"wander", "blocks that outlive their threads: threads, live, steps, high", run_wander},
    {"thread-exit", "threads created and ended: at_once, blocks", run_thread_exit},
    {NULL, NULL, NULL},
};
