/* shadow.c: see shadow.h. Large blocks are written at steps, so that a run is not spent on their pages. */
#include "shadow.h"

#include "buddymalloc.h"

#include <stdio.h>
#include <stdlib.h>

/* Every word of blocks up to this size is written; of larger ones the ends, and one word at every STEP bytes. */
#define WHOLE ((size_t)8 << 10)
#define STEP ((size_t)64 << 10)

struct shadow shadows[BLOCKS];
struct herd herds[HERDS];
static uint64_t next_seed;

_Noreturn void bug(const char *reason, const void *address) {
  fprintf(stderr, "found: %s: %p\n", reason, address);
  abort();
}

static unsigned char byte_at(uint64_t seed, size_t index) { return (unsigned char)(seed + index * 7 + (index >> 8) * 13); }

/* Call `visit` for every offset that is written. */
static void each(const unsigned char *address, size_t size, void (*visit)(unsigned char *, size_t, uint64_t), uint64_t seed) {
  unsigned char *bytes = (unsigned char *)(uintptr_t)address;
  size_t head = size <= WHOLE ? size : WHOLE / 2;
  for (size_t i = 0; i < head; i++) visit(bytes, i, seed);
  if (size <= WHOLE) return;
  /* By address, so that blocks that overlap or follow each other meet at the same bytes. */
  for (size_t i = STEP - ((uintptr_t)address & (STEP - 1)); i < size; i += STEP)
    if (i >= head) visit(bytes, i, seed);
  for (size_t i = size - WHOLE / 2 < head ? head : size - WHOLE / 2; i < size; i++) visit(bytes, i, seed);
}

static void write_byte(unsigned char *bytes, size_t i, uint64_t seed) { bytes[i] = byte_at(seed, i); }

static void expect_byte(unsigned char *bytes, size_t i, uint64_t seed) {
  if (bytes[i] != byte_at(seed, i)) bug("a block's contents have changed", bytes + i);
}

static void expect_zero(unsigned char *bytes, size_t i, uint64_t seed) {
  (void)seed;
  if (bytes[i] != 0) bug("a zeroed block is not zero", bytes + i);
}

static void expect_apart(const unsigned char *address, size_t usable, const unsigned char *held, size_t held_size) {
  if (held == NULL || address + usable <= held || held + held_size <= address) return;
  bug("memory was handed out twice", address);
}

static void expect_own(const void *block, size_t size, size_t alignment) {
  const unsigned char *address = block;
  size_t usable = bm_malloc_usable_size(block);
  if (usable < size) bug("a block is smaller than asked for", block);
  if (usable == 0) usable = 1; /* of no bytes: nobody else's address all the same */
  if ((uintptr_t)block % 16 != 0 || (uintptr_t)block % alignment != 0) bug("a block is not aligned", block);
  for (unsigned i = 0; i < BLOCKS; i++)
    expect_apart(address, usable, shadows[i].address, shadows[i].size == 0 ? 1 : shadows[i].size);
  for (unsigned h = 0; h < HERDS; h++)
    for (unsigned i = 0; i < HERD_MAX; i++) expect_apart(address, usable, herds[h].blocks[i], herds[h].size);
}

void shadow_hold(struct shadow *shadow, void *address, size_t size, size_t alignment) {
  expect_own(address, size, alignment);
  *shadow = (struct shadow){address, size, alignment, ++next_seed * 0x9e37};
  each(address, size, write_byte, shadow->seed);
}

void shadow_verify(const struct shadow *shadow) { each(shadow->address, shadow->size, expect_byte, shadow->seed); }

void shadow_verify_head(const struct shadow *shadow, const void *moved, size_t size) {
  /* What is written beyond it depends on the address. */
  size_t head = shadow->size <= WHOLE ? shadow->size : WHOLE / 2;
  for (size_t i = 0; i < head && i < size; i++) expect_byte((unsigned char *)(uintptr_t)moved, i, shadow->seed);
}

void shadow_is_zero(const void *address, size_t size) { each(address, size, expect_zero, 0); }

void herd_hold(struct herd *herd, unsigned at, void *block) {
  if ((uintptr_t)block % 16 != 0) bug("a block is not aligned", block);
  herd->blocks[at] = block;
  each(block, herd->size < 64 ? herd->size : 64, write_byte, herd->seed + at);
}

void herd_verify(const struct herd *herd, unsigned at) {
  each(herd->blocks[at], herd->size < 64 ? herd->size : 64, expect_byte, herd->seed + at);
}

size_t shadow_held_at(const void *address) {
  for (unsigned i = 0; i < BLOCKS; i++)
    if (shadows[i].address != NULL && shadows[i].address == address) return shadows[i].size == 0 ? 1 : shadows[i].size;
  for (unsigned h = 0; h < HERDS; h++)
    for (unsigned i = 0; i < HERD_MAX; i++)
      if (herds[h].blocks[i] != NULL && herds[h].blocks[i] == address) return herds[h].size;
  return 0;
}

uint64_t shadow_count(void) {
  uint64_t count = 0;
  for (unsigned i = 0; i < BLOCKS; i++) count += shadows[i].address != NULL;
  for (unsigned h = 0; h < HERDS; h++)
    for (unsigned i = 0; i < HERD_MAX; i++) count += herds[h].blocks[i] != NULL;
  return count;
}
