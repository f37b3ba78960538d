/* pool.h: memory that several threads share, cut out of regions, with a limit.
 *
 * A holder is one thread's door to a pool. A block's place is its region's number and its unit in it, in 31 bits; a
 * pool checks every place that it is given, so that no number does harm. Every function that takes a holder is called
 * by its thread alone; what two threads share is under the pool's lock. */
#ifndef BM_POOL_H
#define BM_POOL_H

#include "lock.h"
#include "region.h"

#define PLACE_BITS 31u
#define MOST_REGIONS 4096u
/* Classes of blocks that a holder keeps stocks of: 64, 128 and 256 bytes, then five to eight eighths up to 1 MiB. */
#define STOCK_ORDER_MAX 20u
#define STOCK_CLASSES (3u + 4u * (STOCK_ORDER_MAX - 8u))
/* A holder's stocks in 32-bit words: a head, then for each class the count and up to STOCK_MOST places. */
#define STOCK_HEAD 16u
#define STOCK_STRIDE 64u
#define STOCK_MOST 62u
#define STOCK_WORDS (STOCK_HEAD + STOCK_CLASSES * STOCK_STRIDE)

enum pool_status {
  POOL_OK = 0,
  POOL_FULL,      /* the limit would be exceeded */
  POOL_NO_MEMORY, /* the system has none */
  POOL_DEAD,      /* the pool was destroyed */
  POOL_NO_BLOCK,  /* no used block begins at this place */
  POOL_NOT_YOURS, /* it belongs to another thread, or is on its way, or shared */
  POOL_STALE,     /* the handle was used already, or never given */
  POOL_BEHIND,    /* everything was freed at once, and the thread has not called pool_sync() since */
};

/* Bits of a holder's word, above which is the epoch: the number of times that everything was freed at once. */
enum { WORD_DEAD = 1, WORD_AWAITED = 2, WORD_ROBBED = 4, WORD_EPOCH = 8 };

/* Words of a stock's head: the holder's word, and 1 while its thread may be between looking at it and having taken or put
 * a place. Two more carry the second result of some functions to JavaScript, and two the third, a double. */
enum { HEAD_WORD = 0, HEAD_BUSY = 1, HEAD_SECOND = 2, HEAD_THIRD = 4 };

/* Whose a block is, where it is no holder's. */
enum { OWNER_NOBODY = 0, OWNER_SHARED = 0xffff };

struct pool_options {
  size_t limit;          /* bytes in used blocks, at most */
  unsigned region_order; /* log2 bytes */
  size_t alignment;      /* bytes, of every block: a power of two */
  int keeps_own;         /* 1: blocks that threads have stay theirs in pool_reset(), until each thread frees them */
  int fills_freed;       /* 1: what is freed is filled with freed_byte; of what it frees itself the caller has seen to that */
  unsigned char freed_byte;
};

struct holder {
  struct pool *pool;
  struct holder *next;    /* pool->lock */
  int32_t *stock;         /* the thread's, but for the word at 0, which is written under pool->lock */
  void (*notify)(void *); /* called from any thread, as a rule under pool->lock: there are grants, something was sent, or the word
                             has changed */
  void *context;
  struct waiter *granted; /* pool->lock */
  uint32_t epoch; /* the pool's, when the thread last looked */
  uint32_t robbed; /* pool->lock: 1 if another thread took the stock away since */
  uint32_t notifiers; /* threads that are about to call notify() without the lock: pinned by pool_send() */
  uint32_t hoards; /* pool->lock: 1 if the thread may have used blocks that it would give back for one that waits */
  uint16_t number;
};

/* A request that waits for room; the pool's until it is granted, then the holder's. */
struct waiter {
  struct waiter *next;
  struct holder *holder;
  double id;
  size_t size, alignment;
  uint32_t place;
  enum pool_status status;
};

struct pool_stats {
  size_t limit, mapped_bytes, meta_bytes, used_bytes, stocked_bytes, doomed_bytes;
  uint64_t stranded, regions, used_blocks, stocked_blocks, holders, transit_blocks, shared_blocks, waiting, alloc_requests, free_requests,
      purged_bytes, epoch;
};

/* A used block, as pool_walk() finds it. */
struct pool_block {
  uint32_t place;
  uint16_t owner;
  uint16_t stocked; /* 1 if it lies in a holder's stock */
  size_t bytes;
};

/* NULL without memory. A pool lives until the last holder has left and the last opening is closed. */
struct pool *pool_create(const struct pool_options *options);
/* For a pool that nobody has joined. */
void pool_discard(struct pool *pool);
/* The first holder, or a further one; NULL without memory, or if the pool is dead. */
struct holder *pool_join(struct pool *pool, void (*notify)(void *), void *context);
/* Free what the holder has, its thread's end. Returns 1 if it was the last one; the pool is dead then.
 * The holder is gone. */
