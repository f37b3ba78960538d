/* heap.h: the window of addresses that the heap lives in, and its table of slots. See heap.c. */
#ifndef BM_HEAP_H
#define BM_HEAP_H

#include "block.h"
#include "config.h"
#include "lock.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define SLOT_BYTES ((size_t)1 << SLOT_ORDER)
#define CHUNK_BYTES ((size_t)1 << CHUNK_ORDER)
#define CHUNK_SLOTS (1u << (CHUNK_ORDER - SLOT_ORDER))
#define SLOT_LEVELS (CHUNK_ORDER - SLOT_ORDER + 1u)

struct arena;

/* What a slot is. Written under heap.lock. */
enum slot_kind {
  SLOT_NONE = 0,  /* not memory of ours */
  SLOT_FREE = 1,  /* the first slot of a free block of whole slots; `order` is its order */
  SLOT_REST = 2,  /* another slot of a free, large or kept block */
  SLOT_CUT = 3,   /* cut into blocks of one class; `owner` is its arena */
  SLOT_LARGE = 4, /* the first slot of a large block; `used` is its number of slots */
  SLOT_KEPT = 5,  /* the first slot of a freed large block that an arena keeps (large.c) */
  SLOT_PURGING = 6 /* the first slot of a free block on no list, whose pages are being purged (chunk.c) */
};

/* Where a cut slot stands with its arena. Written by the owner. */
enum slot_place {
  PLACE_CURRENT = 0, /* the slot its class is served from */
  PLACE_FULL = 1,    /* on no list: all its blocks are out, or nearly so */
  PLACE_LISTED = 2,  /* on the arena's list of slots with free blocks */
  PLACE_SWEPT = 3,   /* an orphan on the list, or a parked slot, whose free pages were purged */
  PLACE_PURGING = 4, /* an orphan on no list, whose pages are being purged */
  PLACE_TORN = 5,    /* an orphan whose owner vanished in a fork; its list must be rebuilt */
  PLACE_PARKED = 6   /* on the arena's list, and left to whoever purges; its own list is made when it is served from (park.c) */
};

/* What is written in a slot's `owner` besides: bits of an address that are 0 otherwise. All but the last are there while its owner
 * leaves the slot to whoever purges (park.c). */
#define OWNER_PARKED 1u /* left alone by its owner */
#define OWNER_AGE 2u    /* how often it was seen so, 0 to OWNER_AGE_MAX, times this */
#define OWNER_AGE_MAX 3u
#define OWNER_MEDIUM 8u  /* cut into blocks of a medium class: free() has another way there (medium.c) */
#define OWNER_BITS 15u

/* One slot's bookkeeping: in the first line what a free() reads, whoever calls it; in the second what its owner writes at every one. So
 * a stranger reads a line that seldom changes.
 * `owner` is written by the owner who gives the slot away or parks it, under heap.lock when the slot is cut or returned,
 * and by whoever purges a parked one; others read it, relaxed: only the thread that finds itself
 * there, and no bits, may act on it. The rest is the owner's, or heap.lock's while there is none. */
struct slot {
  uintptr_t owner;      /* the address of its arena, and OWNER_BITS */
  struct block **list;  /* where a freed block goes: `free`, or the stock that is served from this slot */
  uint8_t *states;      /* one byte a block */
  union {
    uint64_t reciprocal; /* of its class */
    uint64_t request;    /* in SLOT_LARGE: bytes asked for; whoever has the block writes it */
  };
  uint32_t start_limit; /* the same: as two operands in memory they spare free() an instruction */
  union {
    uint8_t class; /* in SLOT_CUT */
    uint8_t order; /* log2 bytes, in SLOT_FREE */
  };
  uint8_t kind;        /* enum slot_kind */
  uint8_t place;       /* enum slot_place, in SLOT_CUT */
  uint8_t warm;        /* 1 if the slot's pages were there when it was cut */
  uint32_t next, prev; /* slot numbers of list neighbours, 0 for none */
  uint8_t inline_states[INLINE_STATES]; /* of few blocks: two cache lines in all */
  uint32_t stamp;          /* ms when it last gave a block, or was freed */
  union {
    struct block *free;  /* blocks that came back: a list, of a small class */
    uint64_t free_bits;  /* of a medium class: a bit each */
  };
  uint32_t countdown;      /* frees until the owner is told; see arena.c */
  uint32_t countdown_from; /* its value when it was last set */
  uint16_t used;           /* blocks that were out then; slots, in SLOT_LARGE */
  uint16_t in_stock;       /* of those: in the arena's stock of a medium class */
  uint16_t fresh;          /* blocks carved so far, in carving order */
  uint16_t purged;         /* of those: in state BLOCK_PURGED */
};

