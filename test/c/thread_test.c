/* thread_test.c: threads that hand blocks to each other, end, are cancelled, or get signals. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum { THREADS = 4, LIVE = 300, STEPS = 20000 };

static void *churn(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument * 77 + 1;
  void *blocks[LIVE] = {NULL};
  size_t sizes[LIVE];
  for (unsigned step = 0; step < STEPS; step++) {
    size_t at = random_below(&state, LIVE);
    if (blocks[at] != NULL) {
      content_verify(blocks[at], sizes[at], at);
      free(blocks[at]);
      blocks[at] = NULL;
    } else {
      sizes[at] = random_size(&state, step % 500 == 0 ? 3000000 : 3000);
      content_fill(blocks[at] = malloc(sizes[at]), sizes[at], at);
    }
  }
  for (size_t at = 0; at < LIVE; at++) free(blocks[at]);
  return NULL;
}

static void *churn_little(void *argument) {
  void *blocks[LIVE];
  for (size_t i = 0; i < LIVE; i++) blocks[i] = malloc(i * 10);
  for (size_t i = 0; i < LIVE; i++) free(blocks[i]);
  return argument;
}

static void run_threads(void *(*body)(void *), size_t count) {
  pthread_t threads[16];
  for (size_t i = 0; i < count; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, body, (void *)(i + 1)), 0);
  for (size_t i = 0; i < count; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST("threads that allocate and free at the same time do not disturb each other") {
  run_threads(churn, THREADS);
}

/* A slot of `exchange` holds a block or NULL; every thread swaps its own blocks for others'. */
enum { EXCHANGE = 512 };
static void *exchange[EXCHANGE];

static void *swap_blocks(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument * 1234567 + 1;
  for (unsigned step = 0; step < STEPS * 2; step++) {
    size_t size = 8 + random_size(&state, step % 1000 == 0 ? 2500000 : 2000);
    uint64_t *block = malloc(size);
    content_fill(block, size, size);
    memcpy(block, &size, 8);
    /* acq_rel: the next taker of this place must see the contents written above. */
    uint64_t *other = __atomic_exchange_n(&exchange[random_below(&state, EXCHANGE)], block, __ATOMIC_ACQ_REL);
    if (other == NULL) continue;
    size_t other_size = (size_t)*other;
    uint64_t first;
    unsigned char head[8];
    content_fill(head, 8, other_size);
    memcpy(&first, head, 8);
    *other = first;
    content_verify(other, other_size, other_size);
    if (step % 7 == 0) other = realloc(other, other_size + 100);
    free(other);
  }
  return NULL;
}

static void free_exchange(void) {
  for (size_t i = 0; i < EXCHANGE; i++) {
    free(exchange[i]);
    exchange[i] = NULL;
  }
}

TEST("blocks that wander between threads keep their contents and are freed by strangers") {
  run_threads(swap_blocks, THREADS);
  free_exchange();
}

TEST("blocks of threads that ended are freed by later threads") {
  for (unsigned generation = 0; generation < 20; generation++) run_threads(swap_blocks, 2);
  free_exchange();
}

static void *allocate_and_leave(void *out) {
  void **blocks = out;
  for (size_t i = 0; i < LIVE; i++) content_fill(blocks[i] = malloc(i * 37), i * 37, i);
  return NULL;
}

TEST("blocks stay valid after the thread that allocated them has ended") {
  static void *blocks[LIVE];
  for (unsigned round = 0; round < 10; round++) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, allocate_and_leave, blocks), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < LIVE; i++) {
      content_verify(blocks[i], i * 37, i);
      blocks[i] = realloc(blocks[i], i * 53 + 1);
      content_verify(blocks[i], (i * 37) & ~(size_t)7, i);
      free(blocks[i]);
    }
  }
}

static sem_t started;

static _Noreturn void *churn_until_cancelled(void *argument) {
  sem_post(&started);
  for (;; pthread_testcancel()) churn(argument);
}

struct bequest {
  size_t size;
  void *last;
};

/* Allocate blocks, and leave all but the last one free. */
static void *bequeath(void *argument) {
  enum { COUNT = 12 };
  struct bequest *bequest = argument;
  void *blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) CHECK((blocks[i] = malloc(bequest->size)) != NULL);
  for (size_t i = 0; i + 1 < COUNT; i++) free(blocks[i]);
  bequest->last = blocks[COUNT - 1];
  return NULL;
}

