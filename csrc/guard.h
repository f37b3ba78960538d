/* guard.h: where the hardened build steps in. In the default build every function here is nothing, or the plain
 * thing, and leaves no instruction behind; what the hardened ones do is in hardened/. */
#ifndef BM_GUARD_H
#define BM_GUARD_H

#include "block.h"

#include <stddef.h>
#include <stdint.h>

struct arena;
struct slot;

#if BM_HARDENED
#include "hardened/pattern.h"

/* The word for a block that free() has looked at and now gives back: it comes out of the quarantine. */
#define GUARD_LEAVING BLOCK_QUARANTINED

/* The link of a block on a list of its slot; fatal if somebody wrote over it. */
static inline struct block *guard_next(const struct block *block) { return pattern_next(block); }
static inline void guard_link(struct block *block, struct block *next) { pattern_link(block, next); }
/* A block of a medium class goes to rest, on no list; and comes out of it: fatal if somebody wrote there. */
static inline void guard_rest(struct block *block) { block->next = NULL; }
static inline void guard_rested(const struct block *block) {
  if (UNLIKELY(block->next != NULL)) fatal(FATAL_WRITE_AFTER_FREE, block);
}
/* A word of a queue, to be written at `where`; and read again. */
static inline uintptr_t guard_encode(const void *where, uintptr_t word) { return pattern_encode(where, word); }
static inline uintptr_t guard_decode(const void *where, uintptr_t word) { return pattern_decode(where, word); }

/* Before the first block: 1, or 0 if there is no memory. */
int guard_init(void);
/* `count` blocks of `size` bytes from `block` on leave untouched memory, or memory that was used before. */
void guard_carve(struct block *block, uint32_t size, uint32_t count, int used_before);
/* The block, or a part of it, was purged, and goes onto a list again. */
void guard_unpurge(struct block *block, uint32_t size);
/* A block whose thread vanished in a fork while the block was in quarantine. */
void guard_forked(struct block *block, uint32_t size);
/* Fatal damage in a slot that is not free: the number of blocks whose guard is broken, each reported. */
int guard_check(const struct slot *slot, void (*report)(const char *invariant, const void *address));
/* The same for what an arena keeps of a large block that was freed. */
int guard_check_kept(const struct slot *slot, void (*report)(const char *invariant, const void *address));
/* Zero memory for a large block, and keep pages absent that are. */
void guard_large_zero(void *address, size_t bytes);
/* A large block was just made of slots, without guard pages; and is about to become slots again: 0 if it cannot. */
void guard_large_made(struct slot *slot);
int guard_large_unmade(struct slot *slot);
/* Give back what the arena has in quarantine; blocks in it. */
void guard_flush(struct arena *arena);
uint64_t guard_held(const struct arena *arena);
/* Each of them. */
void guard_visit(const struct arena *arena, void (*visit)(const struct block *block));
/* In a forked child, while all other arenas are still as they were. */
void guard_after_fork(void);

#else

#define GUARD_LEAVING BLOCK_USED

static inline struct block *guard_next(const struct block *block) { return block->next; }
static inline void guard_link(struct block *block, struct block *next) { block->next = next; }
static inline void guard_rest(struct block *block) { (void)block; }
static inline void guard_rested(const struct block *block) { (void)block; }
static inline uintptr_t guard_encode(const void *where, uintptr_t word) { return (void)where, word; }
static inline uintptr_t guard_decode(const void *where, uintptr_t word) { return (void)where, word; }
static inline int guard_init(void) { return 1; }
static inline void guard_carve(struct block *block, uint32_t size, uint32_t count, int used_before) {
  (void)block, (void)size, (void)count, (void)used_before;
}
static inline void guard_unpurge(struct block *block, uint32_t size) { (void)block, (void)size; }
static inline void guard_forked(struct block *block, uint32_t size) { (void)block, (void)size; }
static inline int guard_check(const struct slot *slot, void (*report)(const char *invariant, const void *address)) {
  return (void)slot, (void)report, 0;
}
static inline int guard_check_kept(const struct slot *slot, void (*report)(const char *invariant, const void *address)) {
  return (void)slot, (void)report, 0;
}
static inline void guard_large_zero(void *address, size_t bytes) { (void)address, (void)bytes; }
static inline void guard_large_made(struct slot *slot) { (void)slot; }
static inline int guard_large_unmade(struct slot *slot) { return (void)slot, 1; }
static inline void guard_flush(struct arena *arena) { (void)arena; }
static inline uint64_t guard_held(const struct arena *arena) { return (void)arena, 0; }
static inline void guard_visit(const struct arena *arena, void (*visit)(const struct block *block)) { (void)arena, (void)visit; }
static inline void guard_after_fork(void) {}

#endif

#endif