static_assert(sizeof(struct slot) == 2 * CACHE_LINE, "a slot's bookkeeping is two cache lines");
static_assert(offsetof(struct slot, inline_states) < CACHE_LINE && offsetof(struct slot, stamp) >= CACHE_LINE, "what changes often has its own");
static_assert(offsetof(struct slot, inline_states) % 8 == 0, "state bytes are read eight at a time");

/* The first five are constant once the heap is initialised, but for `span` in heap_fit(). */
struct heap {
  uintptr_t base; /* first address of the window, a multiple of the chunk size */
  size_t span;    /* bytes of the window; 0 before initialisation */
  size_t full_span; /* what it was then */
  struct slot *slots; /* one entry for each slot of the window; entry 0 is never used */
  uint64_t *dirty;    /* a word for each chunk: bit i is 0 if its slot i is known to be zeros, untouched */
  struct lock lock;   /* guards everything below, and the slots that no arena owns */
  uint32_t blocks[SLOT_LEVELS]; /* free blocks of whole slots, by order - SLOT_ORDER */
  uint32_t nonempty;            /* bit l is set if and only if blocks[l] is not 0 */
  uint32_t open;        /* the table is writable below this slot number */
  uint32_t top;         /* slot number after the highest chunk ever obtained */
  size_t sbrk_bytes, mmap_bytes; /* obtained by each way */
  size_t dirty_bytes;   /* in free slots that were touched since their last purge */
  size_t dirty_least;   /* the least that taking left of it since `least_stamp` */
  uint32_t least_stamp; /* ms */
  size_t purged_bytes;  /* ever purged */
  uint64_t large_allocs, large_frees;
  int sbrk_failed;      /* sbrk failed or was disturbed: mmap for good */
};

extern HIDDEN struct heap heap;

/* Set the window up, once. Returns 0 if there is no memory for it. */
int heap_init(void);
/* Make the table writable for the slots below number `end`; 1, or 0 if the system refuses. Requires heap.lock. */
int heap_open(uint32_t end);
/* The system refuses addresses: give back the part of the table that limits leave no use for, or take it again when
 * they were lifted. Takes heap.lock. */
void heap_fit(void);

/* The arena that owns the slot, parked or not; NULL if it is not cut. */
static inline struct arena *slot_owner(const struct slot *slot) {
  return (struct arena *)(__atomic_load_n(&slot->owner, __ATOMIC_RELAXED) & ~(uintptr_t)OWNER_BITS);
}
/* 1 if the arena owns the slot and has not parked it: its thread may act on it. */
static inline int slot_is_open_to(const struct slot *slot, const struct arena *arena) {
  return (__atomic_load_n(&slot->owner, __ATOMIC_RELAXED) & ~(uintptr_t)OWNER_MEDIUM) == (uintptr_t)arena;
}
/* The same for a slot of a small class: one comparison. */
static inline int slot_is_small_and_open_to(const struct slot *slot, const struct arena *arena) {
  return __atomic_load_n(&slot->owner, __ATOMIC_RELAXED) == (uintptr_t)arena;
}
/* The same for one of a medium class. */
static inline int slot_is_medium_and_open_to(const struct slot *slot, const struct arena *arena) {
  return __atomic_load_n(&slot->owner, __ATOMIC_RELAXED) == ((uintptr_t)arena | OWNER_MEDIUM);
}
/* How the owner of a slot of its class is written. */
static inline uintptr_t slot_owned_by(const struct slot *slot, const struct arena *arena) {
  return (uintptr_t)arena | (block_is_medium(slot->class) ? OWNER_MEDIUM : 0);
}
static inline void slot_set_owner(struct slot *slot, const struct arena *arena) {
  __atomic_store_n(&slot->owner, slot_owned_by(slot, arena), __ATOMIC_RELAXED);
}
static inline void slot_set_ownerless(struct slot *slot) { __atomic_store_n(&slot->owner, 0, __ATOMIC_RELAXED); }

static inline struct slot *slot_at(uint32_t number) { return heap.slots + number; }
static inline uint32_t slot_number(const struct slot *slot) { return (uint32_t)(slot - heap.slots); }
static inline uintptr_t slot_base(const struct slot *slot) {
  return heap.base + ((uintptr_t)(slot - heap.slots) << SLOT_ORDER);
}
static inline uintptr_t heap_round_up(uintptr_t address) {
  return (address + CHUNK_BYTES - 1) & ~(uintptr_t)(CHUNK_BYTES - 1);
}
/* relaxed: who has a large block changes its kind without the lock, between two that are not SLOT_FREE. */
static inline uint8_t slot_kind(const struct slot *slot) { return __atomic_load_n(&slot->kind, __ATOMIC_RELAXED); }
/* 1 if `address` lies in the window, whose slots can be looked at. */
static inline int heap_contains(uintptr_t address) { return address - heap.base < heap.span; }
static inline struct slot *slot_of(uintptr_t address) {
  return heap.slots + ((address - heap.base) >> SLOT_ORDER);
}

#endif
