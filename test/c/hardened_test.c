/* hardened_test.c: the inside of the hardened build: its walker names what is broken, and blocks of no bytes are told apart. */
#include "harness.h"

#include "arena.h"
#include "door.h"
#include "os.h"
#include "slot.h"

#include <string.h>
#include <unistd.h>

enum { COUNT = 100, SIZE = 200, LARGE = 100000 };
static char *blocks[COUNT];
static char *large;

static char *in_quarantine(void) {
  const struct quarantine *quarantine = &arena_mine->quarantine;
  for (size_t i = 0; i < sizeof quarantine->small / sizeof quarantine->small[0]; i++)
    if (quarantine->small[i] != NULL) return (char *)quarantine->small[i];
  harness_fail(__FILE__, __LINE__, "nothing is in quarantine");
}

/* The place of a block, or with NULL one that is empty. */
static struct block **place_of(const void *block) {
  struct quarantine *quarantine = &arena_mine->quarantine;
  for (size_t i = 0; i < sizeof quarantine->small / sizeof quarantine->small[0]; i++)
    if (quarantine->small[i] == block) return &quarantine->small[i];
  harness_fail(__FILE__, __LINE__, "no such place");
}

static uint8_t *state_of(const void *block) { return slot_state(slot_of((uintptr_t)block), (uintptr_t)block); }

/* The guard before a slot's first block. */
static void break_q1_guard(void) { ((char *)slot_block(slot_of((uintptr_t)blocks[1]), 1))[-1] ^= 2; }
static void break_q1_slack(void) { blocks[1][SIZE] ^= 2; }
static void break_q2(void) { in_quarantine()[100] = 1; }
static void break_q4_lost(void) { *place_of(in_quarantine()) = NULL; }
static void break_q4_twice(void) { *place_of(NULL) = (struct block *)in_quarantine(); }
static void break_q4_state(void) {
  char *block = in_quarantine();
  *state_of(block) = BLOCK_REMOTE;
}
static void break_q4_used(void) { *place_of(NULL) = (struct block *)blocks[1]; }
static void break_k1(void) { large[5000] = 1; }

static const struct {
  const char *label;
  void (*damage)(void);
} rows[] = {
    {"violated: Q1 the guard before", break_q1_guard},
    {"violated: Q1 the slack", break_q1_slack},
    {"violated: Q2 ", break_q2},
    {"violated: Q4 a block in quarantine has a place", break_q4_lost},
    {"violated: Q4 a block has one place in quarantine", break_q4_twice},
    {"violated: Q4 a block in quarantine says so", break_q4_state},
    {"violated: Q4 a block in quarantine says so", break_q4_used},
    {"violated: K1 ", break_k1},
};

TEST("the hardened walker is content, and then names each invariant that is broken on purpose") {
  for (size_t i = 0; i < COUNT; i++) blocks[i] = malloc(SIZE);
  for (size_t i = 0; i < COUNT; i += 10) free(blocks[i]);
  large = malloc(LARGE);
  memset(large, 'x', LARGE);
  free(large);
  CHECK_EQ(bm_check(), 0);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CHECK_WRITES(rows[i].label, {
      rows[i].damage();
      CHECK(bm_check() >= 1);
    });
  for (size_t i = 0; i < COUNT; i++)
    if (i % 10 != 0) free(blocks[i]);
}

TEST("an address of no bytes is in the program's hands from malloc(0) to free(), and at no other time") {
  char *block = malloc(0), *other = malloc(0);
  CHECK_EQ(malloc_usable_size(block), 0);
  CHECK_FATAL("invalid pointer", block + 1, free(block + 1));
  CHECK_FATAL("invalid pointer", other + 4096, free(other + 4096)); /* not handed out yet */
  free(block);
  CHECK_FATAL("double free", block, free(block));
  CHECK_FATAL("double free", block, block = realloc(block, 10));
  CHECK_FATAL("double free", block, _exit((int)malloc_usable_size(block)));
  block = realloc(other, 100);
  CHECK_EQ(malloc_usable_size(block), 100);
  CHECK_FATAL("double free", other, free(other));
  free(block);
}

TEST("an address of no bytes comes again only when all others were handed out") {
  void *first = malloc(0);
  free(first);
  size_t count = 1;
  for (void *block; (block = malloc(0)) != first; count++) free(block);
  CHECK_GE(count, 1 << 20);
  CHECK_EQ(malloc_usable_size(first), 0);
  free(first);
}
