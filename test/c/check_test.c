/* check_test.c: the walker finds every invariant that was broken on purpose, by its number. */
#include "harness.h"

#include "arena.h"
#include "chunk.h"
#include "door.h"
#include "huge.h"
#include "large.h"
#include "orphan.h"
#include "os.h"
#include "park.h"
#include "slot.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 700, SIZE = 200 };
static void *mine[COUNT];   /* more than two slots of one class */
static void *theirs[COUNT]; /* the same, of a thread that ended */
static void *large, *huge;

static void *fill_theirs(void *unused) {
  for (size_t i = 0; i < COUNT; i++) theirs[i] = malloc(SIZE);
  for (size_t i = 0; i < COUNT; i += 2) free(theirs[i]);
  return unused;
}

static struct slot *slot_holding(void *block) { return slot_of((uintptr_t)block); }

static struct slot *find_mine_in(enum slot_place place) {
  for (size_t i = 0; i < COUNT; i++)
    if (slot_holding(mine[i])->place == place && slot_owner(slot_holding(mine[i])) == arena_mine) return slot_holding(mine[i]);
  return NULL;
}

/* A slot of this thread's in the place, or fails. */
static struct slot *mine_in(enum slot_place place) {
  struct slot *slot = find_mine_in(place);
  if (slot == NULL) harness_fail(__FILE__, __LINE__, "no slot in place %d", (int)place);
  return slot;
}

/* Fill `mine`, and have one slot of it listed. Where this thread is kept waiting meanwhile the slot is parked instead: once more. */
static void fill_mine(void) {
  do {
    for (size_t i = 0; i < COUNT; i++) mine[i] = malloc(SIZE);
    struct slot *listed = slot_holding(mine[COUNT / 3]);
    for (size_t i = 0; i < COUNT; i += 3)
      if (slot_holding(mine[i]) == listed && listed->place != PLACE_CURRENT) free(mine[i]);
  } while (find_mine_in(PLACE_LISTED) == NULL);
}

static struct slot *an_orphan(void) {
  for (size_t i = 1; i < COUNT; i += 2)
    if (slot_owner(slot_holding(theirs[i])) == &orphanage) return slot_holding(theirs[i]);
  harness_fail(__FILE__, __LINE__, "no orphan");
}

static struct slot *a_free_block(unsigned order) {
  for (uint32_t number = CHUNK_SLOTS; number < heap.top; number++)
    if (slot_at(number)->kind == SLOT_FREE && slot_at(number)->order >= order) return slot_at(number);
  harness_fail(__FILE__, __LINE__, "no free block");
}

