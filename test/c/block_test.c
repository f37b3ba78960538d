/* block_test.c: the arithmetic of block.h, for every input where they can be counted. */
#include "harness.h"

#include "block.h"

#include <unistd.h>

/* Capacity of a slot, from the sentence and not from the code. */
#define SLOT_SIZE 65536u

static int is_class_used(unsigned class) {
#if BM_PLAIN_BUDDY
  uint32_t size = block_classes[class].size;
  return (size & (size - 1)) == 0;
#else
  (void)class;
  return 1;
#endif
}

TEST("B1: every class is a power of two, 5, 6 or 7 eighths of one, 9 sixteenths or 17 thirty-seconds, and a multiple of 16") {
  for (unsigned class = 0; class < CLASS_COUNT; class++) {
    uint32_t size = block_classes[class].size;
    uint32_t odd = size >> __builtin_ctz(size);
    CHECK(odd == 1 || odd == 3 || odd == 5 || odd == 7 || odd == 9 || odd == 17);
    CHECK(odd != 7 || size > 1024);
    CHECK(odd != 9 || size > 4096);
    CHECK(odd != 17 || (size > 1024 && size < 4096));
    CHECK_EQ(size % 16, 0);
    CHECK(class == 0 || size > block_classes[class - 1].size);
    CHECK_EQ(block_classes[class].capacity, SLOT_SIZE / size);
  }
}

TEST("a request takes the smallest class that holds it, for every size up to 32 KiB") {
  for (size_t size = 0; size <= SLOT_BLOCK_MAX; size++) {
    unsigned expected = 0;
    while (block_classes[expected].size < size || !is_class_used(expected)) expected++;
    CHECK_EQ(block_class_of(size), expected);
  }
}

TEST("B2: the reciprocal tells the index of a block, and whether one begins there, at every offset of every class") {
  for (unsigned class = 0; class < CLASS_COUNT; class++) {
    uint64_t reciprocal = block_classes[class].reciprocal;
    uint32_t size = block_classes[class].size;
    for (uint32_t offset = 0; offset < SLOT_SIZE; offset++) {
      uint64_t product = offset * reciprocal;
      CHECK_EQ(product >> 32, offset / size);
      CHECK_EQ((uint32_t)product < reciprocal, offset % size == 0);
    }
  }
}

TEST("B3: a block is aligned to the largest power of two that divides its size") {
  for (unsigned class = 0; class < CLASS_COUNT; class++) {
    uint32_t size = block_classes[class].size;
    for (uint32_t index = 0; index < block_classes[class].capacity; index++)
      CHECK_EQ(index * size % (size & (0u - size)), 0);
  }
}

TEST("an aligned request takes the smallest class whose blocks all lie so, or none") {
  for (size_t alignment = 1; alignment <= SLOT_SIZE; alignment *= 2)
    for (size_t size = 0; size <= SLOT_BLOCK_MAX + 1; size += size < 2000 ? 1 : 61) {
      unsigned expected = 0;
      while (expected < CLASS_COUNT &&
             (block_classes[expected].size < size || block_classes[expected].size % alignment != 0 ||
              !is_class_used(expected)))
        expected++;
      unsigned class = block_aligned_class(alignment, size);
      CHECK(class == CLASS_COUNT || block_classes[class].size % alignment == 0);
      CHECK(class == CLASS_COUNT || block_classes[class].size >= size);
      CHECK_EQ(class, expected);
    }
}

TEST("the order of a size is the smallest power of two that holds it, and its level counts from 16 bytes") {
  for (unsigned order = 4; order < 62; order++) {
    size_t size = (size_t)1 << order;
    CHECK_EQ(block_order(size), order);
    CHECK_EQ(block_order(size + 1), order + 1);
    CHECK_EQ(block_level(size), order - 4);
  }
  CHECK_EQ(block_order(0), 4);
  CHECK_EQ(block_order(1), 4);
}

TEST("buddies differ in one address bit, that of their order, and each is the other's buddy") {
  for (unsigned order = 4; order < 47; order++)
    for (uintptr_t number = 0; number < 64; number++) {
      uintptr_t address = ((uintptr_t)0x5555 << 32) + (number << order);
      uintptr_t buddy = block_buddy(address, order);
      CHECK_EQ(address ^ buddy, (uintptr_t)1 << order);
      CHECK_EQ(block_buddy(buddy, order), address);
    }
}

TEST("a large request takes the fewest slots that make a power of two or an eighth's multiple of one") {
  for (size_t size = SLOT_BLOCK_MAX + 1; size <= LARGE_MAX; size += 509) {
    size_t slots = block_large_slots(size);
    CHECK_GE(slots * SLOT_SIZE, size);
    size_t whole = 1;
    while (whole < slots) whole *= 2;
#if BM_PLAIN_BUDDY
    CHECK_EQ(slots, whole);
#else
    size_t step = whole >= 8 ? whole / 8 : 1;
    CHECK_EQ(slots % step, 0);
    CHECK(slots == 1 || (slots - step) * SLOT_SIZE < size || slots <= whole / 2 + step);
#endif
  }
}
