/* fork_test.c: fork(), vfork() and posix_spawn() while other threads allocate. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
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

static volatile sig_atomic_t forked;

static void fork_in_handler(int signal) {
  (void)signal;
  pid_t child = fork();
  if (child == 0) _exit(0);
  int status = -1;
  if (child > 0) waitpid(child, &status, 0);
  if (status == 0) forked = forked + 1;
}

TEST("fork() from a signal handler that interrupted the allocator does not hang") {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = fork_in_handler;
  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  uint64_t state = 3;
  for (unsigned round = 0; round < 300; round++) {
    void *block = malloc(random_size(&state, 100000));
    if (round % 3 == 0) raise(SIGUSR1);
    free(block);
  }
  CHECK_EQ(forked, 100);
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
