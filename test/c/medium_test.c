/* medium_test.c: the stock of blocks above 1 KiB. */
#include "harness.h"

#include "arena.h"
#include "buddymalloc.h"
#include "medium.h"
#include "slot.h"

#include <string.h>
#include <sys/mman.h>

enum { SIZE = 1280, COUNT = 2000 };

static size_t slots_of_class(unsigned class) {
  size_t count = 0;
  for (uint32_t number = CHUNK_SLOTS; number < heap.top; number++)
    count += slot_at(number)->kind == SLOT_CUT && slot_at(number)->class == class;
  return count;
}

static void *blocks[COUNT];

static void fill(void) {
  for (size_t i = 0; i < COUNT; i++) CHECK((blocks[i] = bm_malloc(SIZE)) != NULL);
}

TEST_OURS("the medium block that was freed last is handed out first, from whichever slot it is") {
  fill();
  for (size_t i = 0; i < COUNT; i += 97) {
    bm_free(blocks[i]);
    bm_free(blocks[COUNT - 1 - i]);
    CHECK_EQ(bm_malloc(SIZE), blocks[COUNT - 1 - i]);
    CHECK_EQ(bm_malloc(SIZE), blocks[i]);
  }
  CHECK_EQ(bm_check(), 0);
}

TEST_OURS("slots whose medium blocks are all free go back at once, though the stock has some of them") {
  unsigned class = block_class_of(SIZE);
  fill();
  size_t before = slots_of_class(class);
  CHECK_GE(before, COUNT / (SLOT_BYTES / SIZE));
  /* In an order in which every slot has its last block freed near the end. */
  for (size_t i = 0, at = 0; i < COUNT; i++, at = (at + 777) % COUNT) bm_free(blocks[at]);
  CHECK_LE(slots_of_class(class), 3);
  CHECK_EQ(bm_check(), 0);
}

static void free_in_disorder(void) {
  for (size_t i = 0, at = 0; i < COUNT; i++, at = (at + 777) % COUNT) bm_free(blocks[at]);
}

TEST_IF(NEEDS_OURS | NEEDS_SIZES, "a medium class whose slots come and go keeps more of them, until it is looked through") {
  unsigned class = block_class_of(SIZE);
  fill();
  free_in_disorder();
  CHECK_LE(slots_of_class(class), 3);
  CHECK_EQ(arena_mine->blocks[class].limit, MEDIUM_STOCK_SLOTS * block_classes[class].capacity);
  fill();
  CHECK_EQ(arena_mine->blocks[class].limit, MEDIUM_STOCK_MOST * block_classes[class].capacity);
  free_in_disorder();
  CHECK_GE(arena_mine->blocks[class].count, 2 * block_classes[class].capacity);
  CHECK_EQ(bm_check(), 0);
  medium_tidy(arena_mine, class);
  CHECK_LE(slots_of_class(class), 2);
  CHECK_EQ(arena_mine->blocks[class].limit, MEDIUM_STOCK_SLOTS * block_classes[class].capacity);
  CHECK_EQ(bm_check(), 0);
}

TEST_OURS("the stocks of all medium classes have room in the arena") {
  CHECK(bm_malloc(SIZE) != NULL); /* the thread has an arena now */
  const struct stock *last = &arena_mine->blocks[CLASS_COUNT - 1];
  CHECK_LE((size_t)(last->blocks - arena_mine->medium) + medium_capacity(CLASS_COUNT - 1), MEDIUM_STOCK_TOTAL);
  for (unsigned class = SMALL_CLASS_COUNT; class + 1 < CLASS_COUNT; class++)
    CHECK_EQ(arena_mine->blocks[class].blocks + medium_capacity(class), arena_mine->blocks[class + 1].blocks);
}

TEST_IF(NEEDS_OURS | NEEDS_SIZES | NEEDS_NATIVE, "a medium block is not touched while it is free, nor before it is handed out") {
  fill();
  for (size_t i = 0; i < COUNT; i++) memset(blocks[i], 0x5a, SIZE);
  static const char *freed[COUNT];
  memcpy(freed, blocks, sizeof freed);
  for (size_t i = 0; i < COUNT; i += 2) bm_free(blocks[i]);
  for (size_t i = 0; i < COUNT; i += 2)
    for (size_t at = 0; at < SIZE; at++) CHECK_EQ(freed[i][at], 0x5a);
  const char *first = bm_malloc(32768), *second = bm_malloc(32768);
  CHECK_EQ((uintptr_t)first / SLOT_BYTES, (uintptr_t)second / SLOT_BYTES);
  unsigned char present[16];
  CHECK_EQ(mincore((void *)((uintptr_t)first & ~(SLOT_BYTES - 1)), SLOT_BYTES, present), 0);
  for (unsigned page = 0; page < 16; page++) CHECK_EQ(present[page] & 1, 0);
}

TEST_IF(NEEDS_OURS | NEEDS_SIZES, "a slot of a medium class is carved at once, by one refill") {
  const void *block = bm_malloc(20000);
  CHECK(block != NULL);
  const struct slot *slot = slot_of((uintptr_t)block);
  CHECK_EQ(slot->fresh, slot_capacity(slot));
  CHECK_EQ(slot->in_stock, slot_capacity(slot) - 1);
}
