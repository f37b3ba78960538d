/* arena.h: all that one thread owns. See arena.c. */
#ifndef BM_ARENA_H
#define BM_ARENA_H

#include "block.h"
#include "heap.h"
#include "config.h"
#include "freelist.h"
#include "lock.h"

#include <stdint.h>

enum arena_life {
  ARENA_IDLE = 0, /* no thread's; owns nothing; waits for a new thread */
  ARENA_LIVE = 1
};

/* Written by its thread alone, but for `remote`, `life` and `next_idle`. */
struct arena {
  struct block *blocks[CLASS_COUNT];   /* free blocks in stock, by class: malloc's first look */
  uint8_t step_class[SMALL_STEP_COUNT]; /* a copy of block_step_class, one load away */
  uint8_t life;                        /* enum arena_life; written under arenas.lock */
  uint32_t number;                     /* from 1; 0 is the orphanage */
  struct slot *current[CLASS_COUNT];   /* the slot that the stock came from */
  struct slot *fresh[CLASS_COUNT];     /* the slot that is not carved to its end */
  struct slot_list listed[CLASS_COUNT]; /* slots with free blocks, oldest first */
  struct slot_list full;               /* slots in PLACE_FULL */
  uint64_t handed;   /* blocks ever moved into the stock */
  uint64_t returned; /* frees that slots told of (slot_returned() has the rest) */
  uint64_t drained;  /* of those: frees by other threads */
  uint64_t sent;     /* frees of others' blocks by this thread */
  uint32_t events;   /* slow steps since the clock was last read */
  uint32_t now;      /* ms, as last read */
  uint32_t out_count, out_bytes;       /* blocks of others on their way (remote.c) */
  struct block *out[REMOTE_BUFFER_BLOCKS];
  struct arena *next;                  /* in arenas.all */
  struct arena *next_idle;             /* in arenas.idle */
  _Alignas(CACHE_LINE) struct block *remote; /* blocks that others freed; any thread pushes */
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

static inline int arena_is_none(const struct arena *arena) { return arena == &arena_none; }

/* The calling thread's arena, made or taken over if it had none; NULL without memory. */
struct arena *arena_acquire(void);
/* A block of the class, the arena's stock being empty; NULL without memory. */
struct block *arena_refill(struct arena *arena, unsigned class);
/* The same for a thread that may have no arena yet, or has ended already. */
struct block *arena_first_block(unsigned class);
/* The slot's countdown has run out. Requires the caller to own the slot. */
void arena_slot_event(struct arena *arena, struct slot *slot);
/* Take a block that another thread freed into the slot it belongs to. */
void arena_accept(struct arena *arena, struct slot *slot, struct block *block);
/* Bring `used` up to date with the countdown. */
void arena_sync(struct arena *arena, struct slot *slot);
/* Give the stock back to its slots, coalesce free slots, send what is on its way. */
void arena_flush(struct arena *arena);
/* Flush, give the slots to the orphanage and leave the arena to a later thread. */
void arena_retire(struct arena *arena);
/* Blocks in the arena's stock. */
uint64_t arena_stock(const struct arena *arena);
/* Let go of a slot that has no used block and is on no list. */
void arena_release_slot(struct slot *slot);

#endif
