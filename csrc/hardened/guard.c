/* guard.c: what the hardened build does where slots are cut, carved, purged and checked (see ../guard.h).
 *
 * Owner:     the secrets are constant after guard_init().
 * Cost:      a store a block that is carved, and a pass over it where its memory was used before. */
#include "../guard.h"

#include "../arena.h"
#include "../os.h"
#include "../slot.h"
#include "pattern.h"

#include <string.h>

_Alignas(4096) union pattern_page pattern_page;

int guard_init(void) {
  uint64_t *words = pattern_page.secret.words;
  for (unsigned i = 0; i < 4; i++) words[i] = os_random() | 1;
  if (sizeof pattern_page % OS_PAGE == 0) os_seal(&pattern_page, sizeof pattern_page);
  return 1;
}

/* ---- Blocks ----------------------------------------------------------------------------------- */

void guard_carve(struct block *block, uint32_t size, uint32_t count, int used_before) {
  for (; count > 0; count--) {
    if (used_before) {
      pattern_wipe(block, size, pattern_key_of(block, size));
    } else {
      uint64_t *tail = pattern_tail(block, size);
      pattern_set_tail(tail, pattern_key(tail));
    }
    block = (struct block *)((uintptr_t)block + size);
  }
}

/* What is left of it are zeros, its old tail, and an old link, which a new one replaces. The guard before the slot's first
 * block is never handed out, and its tail went with the page of that block. */
void guard_unpurge(struct block *block, uint32_t size) {
  uint64_t *tail = pattern_tail(block, size), *before = (uint64_t *)block - 1;
  pattern_set_tail(tail, pattern_key(tail));
  if ((uintptr_t)block % SLOT_BYTES == size) pattern_set_tail(before, pattern_key(before));
  /* release: who finds the block not purged any more finds the tail; see verbs.c. Not for TSan, which knows no fences:
   * to it the tail's accesses are atomic, and that is all it asks. */
#if !defined(__SANITIZE_THREAD__)
  __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

void guard_forked(struct block *block, uint32_t size) { pattern_wipe(block, size, pattern_key_of(block, size)); }

int guard_check(const struct slot *slot, void (*report)(const char *invariant, const void *address)) {
  uint32_t size = block_classes[slot->class].size;
  int damaged = 0;
  /* Its tail goes with the page of the first block, and comes back with it. */
  const struct block *first = slot_block(slot, SLOT_GUARDS);
  if (slot_state_of(slot, SLOT_GUARDS) != BLOCK_PURGED && !pattern_is_tail((const uint64_t *)first - 1))
    damaged++, report("Q1 the guard before a slot's first block is whole", first);
  for (uint32_t turn = 0; turn < slot->fresh; turn++) {
    uint32_t index = slot_index(slot, turn);
    const struct block *block = slot_block(slot, index);
    uint8_t state = slot_state_of(slot, index);
    /* In a forked child there are blocks that vanished threads were about to hand out. */
    if (state == BLOCK_USED && !arenas.forked && pattern_request(block, size, pattern_key_of(block, size)) == PATTERN_BROKEN)
      damaged++, report("Q1 the slack of a used block is whole", block);
    if (state != BLOCK_USED && state != BLOCK_PURGED && !pattern_is_wiped(block, size))
      damaged++, report("Q2 a free block holds nothing", block);
  }
  return damaged;
}