TEST("blocks on pages that were given back after their thread ended can be allocated and freed again") {
  enum { COUNT = 40 };
  void *blocks[COUNT];
  for (size_t size = 400; size <= 32000; size += size / 3) {
    struct bequest bequest = {size, NULL};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, bequeath, &bequest), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    malloc_trim(0);
    for (size_t i = 0; i < COUNT; i++) CHECK((blocks[i] = malloc(size)) != NULL);
    CHECK_EQ(door_check(), 0);
    for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
    free(bequest.last);
  }
  CHECK_EQ(door_check(), 0);
}

TEST("cancelled threads leave their blocks and the heap in order") {
  CHECK_EQ(sem_init(&started, 0, 0), 0);
  for (unsigned round = 0; round < 10; round++) {
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
      CHECK_EQ(pthread_create(&threads[i], NULL, churn_until_cancelled, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 2; i++) sem_wait(&started);
    for (size_t i = 0; i < 2; i++) {
      CHECK_EQ(pthread_cancel(threads[i]), 0);
      CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
  }
}

static sig_atomic_t ticks;

static void tick(int signal) {
  (void)signal;
  __atomic_fetch_add(&ticks, 1, __ATOMIC_RELAXED); /* any thread is interrupted */
}

TEST("signals at a high rate during allocation harm nothing") {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = tick;
  CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
  const struct itimerval rate = {{0, 100}, {0, 100}};
  CHECK_EQ(setitimer(ITIMER_REAL, &rate, NULL), 0);
  do run_threads(churn, 2);
  while (__atomic_load_n(&ticks, __ATOMIC_RELAXED) < 20);
  const struct itimerval off = {{0, 0}, {0, 0}};
  CHECK_EQ(setitimer(ITIMER_REAL, &off, NULL), 0);
}

static sem_t in_wait;

static void end_thread(int signal) {
  (void)signal;
  pthread_exit(NULL);
}

static _Noreturn void *wait_to_be_ended(void *argument) {
  void *held[LIVE];
  churn_little(argument);
  for (size_t i = 0; i < LIVE; i++) held[i] = malloc(i * 20);
  for (size_t i = 0; i < LIVE; i++) free(held[i]);
  sem_post(&in_wait);
  for (;;) pause();
}

TEST("threads that end in a signal handler leave the heap in order") {
  CHECK_EQ(sem_init(&in_wait, 0, 0), 0);
  CHECK(signal(SIGUSR1, end_thread) != SIG_ERR);
  for (unsigned round = 0; round < 50; round++) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wait_to_be_ended, NULL), 0);
    sem_wait(&in_wait);
    CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  CHECK_EQ(door_check(), 0);
}

static void *exit_process(void *unused) {
  (void)unused;
  exit(0);
}

static void exit_from_thread(void) {
  pthread_t threads[3];
  for (size_t i = 0; i < 2; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, churn_until_cancelled, (void *)(i + 1)), 0);
  for (size_t i = 0; i < 2; i++) sem_wait(&started);
  CHECK_EQ(pthread_create(&threads[2], NULL, exit_process, NULL), 0);
  for (;;) pause();
}

static void use_allocator_at_exit(void) { churn_little(NULL); }

TEST("a thread may end the process while others allocate, and functions registered with atexit() allocate then") {
  CHECK_EQ(sem_init(&started, 0, 0), 0);
  CHECK_EQ(atexit(use_allocator_at_exit), 0);
  for (unsigned round = 0; round < 20; round++) CHECK_EXITS(exit_from_thread());
}

static volatile sig_atomic_t handled;

static void allocate_in_handler(int signal) {
  (void)signal;
  churn_little(NULL);
  handled = handled + 1;
}

static void *handle_on_own_stack(void *unused) {
  size_t size = (size_t)SIGSTKSZ * 8;
  stack_t stack = {.ss_sp = malloc(size), .ss_size = size};
  CHECK_EQ(sigaltstack(&stack, NULL), 0);
  for (unsigned round = 0; round < 20; round++) {
    void *block = malloc(round * 1000);
    CHECK_EQ(raise(SIGUSR2), 0);
    free(block);
  }
  stack_t none = {.ss_flags = SS_DISABLE};
  CHECK_EQ(sigaltstack(&none, NULL), 0);
  free(stack.ss_sp);
  return unused;
}

