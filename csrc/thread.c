/* thread.c: which arena a thread has: from its first request to its end.
 *
 * Owner:     arenas.lock guards the list of arenas and who has which; `thread_ended` and arena_mine are the thread's.
 * Invariant: A5  an idle arena owns no slot and no block.
 * Cost:      one lock at a thread's first request and at its end. */
#include "thread.h"

#include "arena.h"
#include "client.h"
#include "fork.h"
#include "medium.h"
#include "os.h"
#include "remote.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* Arenas are made so many bytes at a time. */
#define ARENA_BATCH_BYTES ((size_t)64 << 10)

struct arenas arenas;

/* The first field of an arena is blocks[], so the offset of a stock is its class times the size of one. */
static_assert(offsetof(struct arena, blocks) == 0, "a class's stock is found at class * sizeof(struct stock)");
#define STOCK(class) ((class) * sizeof(struct stock))
struct arena arena_none = {.step_stock = BLOCK_STEPS(STOCK)};

void arena_init(struct arena *arena) {
  memcpy(arena->step_stock, arena_none.step_stock, sizeof arena->step_stock);
  struct block **room = arena->medium;
  for (unsigned class = SMALL_CLASS_COUNT; class < CLASS_COUNT; class++) {
    arena->blocks[class].blocks = room;
    medium_tidy(arena, class);
    room += medium_capacity(class);
  }
}

__thread struct arena *arena_mine __attribute__((tls_model("initial-exec"))) = &arena_none;

/* 1 once this thread gave its arena back for good: what it still asks for is served by a borrowed one. */
static __thread uint8_t thread_ended __attribute__((tls_model("initial-exec")));

static pthread_key_t exit_key;
static int exit_key_made;
/* 1 if thread_exit() will be called at this thread's end. */
static __thread uint8_t registered __attribute__((tls_model("initial-exec")));

/* Give away all that the arena owns and leave it to a later thread. */
static void retire(struct arena *arena) {
  arena_give_all(arena);
  lock_acquire(&arenas.lock);
  /* seq_cst: with the push in remote.c, see push(). */
  __atomic_store_n(&arena->life, ARENA_IDLE, __ATOMIC_SEQ_CST);
  arena->next_idle = arenas.idle;
  arenas.idle = arena;
  arenas.idle_count++;
  lock_release(&arenas.lock);
  remote_forward(arena);
}

void thread_leave_late(void) {
  struct arena *arena = arena_mine;
  if (LIKELY(!thread_ended) || arena_is_none(arena)) return;
  arena_mine = &arena_none;
  retire(arena);
}

/* Other libraries' destructors run in the same rounds: wait for the second. */
static void thread_exit(void *round) {
  if (round == &exit_key) {
    if (pthread_setspecific(exit_key, &arenas) == 0) return;
  }
  thread_ended = 1;
  client_enter();
  thread_leave_late();
  client_leave();
}

/* An arena that no thread had yet, or NULL without memory. Requires arenas.lock. */
static struct arena *make_arena(void) {
  static char *unused, *unused_end; /* memory for more of them, untouched */
  size_t bytes = (sizeof(struct arena) + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
  if (unused == unused_end) {
    unused = os_map(ARENA_BATCH_BYTES);
    unused_end = unused;
    if (unused == NULL) return NULL;
    unused_end += ARENA_BATCH_BYTES / bytes * bytes;
  }
  struct arena *arena = (struct arena *)unused;
  unused += bytes;
  arena->number = ++arenas.count;
  arena_init(arena);
  arena->next = arenas.all;
  /* release: whoever walks the list sees a whole arena. */
  __atomic_store_n(&arenas.all, arena, __ATOMIC_RELEASE);
  return arena;
}

static struct arena *open_arena(void) {
  lock_acquire(&arenas.lock);
  struct arena *arena = arenas.idle;
  if (arena != NULL) {
    arenas.idle = arena->next_idle;
    arenas.idle_count--;
  } else {
    arena = make_arena();
  }
  /* seq_cst: with the push in remote.c, see push(). */
  if (arena != NULL) __atomic_store_n(&arena->life, ARENA_LIVE, __ATOMIC_SEQ_CST);
  lock_release(&arenas.lock);
  return arena;
}

/* Have the C library tell of this thread's end. It may refuse: then every refill tries again, since the arena of
 * a thread that ends untold is lost. */
static NOINLINE void register_exit(void) {
  lock_acquire(&arenas.lock);
  if (!exit_key_made) exit_key_made = pthread_key_create(&exit_key, thread_exit) == 0;
  int made = exit_key_made;
  lock_release(&arenas.lock);
  if (!made) return;
  registered = 1; /* pthread_setspecific() may allocate */
  if (pthread_setspecific(exit_key, &exit_key) != 0) registered = 0;
}

struct arena *thread_arena(void) {
  if (!arena_is_none(arena_mine)) {
    if (UNLIKELY(!registered) && !thread_ended) register_exit();
    return arena_mine;
  }
  if (!heap_init()) return NULL;
  struct arena *arena = open_arena();
  if (arena == NULL) return NULL;
  arena->now = os_first_ms();
  arena->events = 0;
  arena_mine = arena;
  /* These may allocate: the arena is in place by now. */
  if (!thread_ended) register_exit();
  fork_register();
  return arena;
}

void thread_begin(void) {
  static __thread uint8_t singles __attribute__((tls_model("initial-exec")));
  if (singles < REMOTE_SINGLES) {
    singles++;
    return;
  }
  int saved = errno;
  /* A thread that forks may be waiting, in somebody's handler, for this one to free. */
  if (!thread_ended && !lock_is_forking(&arenas.lock)) thread_arena();
  errno = saved;
}
