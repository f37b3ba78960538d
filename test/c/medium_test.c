/* medium_test.c: the stock of blocks above 1 KiB. */
#include "harness.h"

#include "arena.h"
#include "buddymalloc.h"
#include "slot.h"

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
