/* threads.c: several threads with blocks of their own, or that hand them on. */
#include "threads.h"

#include "common.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CACHE_LINE 64

void threads_start(pthread_t *threads, size_t count, void *(*body)(void *), void *arguments,
                   size_t argument_size) {
  if (count > THREADS_MAX) die("at most 64 threads");
  for (size_t i = 0; i < count; i++) {
    void *argument = (char *)arguments + i * argument_size;
    if (pthread_create(&threads[i], NULL, body, argument) != 0) die("pthread_create failed");
  }
}

void threads_join(pthread_t *threads, size_t count) {
  for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

void threads_run(size_t count, void *(*body)(void *), void *arguments, size_t argument_size) {
  pthread_t threads[THREADS_MAX];
  threads_start(threads, count, body, arguments, argument_size);
  threads_join(threads, count);
}

/* ---- Every thread on its own ------------------------------------------------------ */

struct own_work {
  size_t number;
  size_t live;
  size_t count;
};

static void *own_body(void *argument) {
  const struct own_work *work = argument;
  struct rng rng = rng_of(work->number);
  void **blocks = table_map(work->live * sizeof *blocks);
  for (size_t i = 0; i < work->count; i++) {
    size_t at = rng_below(&rng, work->live);
    free(blocks[at]);
    blocks[at] = take(rng_size_log(&rng, 16, 512));
  }
  for (size_t i = 0; i < work->live; i++) free(blocks[i]);
  table_unmap(blocks, work->live * sizeof *blocks);
  return NULL;
}

/* Random replacement in every thread, the same work in all whatever their number. */
static void run_own(void) {
  size_t threads = param("threads", 2);
  size_t count = scaled(param("count", 10000000));
  struct own_work work[THREADS_MAX];
  for (size_t i = 0; i < threads; i++) {
    work[i] = (struct own_work){i, param("live", 1000), count / threads};
  }
  uint64_t start_cpu_ns = cpu_ns();
  threads_run(threads, own_body, work, sizeof *work);
  out_cost(count, start_cpu_ns);
}

/* ---- Producer and consumer ---------------------------------------------------------- */

#define BATCH_BLOCKS 256
#define QUEUE_BATCHES 16

/* A bounded queue of batches: a lock every 256 blocks costs next to nothing. */
struct queue {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  size_t pushed, popped; /* batches; under lock */
  size_t count;          /* batches in all; constant */
  size_t number;         /* constant */
  void *batches[QUEUE_BATCHES][BATCH_BLOCKS];
};

static void *produce(void *argument) {
  struct queue *queue = argument;
  struct rng rng = rng_of(queue->number);
  for (size_t batch = 0; batch < queue->count; batch++) {
    void *blocks[BATCH_BLOCKS];
    for (size_t i = 0; i < BATCH_BLOCKS; i++) blocks[i] = take(rng_size_log(&rng, 16, 512));
    pthread_mutex_lock(&queue->lock);
    while (queue->pushed - queue->popped == QUEUE_BATCHES) {
      pthread_cond_wait(&queue->changed, &queue->lock);
    }
    void **place = queue->batches[queue->pushed % QUEUE_BATCHES];
    for (size_t i = 0; i < BATCH_BLOCKS; i++) place[i] = blocks[i];
    queue->pushed++;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
  }
  return NULL;
}

static void *consume(void *argument) {
  struct queue *queue = argument;
  for (size_t batch = 0; batch < queue->count; batch++) {
    void *blocks[BATCH_BLOCKS];
    pthread_mutex_lock(&queue->lock);
    while (queue->pushed == queue->popped) pthread_cond_wait(&queue->changed, &queue->lock);
    void **place = queue->batches[queue->popped % QUEUE_BATCHES];
    for (size_t i = 0; i < BATCH_BLOCKS; i++) blocks[i] = place[i];
    queue->popped++;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    for (size_t i = 0; i < BATCH_BLOCKS; i++) free(blocks[i]);
  }
  return NULL;
}

/* Pairs of threads, one of which only allocates and the other only frees. */
static void run_producer_consumer(void) {
  size_t pairs = param("pairs", 1);
  if (pairs > THREADS_MAX) die("at most 64 pairs");
  size_t count = scaled(param("count", 8000000));
  struct queue *queues = table_map(pairs * sizeof *queues);
  for (size_t i = 0; i < pairs; i++) {
    pthread_mutex_init(&queues[i].lock, NULL);
    pthread_cond_init(&queues[i].changed, NULL);
    queues[i].count = count / pairs / BATCH_BLOCKS + 1;
    queues[i].number = i;
  }
  pthread_t producers[THREADS_MAX];
  pthread_t consumers[THREADS_MAX];
  uint64_t start_cpu_ns = cpu_ns();
  threads_start(producers, pairs, produce, queues, sizeof *queues);
  threads_start(consumers, pairs, consume, queues, sizeof *queues);
  threads_join(producers, pairs);
  threads_join(consumers, pairs);
  out_cost(count, start_cpu_ns);
  out_bytes("rss_peak", rss_peak_bytes());
}

/* ---- Every thread frees what others allocated ------------------------------------------ */

struct exchange_work {
  size_t number;
  size_t count;
  size_t places;
  _Atomic(void *) *shared;
};

/* release/acquire: the thread that frees a block sees what its owner wrote in it. */
static void *exchange_body(void *argument) {
  const struct exchange_work *work = argument;
  struct rng rng = rng_of(work->number);
  for (size_t i = 0; i < work->count; i++) {
    void *block = take(rng_size_log(&rng, 16, 512));
    _Atomic(void *) *place = &work->shared[rng_below(&rng, work->places)];
    free(atomic_exchange_explicit(place, block, memory_order_acq_rel));
  }
  return NULL;
}

/* Threads that put blocks in shared places and free what they find there. */
static void run_exchange(void) {
  size_t threads = param("threads", 2);
  size_t places = param("places", 4000);
  size_t count = scaled(param("count", 6000000));
  _Atomic(void *) *shared = table_map(places * sizeof *shared);
  struct exchange_work work[THREADS_MAX];
  for (size_t i = 0; i < threads; i++) {
    work[i] = (struct exchange_work){i, count / threads, places, shared};
  }
  uint64_t start_cpu_ns = cpu_ns();
  threads_run(threads, exchange_body, work, sizeof *work);
  out_cost(count, start_cpu_ns);
  for (size_t i = 0; i < places; i++) free(shared[i]);
}

struct round_work {
  size_t number;
  size_t threads;
  size_t rounds;
  size_t each;
  void **blocks; /* threads * each of them */
  pthread_barrier_t *barrier;
};

static void *round_body(void *argument) {
  const struct round_work *work = argument;
  struct rng rng = rng_of(work->number);
  for (size_t round = 0; round < work->rounds; round++) {
    void **mine = work->blocks + work->number * work->each;
    for (size_t i = 0; i < work->each; i++) mine[i] = take(rng_size_log(&rng, 16, 512));
    pthread_barrier_wait(work->barrier);
    size_t other = (work->number + 1 + round % (work->threads - 1)) % work->threads;
    void **theirs = work->blocks + other * work->each;
    for (size_t i = 0; i < work->each; i++) free(theirs[i]);
    pthread_barrier_wait(work->barrier);
  }
  return NULL;
}

/* In rounds: all threads allocate, then each frees all that another one allocated. */
static void run_strangers(void) {
  size_t threads = param("threads", 2);
  if (threads < 2) die("strangers takes two threads or more");
  size_t each = param("each", 20000) / threads;
  size_t count = scaled(param("count", 6000000));
  size_t rounds = count / (each * threads) + 1;
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, (unsigned)threads);
  void **blocks = table_map(threads * each * sizeof *blocks);
  struct round_work work[THREADS_MAX];
  for (size_t i = 0; i < threads; i++) {
    work[i] = (struct round_work){i, threads, rounds, each, blocks, &barrier};
  }
  uint64_t start_cpu_ns = cpu_ns();
  threads_run(threads, round_body, work, sizeof *work);
  out_cost(rounds * each * threads, start_cpu_ns);
}

