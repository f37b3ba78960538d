/* crew.c: see crew.h. */
#define _GNU_SOURCE
#include "crew.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

struct member {
  int running;
  pthread_t thread;
  sem_t start, done;
  void (*job)(void *); /* NULL to end */
  void *argument;
  void (*late)(void *);
  void *late_argument;
  unsigned round; /* of the destructors */
};

static struct member members[CREW];
static pthread_key_t key;

/* The allocator's own destructor gives the arena back in the second round. */
static void destroy(void *of) {
  struct member *member = of;
  if (++member->round < PTHREAD_DESTRUCTOR_ITERATIONS - 1)
    pthread_setspecific(key, member);
  else if (member->late != NULL)
    member->late(member->late_argument);
}

static void *work(void *of) {
  struct member *member = of;
  pthread_setspecific(key, member);
  for (;;) {
    while (sem_wait(&member->start) != 0) continue;
    if (member->job == NULL) return NULL;
    member->job(member->argument);
    sem_post(&member->done);
  }
}

static void start(struct member *member) {
  pthread_attr_t attributes;
  static int made;
  if (!made) made = pthread_key_create(&key, destroy) == 0;
  memset(member, 0, sizeof *member);
  sem_init(&member->start, 0, 0);
  sem_init(&member->done, 0, 0);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, (size_t)256 << 10);
  if (pthread_create(&member->thread, &attributes, work, member) != 0) abort();
  member->running = 1;
}

void crew_run(unsigned number, void (*job)(void *), void *argument) {
  if (number == 0) {
    job(argument);
    return;
  }
  struct member *member = &members[number];
  if (!member->running) start(member);
  member->job = job;
  member->argument = argument;
  sem_post(&member->start);
  while (sem_wait(&member->done) != 0) continue;
}

void crew_end(unsigned number, void (*late)(void *), void *argument) {
  struct member *member = &members[number];
  if (number == 0 || !member->running) return;
  member->late = late;
  member->late_argument = argument;
  member->job = NULL;
  sem_post(&member->start);
  pthread_join(member->thread, NULL);
  member->running = 0;
}

void crew_end_all(void) {
  for (unsigned number = 1; number < CREW; number++) crew_end(number, NULL, NULL);
}

void crew_forget(void) { memset(members, 0, sizeof members); }
