/* fork.c: what a fork, an exit and a start need.
 *
 * The child has one thread. All locks are held across the fork, so what they guard is whole. The
 * other threads' arenas may have been in the middle of something: their slots go to the
 * orphanage, which makes their lists anew from the state bytes before it uses them (PLACE_TORN). */
#include "fork.h"

#include "arena.h"
#include "client.h"
#include "guard.h"
#include "huge.h"
#include "include/buddymalloc.h"
#include "large.h"
#include "options.h"
#include "orphan.h"
#include "park.h"
#include "purge.h"
#include "remote.h"
#include "slot.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* In the order in which they nest. */
static struct lock *const locks[] = {&purge_lock, &park_lock, &arenas.lock, &orphan_lock, &heap.lock, &huge_lock, &batch_lock};
#define LOCK_COUNT (sizeof locks / sizeof locks[0])

/* Forks that the calling thread is in the middle of: a handler that interrupts one may fork too. */
static __thread uint8_t forks __attribute__((tls_model("initial-exec")));
/* 1 if the fork was called by a signal handler that interrupted the allocator. */
static __thread uint8_t interrupted __attribute__((tls_model("initial-exec")));

static int holds_a_lock(void) {
  for (size_t i = 0; i < LOCK_COUNT; i++)
    if (lock_is_mine(locks[i])) return 1;
  return 0;
}

/* Whoever forks in a handler that interrupted this thread inside the allocator holds locks already, and another
 * thread may wait for one of them while it holds one that nests outside it: waiting for that one would be for ever.
 * The child of such a fork finds a lock that could not be had free. It may do little: if the process had
 * one thread the interrupted call goes on in the child as in the parent; if it had more POSIX lets the child
 * call nothing that allocates. */
static void before_fork(void) {
  client_enter(); /* until the fork is over */
  if (forks++ > 0) return;
  interrupted = (uint8_t)holds_a_lock();
  for (size_t i = 0; i < LOCK_COUNT; i++) {
    if (!interrupted)
      lock_before_fork(locks[i]);
    else if (!lock_is_mine(locks[i]))
      lock_try_before_fork(locks[i]);
  }
  /* A program of one thread must not seem to have two: some look before or after they fork. Requires purge_lock. */
  if (!interrupted && arenas.count - arenas.idle_count <= 1) purge_stop();
}

static void release_all(void) {
  for (size_t i = LOCK_COUNT; i-- > 0;) lock_after_fork(locks[i]);
}

static void after_fork_in_parent(void) {
  if (--forks == 0) {
    release_all();
    if (!interrupted) orphan_drain(); /* what other threads freed meanwhile */
  }
  client_leave();
}

static int is_stray(uint8_t state) { return state == BLOCK_REMOTE || state == BLOCK_QUARANTINED; }

/* Blocks that were on their way when the process forked lie in queues that nobody empties any more.
 * 1 if the slot had any; they are free now, and the slot's list must be made anew. */
static int has_stray(struct slot *slot) {
  int found = 0;
  for (uint32_t turn = 0; turn < slot->fresh; turn++) {
    uint8_t *state = slot->states + slot_index(slot, turn);
    if (!is_stray(*state)) continue;
    guard_forked(slot_block(slot, slot_index(slot, turn)), block_classes[slot->class].size);
    *state = BLOCK_FREE;
    found = 1;
  }
  return found;
}

/* The same for a slot of the surviving thread, whose list is whole: they come home. */
static void take_home(struct arena *mine, struct slot *slot) {
  for (uint32_t turn = 0; turn < slot->fresh; turn++) {
    uint32_t index = slot_index(slot, turn);
    if (!is_stray(slot->states[index])) continue;
    struct block *block = slot_block(slot, index);
    guard_forked(block, block_classes[slot->class].size);
    arena_accept(mine, slot, block);
    if (slot->kind != SLOT_CUT || slot_owner(slot) != mine) return; /* that was its last */
  }
}

static void forget(struct arena *arena) {
  large_drop_all(arena);
  struct arena *next = arena->next;
  uint32_t number = arena->number;
  memset(arena, 0, sizeof *arena);
  arena_init(arena);
  arena->next = next;
  arena->number = number;
  arena->next_idle = arenas.idle;
  arenas.idle = arena;
  arenas.idle_count++;
}

static void mend_child(void) {
  struct arena *mine = arena_mine;
  int alone = 1;
  for (struct arena *arena = arenas.all; arena != NULL; arena = arena->next)
    if (arena != mine && arena->life == ARENA_LIVE) alone = 0;
  if (alone) return;
  arenas.forked = 1;
  guard_after_fork();
  remote_forget(&orphanage);
  for (struct arena *arena = arenas.all; arena != NULL; arena = arena->next) remote_forget(arena);
  for (uint32_t number = CHUNK_SLOTS; number < heap.top; number++) {
    struct slot *slot = slot_at(number);
    if (slot->kind != SLOT_CUT || slot_owner(slot) == mine) continue;
    if (has_stray(slot) || slot_owner(slot) != &orphanage) orphan_inherit(slot);
  }
  for (struct arena *arena = arenas.all; arena != NULL; arena = arena->next)
    if (arena != mine && arena->life == ARENA_LIVE) forget(arena);
  large_inherit(mine);
  for (uint32_t number = CHUNK_SLOTS; number < heap.top; number++) {
    struct slot *slot = slot_at(number);
    if (slot->kind == SLOT_CUT && slot_owner(slot) == mine) take_home(mine, slot);
  }
}

static void after_fork_in_child(void) {
  uint32_t old = lock_self();
  lock_renew();
  for (size_t i = 0; i < LOCK_COUNT; i++) lock_inherit(locks[i], old);
  forks--;
  if (forks == 0) release_all();
  purge_after_fork();
  if (!interrupted) {
    mend_child();
    orphan_drain(); /* what was freed during the fork by a thread that the child does not have */
  }
  client_leave();
}

static void at_exit(void) {
  client_enter();
  if (options.stats_at_exit) bm_malloc_stats();
  if (options.check_at_exit) {
    bm_thread_flush();
    if (bm_check() != 0) abort();
  }
  client_leave();
}

/* Called with the first arena: handlers that are registered later, by libraries that allocate in them, run
 * while no lock of ours is held (before ours in the parent, after ours in both). */
void fork_register(void) {
  static uint32_t done;
  if (__atomic_exchange_n(&done, 1, __ATOMIC_RELAXED) == 0)
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

__attribute__((constructor)) static void start(void) {
  options_init();
  if (!heap_init()) return;
  fork_register();
  if (options.stats_at_exit || options.check_at_exit) atexit(at_exit);
}
