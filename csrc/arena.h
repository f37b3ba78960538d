/* arena.h: all that one thread owns. See arena.c. */
#ifndef BM_ARENA_H
#define BM_ARENA_H

#include "block.h"
#include "heap.h"
#include "config.h"
#include "freelist.h"
#if BM_HARDENED
#include "hardened/quarantine.h"
#endif
#include "lock.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum arena_life {
  ARENA_IDLE = 0, /* no thread's; owns nothing; waits for a new thread */
  ARENA_LIVE = 1
};

/* The free blocks of one class that the next requests pop. Those of a small class are all from one slot, linked, with what
 * it takes to find their state bytes: nothing is read at a block but its link. Those of a medium class are
 * from any of the arena's slots, the one that was freed last first: few fit into a slot, and the last is the warmest. Nothing is
 * read or written at them. */
struct stock {
  union {
    struct block *first;   /* small: a list */
    struct block **blocks; /* medium: `count` of them, the warmest last; room for medium_capacity() */
  };
  union {
    uint8_t *states; /* small: of the slot */
    size_t count;
  };
  union {
    uint64_t reciprocal; /* small: of the class */
    size_t limit;        /* medium: it never keeps so many */
  };
  struct slot *current; /* the slot served from last; NULL if there was none yet */
};
static_assert(sizeof(struct stock) == 32, "a stock is found by a shift, and lies in one cache line");
static_assert(CLASS_COUNT <= 64, "classes are bits of a word");
/* No less than medium_capacity() of all medium classes together. */
#define MEDIUM_STOCK_TOTAL (MEDIUM_STOCK_MOST * 7u * (SLOT_BYTES / SMALL_MAX))

/* An open batch of blocks for one owner (remote.c). */
struct batch;
struct batch_store {
  struct batch *first;
  uint32_t count;
};
struct outgoing {
  struct arena *owner;
  struct batch *batch; /* NULL if there is none */
};

/* Written by its thread alone, but for `remote`, `life` and `next_idle`. */
struct arena {
  struct stock blocks[CLASS_COUNT];     /* the free blocks by class: malloc's first look */
  uint16_t step_stock[SMALL_STEP_COUNT]; /* where in this struct the stock for a request is, by steps */
  uint8_t life;                        /* enum arena_life; written under arenas.lock */
  uint8_t tidy_class;                  /* the class to be looked through next */
  uint32_t number;                     /* from 1; 0 is the orphanage */
  struct block *medium[MEDIUM_STOCK_TOTAL]; /* what the stocks of medium classes hold */
  struct slot *fresh[CLASS_COUNT];     /* the slot that is not carved to its end */
  struct slot_list listed[CLASS_COUNT]; /* slots with free blocks, oldest first */
  struct slot_list full;               /* slots in PLACE_FULL */
  uint32_t parked, unparked;           /* slots ever parked, and those taken back before they were purged (park.c) */
  uint32_t swept;                      /* slots ever purged while parked; under purge_lock */
  uint64_t handed;   /* blocks ever moved into the stock */
  uint64_t returned; /* frees that slots told of (slot_returned() has the rest) */
  uint64_t recycled; /* blocks of medium classes put into the stock by free(): part of neither */
  uint32_t drains;   /* how often the queue was taken in; by its thread, or whoever forwards it; read by whoever purges */
  uint64_t drained;  /* of those that came back: frees by other threads */
  uint64_t sent;     /* frees of others' blocks by this thread */
  uint64_t large_allocs, large_frees; /* by way of `kept` */
  uint32_t events;   /* slow steps since the clock was last read */
  uint32_t now;      /* ms, as last read */
  uint32_t tidied;   /* ms, when a class's slots were last looked through for idle ones */
  uint32_t flushed;  /* ms, when out[] was last sent for its age */
  uint32_t tidy_next[CLASS_COUNT];     /* the slot to be looked at next when the class is; it may have gone since */
  uint64_t served;                     /* bit c: class c had a slot of the heap once */
  /* Bit c: of medium class c ... */
  uint64_t given; /* a slot went back to the heap since the class was last looked through (tidy.c) */
  uint64_t busy;  /* and one was taken after that: its stock has more room */
  struct batch_store batches;          /* empty ones (remote.c) */
  struct outgoing out[REMOTE_OWNERS];  /* frees of others' blocks, by their owner's number */
  struct arena *next;                  /* in arenas.all */
  struct arena *next_idle;             /* in arenas.idle */
#if BM_HARDENED
  struct quarantine quarantine;
#endif
  struct slot *kept[KEPT_SLOTS_MAX];      /* freed large blocks, by their slots less 1 (large.c); purge.c may take them */
  struct slot *kept_seen[KEPT_SLOTS_MAX]; /* their values when purge.c last looked; purge_lock */
  uint32_t kept_slots;                    /* in kept[], at most: purge.c does not tell */
  size_t remote_swept;                    /* remote_bytes when what waits was last purged; purge_lock */
  uint32_t drains_seen, remote_age;       /* `drains` when last looked at, and looks since that changed; purge_lock */
  _Alignas(CACHE_LINE) uintptr_t remote; /* the queue of blocks that others freed; any thread pushes (remote.c) */
  size_t remote_bytes;                   /* in the batches that were pushed since it was last drained: an estimate; any thread */
};

struct arenas {
  struct lock lock;   /* guards all below */
  struct arena *all;  /* every arena ever made, newest first; read without the lock */
  struct arena *idle; /* those without a thread */
  uint32_t count, idle_count;
  int forked; /* 1 in the child of a threaded process: its counts of requests are not whole */
};

extern HIDDEN struct arenas arenas;
/* What threads without an arena point at: it is always empty, and owns nothing. */
extern HIDDEN struct arena arena_none;
/* The calling thread's arena. Initial-exec: one load, and one word of static TLS. */
extern HIDDEN __thread struct arena *arena_mine __attribute__((tls_model("initial-exec")));

/* The stock that serves a request of at most SMALL_MAX bytes. */
static inline struct stock *arena_small_stock(struct arena *arena, size_t size) {
  return (struct stock *)((char *)arena + arena->step_stock[block_step(size)]);
}
static inline unsigned arena_stock_class(const struct arena *arena, const struct stock *stock) {
  return (unsigned)(stock - arena->blocks);
}

static inline int arena_has_stock(const struct arena *arena, unsigned class) {
  const struct stock *stock = &arena->blocks[class];
  return block_is_medium(class) ? stock->count != 0 : stock->first != NULL;
}

static inline int arena_is_none(const struct arena *arena) { return arena == &arena_none; }

/* Set up the tables of a zeroed arena. */
void arena_init(struct arena *arena);
/* Fill the empty stock of the class; 1, or 0 without memory. */
int arena_refill(struct arena *arena, unsigned class);
/* The slot's countdown has run out. Requires the caller to own the slot. */
void arena_slot_event(struct arena *arena, struct slot *slot);
/* Take a block that is free from here on into its slot, which the arena owns. */
void arena_put(struct arena *arena, struct slot *slot, struct block *block);
/* The same for one that another thread freed. */
void arena_accept(struct arena *arena, struct slot *slot, struct block *block);
/* Bring `used` up to date with the countdown. */
void arena_sync(struct arena *arena, struct slot *slot);
/* Give the stock back to its slots, coalesce free slots, send what is on its way. */
void arena_flush(struct arena *arena);
/* Flush, and give the slots to the orphanage. */
void arena_give_all(struct arena *arena);
/* Blocks in the arena's stock. */
uint64_t arena_stock(const struct arena *arena);
/* Let go of a slot that has no used block and is on no list. */
void arena_release_slot(struct slot *slot);

#endif
