/* arithmetic.c: the library's own arithmetic, compiled: for every input where they can be counted, and on request at
 * single points, where the proofs' models of it are compared with it.
 *
 * arithmetic enumerate: checks all, prints how many inputs of what; exits with 1 at the first that is wrong.
 * arithmetic evaluate: reads lines of a name and three numbers, writes a number for each. */
#include "block.h"
#include "heap.h"
#include "os.h"
#include "region.h"
#include "slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t counted;

static void fail(const char *what, uint64_t a, uint64_t b) {
  printf("wrong: %s: %" PRIu64 ", %" PRIu64 "\n", what, a, b);
  exit(1);
}
#define EXPECT(condition, a, b) ((condition) ? (void)counted++ : fail(#condition, a, b))

static void report(const char *what) {
  printf("%" PRIu64 " %s\n", counted, what);
  counted = 0;
}

/* ---- Every input --------------------------------------------------------------------------------- */

static void size_to_class(void) {
  for (size_t size = 0; size <= SLOT_BLOCK_MAX; size++) {
    unsigned class = block_class_of(size);
    EXPECT(class < CLASS_COUNT && block_classes[class].size >= size, size, class);
    EXPECT(class == 0 || block_classes[class - 1].size < size, size, class);
  }
  report("sizes of a block to their class and back");
  for (size_t alignment = 1; alignment <= 2 * SLOT_BLOCK_MAX; alignment *= 2)
    for (size_t size = 0; size <= SLOT_BLOCK_MAX; size++) {
      unsigned class = block_aligned_class(alignment, size);
      EXPECT(class == CLASS_COUNT ||
                 (block_classes[class].size >= size && block_classes[class].size % alignment == 0), alignment, size);
      for (unsigned smaller = block_class_of(size); smaller < class && smaller < CLASS_COUNT; smaller++)
        EXPECT(block_classes[smaller].size % alignment != 0 || block_classes[smaller].size < size, alignment, size);
    }
  report("sizes with an alignment");
}

static void pointer_to_block(void) {
  for (unsigned class = 0; class < CLASS_COUNT; class++) {
    struct slot slot = {.reciprocal = block_classes[class].reciprocal, .start_limit = block_classes[class].reciprocal};
    uint32_t size = block_classes[class].size;
    for (uint32_t offset = 0; offset < SLOT_BYTES; offset++) {
      uint64_t product = slot_product(&slot, offset);
      EXPECT(product >> 32 == offset / size, class, offset);
      EXPECT(slot_is_start(&slot, product) == (offset % size == 0), class, offset);
    }
  }
  report("offsets in a slot of each class");
}

/* For every slot of two chunks: the turns name every block once. */
static void tiling(void) {
  static struct slot slots[2 * CHUNK_SLOTS];
  static uint8_t taken[SLOT_BYTES / 16];
  heap.slots = slots;
  heap.base = CHUNK_BYTES;
  for (unsigned number = 0; number < 2 * CHUNK_SLOTS; number++)
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
      const struct block_class *shape = &block_classes[class];
      struct slot *slot = &slots[number];
      slot->class = (uint8_t)class;
      memset(taken, 0, sizeof taken);
      EXPECT(slot_start(slot) < shape->capacity, number, class);
      EXPECT((shape->capacity + 1u) * shape->size > SLOT_BYTES, number, class);
      for (uint32_t turn = 0; turn < slot_capacity(slot); turn++) {
        uint32_t index = slot_index(slot, turn);
        EXPECT(index < shape->capacity && !taken[index], number, turn);
        taken[index] = 1;
        uintptr_t address = (uintptr_t)slot_block(slot, index);
        EXPECT(slot_of(address) == slot && slot_of(address + shape->size - 1) == slot, number, turn);
        EXPECT(address % (shape->size & (0u - shape->size)) == 0, number, turn);
      }
      for (uint32_t index = 0; index < shape->capacity; index++) EXPECT(taken[index], number, index);
    }
  report("blocks of slots, tiled");
}

static void large_slots(void) {
  size_t before = 0;
  for (size_t size = SLOT_BLOCK_MAX + 1; size <= LARGE_MAX; size++) {
    size_t slots = block_large_slots(size), whole = 1;
    while (whole < slots) whole *= 2;
    EXPECT(slots * SLOT_BYTES >= size && slots <= CHUNK_SLOTS && slots >= before, size, slots);
    /* Less than an eighth of the power of two, or a slot, is lost. */
    size_t eighth = whole >= 8 ? whole / 8 : 1;
    EXPECT(BM_PLAIN_BUDDY || (slots % eighth == 0 && slots * SLOT_BYTES - size < eighth * SLOT_BYTES), size, slots);
    before = slots;
  }
  report("sizes of whole slots");
}

/* The pool: sizes to eighths of powers of two of units. */
static void region_fits(void) {
  size_t before = 0;
  for (size_t bytes = 0; bytes <= (size_t)1 << 24; bytes++) {
    struct fit fit = region_fit_of(bytes);
    size_t got = region_fit_bytes(fit);
    EXPECT(got >= bytes && got >= before && got % UNIT_BYTES == 0, bytes, got);
    EXPECT(fit.eighths >= 5 && fit.eighths <= 8 && (fit.level >= 3 || fit.eighths == 8), bytes, fit.eighths);
    EXPECT(bytes == 0 || fit.level < 3 || got - bytes < UNIT_BYTES << (fit.level - 3), bytes, got);
    before = got;
  }
  report("sizes of a pool's blocks");
}

static int enumerate(void) {
  size_to_class();
  pointer_to_block();
  tiling();
  large_slots();
  region_fits();
  return 0;
}

/* ---- Single points --------------------------------------------------------------------------------- */

static uint64_t evaluate_one(const char *name, uint64_t a, uint64_t b, uint64_t c) {
  size_t product;
  if (strcmp(name, "os_round_up") == 0) return os_round_up(a);
  if (strcmp(name, "block_order") == 0) return block_order(a);
  if (strcmp(name, "block_buddy") == 0) return block_buddy(a, (unsigned)b);
  if (strcmp(name, "reciprocal") == 0) return b < CLASS_COUNT ? block_classes[b].reciprocal : 0;
  if (strcmp(name, "class_size") == 0) return b < CLASS_COUNT ? block_classes[b].size : 0;
  if (strcmp(name, "mul_overflow") == 0) return __builtin_mul_overflow(a, b, &product);
  heap.base = b;
  heap.span = c;
  heap.slots = NULL;
  if (strcmp(name, "heap_contains") == 0) return (uint64_t)heap_contains(a);
  if (strcmp(name, "slot_number") == 0) return (uintptr_t)slot_of(a) / sizeof(struct slot);
  if (strcmp(name, "slot_product") == 0) return slot_product(&(struct slot){.reciprocal = b}, a);
  if (strcmp(name, "slot_is_start") == 0) return (uint64_t)slot_is_start(&(struct slot){.start_limit = (uint32_t)b}, a);
  if (strcmp(name, "heap_round_up") == 0) return heap_round_up(a);
  fail(name, a, b);
  return 0;
}

int main(int count, char **arguments) {
  char name[32];
  uint64_t a, b, c;
  if (count > 1 && strcmp(arguments[1], "enumerate") == 0) return enumerate();
  while (scanf("%31s %" SCNu64 " %" SCNu64 " %" SCNu64, name, &a, &b, &c) == 4) printf("%" PRIu64 "\n", evaluate_one(name, a, b, c));
  return 0;
}