int pool_leave(struct holder *holder);
/* Everything is freed at once, for good; the holders stay to be left. */
void pool_destroy(struct pool *pool);
/* Everything is freed at once. */
void pool_reset(struct pool *pool);

enum pool_status pool_take(struct holder *holder, size_t size, size_t alignment, uint32_t *place);
enum pool_status pool_give(struct holder *holder, uint32_t place);
/* The same for a block that was lost, and so not filled by the caller. */
enum pool_status pool_give_lost(struct holder *holder, uint32_t place);
/* In place, or POOL_FULL. */
enum pool_status pool_resize(struct holder *holder, uint32_t place, size_t size);
/* Put up to `count` blocks of a class into the holder's stock; returns how many. Give all but `keep` back. */
unsigned pool_stock(struct holder *holder, unsigned kind, unsigned count);
void pool_unstock(struct holder *holder, unsigned kind, unsigned keep);
void pool_flush(struct holder *holder);
size_t pool_class_bytes(unsigned kind);
/* What the thread does when it sees that its word has changed: forget a stock that was freed with everything else, and
 * give it back where others wait. */
void pool_sync(struct holder *holder);

/* Give free memory back: pages, and whole regions that nobody has open. Returns bytes. */
size_t pool_trim(struct holder *holder);

/* Ask for a block as soon as there is room, in turn. The answer comes through notify() and pool_granted(). */
enum pool_status pool_wait(struct holder *holder, double id, size_t size, size_t alignment);
/* The holder's thread wants to be notified when another begins to wait. */
void pool_hoard(struct holder *holder);
/* No longer; 0 if it was granted already. */
int pool_cancel(struct holder *holder, double id);
/* Take the oldest answer; 0 if there is none. POOL_DEAD for those that the pool's end left waiting. */
int pool_granted(struct holder *holder, double *id, uint32_t *place, enum pool_status *status);

/* Hand a block over: `handle` is below 2^53. Adopt it, in any thread. `size` is what the caller wants to know. */
enum pool_status pool_handover(struct holder *holder, uint32_t place, size_t size, uint64_t *handle);
enum pool_status pool_adopt(struct holder *holder, uint64_t handle, uint32_t *place, size_t *size);

/* Where the holder's thread takes in blocks that others send it: an address below 2^53 that nobody can guess, or 0 without
 * memory. Closing it frees what has come and was not taken in; nothing happens if it is not the holder's. */
uint64_t pool_open_inbox(struct holder *holder);
void pool_close_inbox(struct holder *holder, uint64_t address);
/* Give a block to the thread of an inbox, whose notify() is called if it may not know of it: the block is that thread's from
 * here on. POOL_STALE if there is no inbox of this address. `size` and `note` are what the receiver wants to know. */
enum pool_status pool_send(struct holder *holder, uint32_t place, size_t size, double note, uint64_t address);
/* Take in the block that came first; POOL_NO_BLOCK if there is none, POOL_STALE if the inbox is not the holder's. */
enum pool_status pool_receive(struct holder *holder, uint64_t address, uint32_t *place, size_t *size, double *note);

/* Share a block: it belongs to nobody, and is freed with the last of its users, the first of which is counted. The handle
 * works for any number of further ones until then. */
enum pool_status pool_share(struct holder *holder, uint32_t place, size_t size, uint64_t *handle);
enum pool_status pool_use_shared(struct pool *pool, uint64_t handle, uint32_t *place, size_t *size);
/* A user is gone; any thread may say so, also after the pool was reset or destroyed. */
void pool_leave_shared(struct pool *pool, uint64_t handle);
/* Take back the blocks whose handles have waited for `age` ms or longer; returns how many. */
size_t pool_reclaim(struct pool *pool, uint32_t age);

/* The memory of a used block, and its bytes. */
void *pool_memory(struct pool *pool, uint32_t place, size_t *bytes);
/* The region of a place that the caller has a block in is looked at from here until it is closed. */
struct region *pool_open_region(struct pool *pool, uint32_t number);
void pool_close_region(struct pool *pool, struct region *region);
/* The region stays open for good: its memory may be reached, and nobody will say when it no longer is. */
void pool_strand_region(struct pool *pool);
unsigned pool_unit_bits(const struct pool *pool);
int pool_keeps_own(const struct pool *pool);
/* Places from here on are blocks that have a region to themselves. */
uint32_t pool_first_alone(const struct pool *pool);

void pool_stats(struct pool *pool, struct pool_stats *out);
/* Visit the used blocks in order of place, under the lock. */
void pool_walk(struct pool *pool, void (*visit)(const struct pool_block *block, void *context), void *context);
void pool_walk_regions(struct pool *pool, void (*visit)(const struct region *region, void *context), void *context);
/* The number of violated invariants, each with a line on standard error. */
int pool_check(struct pool *pool);

#endif