/* ---- Neighbouring blocks written by two threads ------------------------------------------- */

#define NEIGHBOUR_WRITES 200

struct neighbour_work {
  void *inherited; /* a block that the main thread allocated beside the others' */
  size_t size;
  size_t count;
};

static void *neighbour_body(void *argument) {
  const struct neighbour_work *work = argument;
  free(work->inherited);
  for (size_t i = 0; i < work->count; i++) {
    volatile char *block = take(work->size);
    for (size_t j = 0; j < NEIGHBOUR_WRITES; j++) (*block)++;
    free((void *)block);
  }
  return NULL;
}

/* Blocks smaller than a cache line: an allocator that gives two threads blocks of
 * one line, at once or by recycling, makes every write of theirs slow. */
static void run_neighbours(void) {
  size_t threads = param("threads", 2);
  size_t size = param("size", 8);
  size_t count = scaled(param("count", 1000000)) / threads + 1;
  bool inherited = param("inherited", 0) != 0;
  if (size > CACHE_LINE) die("neighbours are at most a cache line");
  struct neighbour_work work[THREADS_MAX];
  for (size_t i = 0; i < threads; i++) {
    work[i] = (struct neighbour_work){inherited ? take(size) : NULL, size, count};
  }
  uint64_t start_cpu_ns = cpu_ns();
  threads_run(threads, neighbour_body, work, sizeof *work);
  out_cost(count * threads, start_cpu_ns);
}

const struct pattern thread_patterns[] = {
    {"own", "random replacement in every thread: threads, live", run_own},
    {"producer-consumer", "one thread allocates, the other frees: pairs", run_producer_consumer},
    {"exchange", "threads that free what they find in shared places: threads", run_exchange},
    {"strangers", "each thread frees what another allocated: threads, each", run_strangers},
    {"neighbours", "two threads write neighbouring blocks: inherited", run_neighbours},
    {NULL, NULL, NULL},
};
