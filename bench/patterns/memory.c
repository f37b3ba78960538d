/* memory.c: how much memory is given back, one second after it was freed.
 * Owner:     the index of the blocks is mapped and written in full beforehand; the
 *            figures are resident memory beyond what was resident then.
 * Cost:      one second of idleness, and about one second per GiB. */
#include "common.h"
#include "threads.h"

#include <stdlib.h>

#define SIZE_LOW 16
#define SIZE_HIGH 512
#define RUN_OBJECTS 1000 /* one generation: objects allocated one after the other */

enum victims { VICTIMS_RANDOM, VICTIMS_RUNS, VICTIMS_ALL };

/* One thread's share of the objects. */
struct share {
  size_t number;
  size_t bytes; /* to be allocated */
  size_t room;  /* entries in `blocks` */
  void **blocks;
  size_t blocks_count; /* written by the thread before the first barrier */
  size_t live;         /* bytes left; written by the thread before the second barrier */
  enum victims victims;
  pthread_barrier_t *barrier;
};

/* The sizes come from the same numbers again when they are wanted for freeing. */
static size_t size_next(struct rng *rng) {
  return SIZE_LOW + rng_below(rng, SIZE_HIGH - SIZE_LOW + 1);
}

static void fill(struct share *share) {
  struct rng rng = rng_of(share->number);
  size_t total = 0;
  size_t count = 0;
  while (total < share->bytes && count < share->room) {
    size_t size = size_next(&rng);
    share->blocks[count++] = take(size);
    total += size;
  }
  share->blocks_count = count;
}

static bool is_victim(enum victims victims, size_t index, struct rng *rng) {
  switch (victims) {
    case VICTIMS_RANDOM: return rng_below(rng, 10) != 0;
    case VICTIMS_RUNS: return index / RUN_OBJECTS % 10 != 0;
    case VICTIMS_ALL: return true;
  }
  return true;
}

static void release(struct share *share) {
  struct rng sizes = rng_of(share->number);
  struct rng choice = rng_of(share->number + 100);
  size_t live = 0;
  for (size_t i = 0; i < share->blocks_count; i++) {
    size_t size = size_next(&sizes);
    if (is_victim(share->victims, i, &choice)) {
      free(share->blocks[i]);
    } else {
      live += size;
    }
  }
  share->live = live;
}

static void *share_body(void *argument) {
  struct share *share = argument;
  fill(share);
  pthread_barrier_wait(share->barrier); /* all is allocated */
  pthread_barrier_wait(share->barrier); /* the peak was read */
  release(share);
  pthread_barrier_wait(share->barrier); /* all is freed */
  pthread_barrier_wait(share->barrier); /* idle until the figures were read */
  return NULL;
}

static void run_victims(enum victims victims) {
  size_t threads = param("threads", 1);
  size_t bytes = scaled(param("bytes", GIB));
  unsigned idle_ms = (unsigned)param("idle_ms", 1000);
  if (threads > THREADS_MAX) die("at most 64 threads");
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  struct share shares[THREADS_MAX];
  for (size_t i = 0; i < threads; i++) {
    size_t room = bytes / threads / ((SIZE_LOW + SIZE_HIGH) / 2) * 11 / 10;
    void **blocks = table_map(room * sizeof *blocks);
    shares[i] = (struct share){i, bytes / threads, room, blocks, 0, 0, victims, &barrier};
  }
  pthread_t running[THREADS_MAX];
  size_t before = rss_bytes();
  uint64_t start_cpu_ns = cpu_ns();
  threads_start(running, threads, share_body, shares, sizeof *shares);
  pthread_barrier_wait(&barrier);
  size_t peak = rss_bytes() - before;
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  uint64_t busy_ns = cpu_ns() - start_cpu_ns;
  size_t at_once = rss_bytes();
  sleep_ms(idle_ms);
  size_t later = rss_bytes();
  size_t live = 0;
  size_t count = 0;
  for (size_t i = 0; i < threads; i++) {
    live += shares[i].live;
    count += shares[i].blocks_count;
  }
  pthread_barrier_wait(&barrier);
  threads_join(running, threads);
  size_t net = later > before ? later - before : 0;
  out_number("operations", (double)count);
  out_number("ns_per_op", (double)busy_ns / (double)count);
  out_bytes("live", live);
  out_bytes("rss_peak", peak);
  out_bytes("rss_at_once", at_once > before ? at_once - before : 0);
  out_bytes("rss_later", net);
  out_number("later_per_peak", (double)net / (double)peak);
  if (live > 0) out_number("later_per_live", (double)net / (double)live);
}

static void run_random(void) { run_victims(VICTIMS_RANDOM); }
static void run_runs(void) { run_victims(VICTIMS_RUNS); }
static void run_all(void) { run_victims(VICTIMS_ALL); }

const struct pattern memory_patterns[] = {
    {"memory-random", "90 % of small objects freed at random: bytes, threads", run_random},
    {"memory-runs", "whole generations freed: bytes, threads", run_runs},
    {"memory-all", "all freed: bytes, threads", run_all},
    {NULL, NULL, NULL},
};
