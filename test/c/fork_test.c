/* fork_test.c: fork(), vfork() and posix_spawn() while other threads allocate. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { THREADS = 3, SHARED = 256 };

static int stop;
static void *shared[SHARED];

static void *churn_shared(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument * 31 + 5;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    size_t size = random_size(&state, 200000);
    void *block = random_below(&state, 4) == 0 ? calloc(1, size) : malloc(size);
    if (random_below(&state, 50) == 0) {
      free(block);
      block = malloc(3000000);
    }
    /* acq_rel: whoever takes the block may free it. */
    free(__atomic_exchange_n(&shared[random_below(&state, SHARED)], block, __ATOMIC_ACQ_REL));
  }
  return NULL;
}

static void start_threads(pthread_t *threads) {
  for (size_t i = 0; i < THREADS; i++)
    CHECK_EQ(pthread_create(&threads[i], NULL, churn_shared, (void *)(i + 1)), 0);
}

static void stop_threads(const pthread_t *threads) {
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (size_t i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
  for (size_t i = 0; i < SHARED; i++) free(shared[i]);
}

static void *use_in_child_thread(void *unused) {
  for (size_t i = 0; i < SHARED; i++) free(malloc(i * 100));
  return unused;
}

/* What a child does: free the parent's threads' blocks, allocate, start a thread. */
static void work_in_child(void) {
  for (size_t i = 0; i < SHARED; i++) free(shared[i]);
  for (size_t size = 1; size <= 5000000; size = size * 5 + 3) {
    void *block = malloc(size);
    content_fill(block, size, size);
    content_verify(block, size, size);
    free(block);
  }
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, use_in_child_thread, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(door_check(), 0);
}

TEST("a child forked while other threads allocate can free their blocks, allocate, and start threads") {
  pthread_t threads[THREADS];
  start_threads(threads);
  for (unsigned round = 0; round < 100; round++) CHECK_EXITS(work_in_child());
  stop_threads(threads);
}

TEST("grandchildren forked from forked children can allocate and free") {
  pthread_t threads[THREADS];
  start_threads(threads);
  for (unsigned round = 0; round < 10; round++)
    CHECK_EXITS({
      work_in_child();
      memset(shared, 0, sizeof shared);
      for (unsigned inner = 0; inner < 3; inner++) CHECK_EXITS(work_in_child());
    });
  stop_threads(threads);
}

static volatile sig_atomic_t forked, refused;

static void fork_in_handler(int signal) {
  (void)signal;
  int saved_errno = errno;
  pid_t child = fork();
  if (child == 0) _exit(0);
  int status = -1;
  if (child > 0) waitpid(child, &status, 0);
  if (status == 0) forked = forked + 1;
  else refused = refused + 1;
  errno = saved_errno;
}

/* A timer interrupts whatever the thread is doing, which is mostly the allocator's work; it is set anew once its handler has
 * returned, however long that took. Tools that hold signals back deliver those that the thread raises. */
TEST("fork() from a signal handler that interrupted the allocator does not hang") {
  enum { FORKS = 200 };
  struct sigevent event;
  struct sigaction action;
  timer_t timer;
  memset(&event, 0, sizeof event);
  memset(&action, 0, sizeof action);
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  action.sa_handler = fork_in_handler;
  action.sa_flags = SA_RESTART;
  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  uint64_t state = 3;
  void *blocks[64] = {NULL};
  int seen = -1;
  for (unsigned at = 0; forked < FORKS; at++) {
    if (forked != seen) {
      seen = forked;
      const struct itimerspec soon = {{0, 0}, {0, 20000 + (long)random_below(&state, 300000)}};
      CHECK_EQ(timer_settime(timer, 0, &soon, NULL), 0);
    }
    free(blocks[at % 64]);
    blocks[at % 64] = malloc(random_size(&state, at % 16 == 0 ? 3000000 : 100000));
    if (at % 1000 == 999) raise(SIGUSR1);
  }
  CHECK_EQ(timer_delete(timer), 0);
  CHECK_EQ(refused, 0);
  for (unsigned at = 0; at < 64; at++) free(blocks[at]);
}

enum { INHERITED = 2000 };
static unsigned char *inherited[INHERITED];
static int progress; /* a pipe: a byte for every hundred blocks that the child handed over */

/* Threads of the child hand its copies of the blocks to each other, and free and replace them. */
static _Noreturn void *hand_over_for_ever(void *argument) {
  uint64_t state = (uint64_t)(uintptr_t)argument + 11;
  for (unsigned step = 0;; step++) {
    unsigned char *block = malloc(random_size(&state, 20000));
    /* acq_rel: the next taker frees the block. */
    free(__atomic_exchange_n(&inherited[random_below(&state, INHERITED)], block, __ATOMIC_ACQ_REL));
    if (step % 100 == 0 && write(progress, "", 1) != 1) _exit(1);
  }
}

static _Noreturn void hand_over_until_killed(void) {
  pthread_t threads[2];
  for (size_t i = 0; i < 2; i++) pthread_create(&threads[i], NULL, hand_over_for_ever, (void *)i);
  for (;;) pause();
}

TEST("a process that is killed while its threads hand blocks over leaves its parent's as they were") {
  int ends[2];
  char byte;
  for (size_t i = 0; i < INHERITED; i++) content_fill(inherited[i] = malloc(i * 10), i * 10, i);
  for (unsigned round = 0; round < 30; round++) {
    CHECK_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
      progress = ends[1];
      hand_over_until_killed();
    }
    for (unsigned i = 0; i <= round; i++) CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_EQ(kill(child, SIGKILL), 0);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    close(ends[0]), close(ends[1]);
    for (size_t i = 0; i < INHERITED; i++) content_verify(inherited[i], i * 10, i);
    CHECK_EQ(door_check(), 0);
  }
  for (size_t i = 0; i < INHERITED; i++) free(inherited[i]);
}

static void daemonise(void) {
  setsid();
  close(STDERR_FILENO);
  CHECK_EXITS(work_in_child());
}

TEST("a program that forks twice and closes its standard error to become a daemon goes on") {
  pthread_t threads[THREADS];
  start_threads(threads);
  for (unsigned round = 0; round < 5; round++) CHECK_EXITS(daemonise());
  stop_threads(threads);
}

TEST("vfork() and posix_spawn() start programs while other threads allocate") {
  pthread_t threads[THREADS];
  start_threads(threads);
  char program[] = "/bin/true";
  char *arguments[] = {program, NULL};
  for (unsigned round = 0; round < 20; round++) {
    pid_t child;
    int status = -1;
    CHECK_EQ(posix_spawn(&child, program, NULL, NULL, arguments, environ), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    child = vfork();
    if (child == 0) {
      execv(program, arguments);
      _exit(1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }
  stop_threads(threads);
}
