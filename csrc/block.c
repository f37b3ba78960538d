/* block.c: the classes of blocks.
 *
 * Invariant: B1  a class's size is 2^k, or 5, 6 or 7 eighths, 9 sixteenths or 17 thirty-seconds of 2^k, and a multiple of 16.
 *            B2  for every offset below 64 KiB, the high word of offset * reciprocal is
 *                offset / size, and the low word is below reciprocal if and only if size
 *                divides offset (the sizes are small enough for the error to vanish).
 *            B3  a block is aligned to the largest power of two that divides its size. */
#include "block.h"

#define CAPACITY(size) ((1u << SLOT_ORDER) / (size))
#define CLASS(size) { (size), CAPACITY(size), (uint32_t)(((UINT64_C(1) << 32) + (size) - 1) / (size)) }
/* The classes in (2^(order - 1), 2^order]. */
#define EIGHTHS(order) \
  CLASS(5u << ((order) - 3)), CLASS(6u << ((order) - 3)), CLASS(7u << ((order) - 3)), CLASS(1u << (order))
/* The same, and half of 2^order with a sixteenth or an eighth more. */
#define WITH_17TH(order) CLASS(17u << ((order) - 5)), EIGHTHS(order)
#define WITH_9TH(order) CLASS(9u << ((order) - 4)), EIGHTHS(order)

const struct block_class block_classes[CLASS_COUNT] = {
    CLASS(16u),  CLASS(32u),  CLASS(48u),  CLASS(64u),  CLASS(80u),  CLASS(96u),
    CLASS(128u), CLASS(160u), CLASS(192u), CLASS(256u), CLASS(320u), CLASS(384u),
    CLASS(512u), CLASS(640u), CLASS(768u), CLASS(1024u),
    WITH_17TH(11), WITH_17TH(12), WITH_9TH(13), WITH_9TH(14), WITH_9TH(15)};

#define SELF(class) class
const uint8_t block_step_class[SMALL_STEP_COUNT] = BLOCK_STEPS(SELF);

unsigned block_aligned_class(size_t alignment, size_t size) {
  if (size > SLOT_BLOCK_MAX || alignment > SLOT_BLOCK_MAX) return CLASS_COUNT;
  unsigned class = block_class_of(size < alignment ? alignment : size);
  while (class < CLASS_COUNT) {
    uint32_t bytes = block_classes[class].size;
    if ((bytes & (0u - bytes)) >= alignment) break;
    class++;
  }
  return class;
}

size_t block_large_slots(size_t size) {
  unsigned order = block_order(size);
  if (order <= SLOT_ORDER) return 1;
#if BM_PLAIN_BUDDY
  return (size_t)1 << (order - SLOT_ORDER);
#else
  /* In eighths of the power of two, but never less than whole slots. */
  unsigned step_order = order - 3 > SLOT_ORDER ? order - 3 : SLOT_ORDER;
  return (((size - 1) >> step_order) + 1) << (step_order - SLOT_ORDER);
#endif
}