static void break_c1(void) { mine_in(PLACE_CURRENT)->kind = SLOT_REST; }
static void break_c2(void) { a_free_block(SLOT_ORDER)->order = CHUNK_ORDER; }
static void break_c3(void) {
  struct slot *slot = freelist_pop(SLOT_ORDER + 1);
  chunk_split(slot);
  freelist_push(slot);
}
static void break_c4(void) { heap.dirty_bytes += SLOT_BYTES; }
static void break_f1(void) { heap.nonempty ^= 1; }
static void break_f2(void) { freelist_remove(a_free_block(SLOT_ORDER)); }
static void break_f3(void) { a_free_block(SLOT_ORDER)->prev = 12345; }
static void break_l1(void) { slot_holding(large)[1].kind = SLOT_NONE; }
static void break_l2(void) { arena_mine->kept[0] = mine_in(PLACE_CURRENT); }
static void break_s1(void) {
  struct slot *slot = arena_mine->fresh[block_class_of(SIZE)];
  slot->states[slot_index(slot, slot->fresh)] = BLOCK_USED;
}
static void break_s2(void) {
  struct slot *slot = mine_in(PLACE_LISTED);
  *slot_state(slot, (uintptr_t)slot->free) = BLOCK_USED;
}
static void break_s3(void) { mine_in(PLACE_FULL)->used++; }
static void break_s4(void) {
  struct slot *slot = mine_in(PLACE_LISTED);
  slot->free->next = (struct block *)((uintptr_t)slot->free + 16);
}
static void break_a1(void) { arena_mine->blocks[block_class_of(SIZE)].first = mine_in(PLACE_LISTED)->free; }
static void break_a2(void) { slot_list_remove(&arena_mine->full, mine_in(PLACE_FULL)); }
static void break_a3(void) { mine_in(PLACE_LISTED)->free = NULL; }
static void break_a4(void) { arena_mine->fresh[block_class_of(SIZE)] = NULL; }
static void break_a5(void) { arenas.all->life == ARENA_IDLE ? (arenas.all->full.first = 1) : (arenas.all->next->full.first = 1); }
static void break_a6(void) {
  struct slot *slot = mine_in(PLACE_LISTED);
  struct block *free = slot->free;
  park_put(arena_mine, slot);
  CHECK_EQ(bm_check(), 0);
  slot->free = free;
}
static void break_r1(void) {
  free(theirs[1]); /* waits in a batch of this thread's */
  CHECK_EQ(*slot_state(slot_holding(theirs[1]), (uintptr_t)theirs[1]), BLOCK_REMOTE);
  *slot_state(slot_holding(theirs[1]), (uintptr_t)theirs[1]) = BLOCK_USED;
}
static void break_r2(void) {
  free(theirs[1]);
  arena_mine->remote = (uintptr_t)theirs[1] | 1; /* a single block: it lies in a batch already */
  ((struct block *)theirs[1])->next = NULL;
}
static void break_r3(void) {
  struct arena *idle = arenas.all->life == ARENA_IDLE ? arenas.all : arenas.all->next;
  ((struct block *)theirs[1])->next = NULL;
  idle->remote = (uintptr_t)theirs[1] | 1; /* a single block */
}
static void break_p1(void) {
  struct slot *slot = an_orphan();
  slot_list_remove(slot->place == PLACE_FULL ? &orphanage.full : &orphanage.listed[slot->class], slot);
}
static void break_p2(void) { an_orphan()->used = 0; }
static void break_p3(void) {
  struct slot *slot = an_orphan();
  while (slot->prev != 0) slot = slot_at(slot->prev);
  slot->place = PLACE_TORN;
}

static struct huge_entry *entry_of(const void *block) {
  for (size_t i = 0; i < huge_capacity; i++)
    if (huge_entries[i].address == (uintptr_t)block) return &huge_entries[i];
  harness_fail(__FILE__, __LINE__, "no entry");
}
static void break_h1(void) { entry_of(huge)->bytes++; }
static void break_h2(void) {
  struct huge_entry *entry = entry_of(huge), *other = &huge_entries[(size_t)(entry - huge_entries + 7) % huge_capacity];
  CHECK_EQ(other->address, 0);
  *other = *entry;
  entry->address = entry->bytes = 0;
}
static void break_h3(void) { entry_of(huge)->bytes += OS_PAGE; }

static const struct {
  const char *label;
  void (*damage)(void);
} rows[] = {
    {"violated: C1 ", break_c1}, {"violated: C2 ", break_c2}, {"violated: C3 ", break_c3}, {"violated: C4 ", break_c4},
    {"violated: F1 ", break_f1}, {"violated: F2 ", break_f2}, {"violated: F3 ", break_f3}, {"violated: L1 ", break_l1},
    {"violated: L2 ", break_l2}, {"violated: S1 ", break_s1}, {"violated: S2 ", break_s2}, {"violated: S3 ", break_s3},
    {"violated: S4 ", break_s4}, {"violated: A1 ", break_a1}, {"violated: A2 ", break_a2}, {"violated: A3 ", break_a3},
    {"violated: A4 ", break_a4}, {"violated: A5 ", break_a5}, {"violated: A6 ", break_a6}, {"violated: R1 ", break_r1},
    {"violated: R2 ", break_r2}, {"violated: R3 ", break_r3}, {"violated: P1 ", break_p1}, {"violated: P2 ", break_p2},
    {"violated: P3 ", break_p3}, {"violated: H1 ", break_h1}, {"violated: H2 ", break_h2}, {"violated: H3 ", break_h3},
};

TEST_IF(NEEDS_EXACT, "the walker is content, and then names each invariant that is broken on purpose") {
  large = malloc(500000);
  huge = malloc(5000000);
  fill_mine();
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, fill_theirs, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(bm_check(), 0);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CHECK_WRITES(rows[i].label, {
      rows[i].damage();
      CHECK(bm_check() >= 1);
    });
}