TEST("handlers on a stack from malloc() allocate where the allocator was not interrupted") {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = allocate_in_handler;
  action.sa_flags = SA_ONSTACK;
  CHECK_EQ(sigaction(SIGUSR2, &action, NULL), 0);
  run_threads(handle_on_own_stack, 2);
  CHECK_GE(handled, 20);
}

TEST_OURS("a later thread takes over the arena of one that ended") {
  struct bm_stats before;
  struct bm_stats after;
  static void *blocks[LIVE];
  for (unsigned round = 0; round < 200; round++) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, allocate_and_leave, blocks), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < LIVE; i++) free(blocks[i]);
    if (round == 0) door_stats(&before);
  }
  door_stats(&after);
  CHECK_EQ(after.arenas, before.arenas);
  CHECK_EQ(after.arenas_abandoned, before.arenas_abandoned);
}

/* The C library frees stacks of ended threads beyond 40 MiB, with its own lock held. */
enum { DETACHED = 12, MANY = 14000 };
static sem_t may_end;

static void *free_much_at_the_end(void *unused) {
  static __thread void *blocks[MANY];
  sem_wait(&may_end);
  for (size_t size = 16; size <= 32768; size *= 2) {
    size_t count = 130000 / size;
    for (size_t i = 0; i < count; i++) blocks[i] = malloc(size);
    for (size_t i = 0; i < count; i++) free(blocks[i]);
  }
  void *large[8];
  for (size_t i = 0; i < 8; i++) large[i] = malloc(1000000);
  for (size_t i = 0; i < 8; i++) free(large[i]);
  return unused;
}

static void *detach_threads(void *unused) {
  pthread_t thread;
  for (size_t i = 0; i < DETACHED; i++) {
    CHECK_EQ(pthread_create(&thread, NULL, free_much_at_the_end, NULL), 0);
    CHECK_EQ(pthread_detach(thread), 0);
  }
  return unused;
}

/* The process's threads; sanitizers have some of their own. */
static int count_threads(void) {
  DIR *folder = opendir("/proc/self/task");
  int count = -2; /* itself and its parent */
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

TEST("threads may end while others are created, however much their ends give back") {
  int before = count_threads();
  for (size_t round = 0; round < 5; round++) {
    pthread_t creator;
    sem_init(&may_end, 0, 0);
    CHECK_EQ(pthread_create(&creator, NULL, detach_threads, NULL), 0);
    CHECK_EQ(pthread_join(creator, NULL), 0);
    for (size_t i = 0; i < DETACHED; i++) {
      CHECK_EQ(sem_post(&may_end), 0);
      run_threads(churn_little, 1);
    }
    /* A detached thread cannot be joined. One more may be there: the one that purges. */
    while (count_threads() > before + 1) sched_yield();
  }
}

/* Every slow path, on as little stack as a thread can have. */
static void *use_every_path(void *blocks_to_free) {
  static const size_t sizes[] = {0, 100, 5000, 40000, 1500000, 5000000};
  void **blocks = blocks_to_free;
  for (size_t i = 0; i < LIVE; i++) free(blocks[i]); /* another thread's */
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    void *block = realloc(calloc(1, sizes[i]), sizes[i] * 2 + 1);
    CHECK(block != NULL);
    free(memalign(65536, sizes[i]));
    free(block);
  }
  malloc_trim(0);
  for (size_t i = 0; i < LIVE; i++) blocks[i] = malloc(i);
  return NULL;
}

TEST_IF(NEEDS_NATIVE, "threads with the smallest stack that there is can use every path") {
  pthread_attr_t small;
  void *blocks[LIVE];
  CHECK_EQ(pthread_attr_init(&small), 0);
  /* Thread-local variables, of which this program has many, lie on the stack too. */
  size_t size = (MANY * sizeof(void *) + (size_t)PTHREAD_STACK_MIN + 4095) & ~(size_t)4095;
  CHECK_EQ(pthread_attr_setstacksize(&small, size), 0);
  for (size_t i = 0; i < LIVE; i++) blocks[i] = malloc(i * 50);
  for (unsigned round = 0; round < 20; round++) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, &small, use_every_path, blocks), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  for (size_t i = 0; i < LIVE; i++) free(blocks[i]);
}
