/* pool_test.c: a pool's blocks against a model, its threads, its limit, and its walker. */
#include "harness.h"

#include "pool.h"
#include "pool_inside.h"
#include "wrap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pool *new_pool(size_t limit, unsigned region_order) {
  struct pool_options options = {.limit = limit, .region_order = region_order, .alignment = 64};
  struct pool *pool = pool_create(&options);
  CHECK(pool != NULL);
  return pool;
}

static struct holder *join(struct pool *pool) {
  struct holder *holder = pool_join(pool, NULL, NULL);
  CHECK(holder != NULL);
  return holder;
}

static uint32_t take(struct holder *holder, size_t size) {
  uint32_t place = 0;
  CHECK_EQ(pool_take(holder, size, 0, &place), POOL_OK);
  return place;
}

static struct pool_stats stats_of(struct pool *pool) {
  struct pool_stats stats;
  pool_stats(pool, &stats);
  return stats;
}

static uint32_t state = 12345;
static uint32_t next(uint32_t below) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % below;
}

TEST_OURS("a pool serves five to eight eighths of a power of two, and units below") {
  static const size_t rows[][2] = {{0, 64},      {1, 64},       {64, 64},     {65, 128},          {129, 256},  {256, 256},
                                   {257, 320},   {320, 320},    {321, 384},   {449, 512},         {513, 640},  {65536, 65536},
                                   {65537, 81920}, {5u << 20, 5u << 20}, {(5u << 20) + 1, 6u << 20}};
  struct pool *pool = new_pool((size_t)1 << 30, 25);
  struct holder *holder = join(pool);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    uint32_t place = take(holder, rows[i][0]);
    size_t bytes = 0;
    CHECK(pool_memory(pool, place, &bytes) != NULL);
    CHECK_EQ(bytes, rows[i][1]);
    CHECK_EQ(pool_give(holder, place), POOL_OK);
  }
  for (unsigned kind = 1; kind < STOCK_CLASSES; kind++) CHECK(pool_class_bytes(kind) > pool_class_bytes(kind - 1));
  CHECK_EQ(pool_class_bytes(STOCK_CLASSES - 1), 1u << 20);
  CHECK_EQ(pool_leave(holder), 1);
}

enum { LIVE = 300 };
struct model {
  uint32_t place;
  size_t size;
  unsigned char *memory, mark;
};

static void model_fill(struct pool *pool, struct model *block) {
  size_t bytes = 0;
  block->memory = pool_memory(pool, block->place, &bytes);
  CHECK(block->memory != NULL);
  CHECK_GE(bytes, block->size);
  block->mark = (unsigned char)next(256);
  memset(block->memory, block->mark, block->size);
}

static void model_check(const struct model *block, size_t size) {
  for (size_t i = 0; i < size; i++) CHECK_EQ(block->memory[i], block->mark);
}

TEST_OURS("a pool's blocks keep their contents through random takes, gives and resizes, and its invariants hold") {
  struct pool *pool = new_pool((size_t)24 << 20, 20);
  struct holder *holder = join(pool);
  struct model live[LIVE] = {{0, 0, NULL, 0}};
  for (int step = 0; step < 20000; step++) {
    struct model *block = &live[next(LIVE)];
    size_t size = next(4) == 0 ? next(300000) : next(3000);
    if (next(500) == 0) size = (size_t)1 << 21; /* larger than a region */
    if (block->memory == NULL) {
      size_t alignment = next(5) == 0 ? (size_t)64 << next(9) : 0;
      enum pool_status status = pool_take(holder, size, alignment, &block->place);
      if (status == POOL_FULL) continue;
      CHECK_EQ(status, POOL_OK);
      block->size = size;
      model_fill(pool, block);
      if (alignment > 0) CHECK_EQ((uintptr_t)block->memory & (alignment - 1), 0);
    } else if (next(3) == 0) {
      model_check(block, block->size);
      if (pool_resize(holder, block->place, size) == POOL_OK) {
        model_check(block, block->size < size ? block->size : size);
        block->size = size;
        model_fill(pool, block);
      }
    } else {
      model_check(block, block->size);
      CHECK_EQ(pool_give(holder, block->place), POOL_OK);
      block->memory = NULL;
    }
    if (step % 97 == 0) CHECK_EQ(pool_check(pool), 0);
    if (step % 1000 == 0) pool_trim(holder);
  }
  for (size_t i = 0; i < LIVE; i++)
    if (live[i].memory != NULL) CHECK_EQ(pool_give(holder, live[i].place), POOL_OK);
  CHECK_EQ(pool_check(pool), 0);
  CHECK_EQ(stats_of(pool).used_blocks, 0);
  pool_trim(holder);
  CHECK_EQ(stats_of(pool).regions, 0);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("no place that a pool did not give out is taken back by it") {
  struct pool *pool = new_pool((size_t)4 << 20, 20);
  struct holder *holder = join(pool), *other = join(pool);
  uint32_t place = take(holder, 1000);
  CHECK_EQ(pool_give(other, place), POOL_NOT_YOURS);
  CHECK_EQ(pool_give(holder, place + 1), POOL_NO_BLOCK);
  CHECK_EQ(pool_give(holder, UINT32_MAX), POOL_NO_BLOCK);
  CHECK_EQ(pool_give(holder, 1u << 30), POOL_NO_BLOCK);
  CHECK_EQ(pool_give(holder, place), POOL_OK);
  CHECK_EQ(pool_give(holder, place), POOL_NO_BLOCK);
  for (int i = 0; i < 100000; i++) CHECK(pool_give(holder, next(UINT32_MAX)) != POOL_OK);
  CHECK_EQ(pool_check(pool), 0);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("a pool's blocks never exceed its limit, and it has room up to there") {
  struct pool *pool = new_pool(1000 * 64, 16);
  struct holder *holder = join(pool);
  uint32_t place;
  for (int i = 0; i < 1000; i++) take(holder, 64);
  CHECK_EQ(pool_take(holder, 1, 0, &place), POOL_FULL);
  CHECK_EQ(stats_of(pool).used_bytes, 64000);
  CHECK_LE(stats_of(pool).mapped_bytes, 65536);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("a pool at its limit gives away what lies in stocks, its own and those of idle threads") {
  struct pool *pool = new_pool(64 * 64, 16);
  struct holder *holder = join(pool), *other = join(pool);
  CHECK_EQ(pool_stock(holder, 0, 30), 30);
  CHECK_EQ(pool_stock(other, 0, 30), 30);
  CHECK_EQ(stats_of(pool).stocked_blocks, 60);
  uint32_t place;
  for (int i = 0; i < 34; i++) CHECK_EQ(pool_take(holder, 64, 0, &place), POOL_OK);
#if defined(__x86_64__)
  for (int i = 0; i < 30; i++) CHECK_EQ(pool_take(holder, 64, 0, &place), POOL_OK);
  CHECK_EQ(other->stock[0] & WORD_ROBBED, WORD_ROBBED);
#endif
  pool_sync(other);
  CHECK_EQ(other->stock[0] & WORD_ROBBED, 0);
  CHECK_EQ(pool_check(pool), 0);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("a pool for which the system has no more memory gives away what lies in stocks") {
  struct pool *pool = new_pool((size_t)1 << 20, 16);
  struct holder *holder = join(pool), *other = join(pool);
  unsigned kind = 0;
  uint32_t place;
  while (pool_class_bytes(kind) < 1024) kind++;
  take(holder, 32768);
  take(holder, 16384);
  CHECK_EQ(pool_stock(holder, kind, 8), 8);
  CHECK_EQ(pool_stock(other, kind, 8), 8);
  wrap_arm(WRAPPED_MMAP, 1, 100);
  CHECK_EQ(pool_take(holder, 8192, 0, &place), POOL_OK);
  CHECK_EQ(stats_of(pool).stocked_blocks, 8);
#if defined(__x86_64__)
  CHECK_EQ(pool_take(holder, 8192, 0, &place), POOL_OK);
#endif
  CHECK_EQ(pool_take(holder, 8192, 0, &place), POOL_NO_MEMORY);
  wrap_disarm();
  CHECK_EQ(stats_of(pool).regions, 1);
  CHECK_EQ(pool_check(pool), 0);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("a thread that is busy with its stock keeps it until it is done") {
  struct pool *pool = new_pool(64 * 64, 16);
  struct holder *holder = join(pool), *other = join(pool);
  CHECK_EQ(pool_stock(other, 0, 40), 40);
  other->stock[HEAD_BUSY] = 1;
  uint32_t place;
  for (int i = 0; i < 24; i++) CHECK_EQ(pool_take(holder, 64, 0, &place), POOL_OK);
  CHECK_EQ(pool_take(holder, 64, 0, &place), POOL_FULL);
  CHECK_EQ(stats_of(pool).stocked_blocks, 40);
  other->stock[HEAD_BUSY] = 0;
  pool_sync(other); /* it sees its word */
  CHECK_EQ(pool_take(holder, 64, 0, &place), POOL_OK);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("requests that wait are served in turn, the second only after the first") {
  struct pool *pool = new_pool(65536, 16);
  struct holder *holder = join(pool), *other = join(pool);
  uint32_t half = take(holder, 32768), rest = take(holder, 32768), place;
  double id;
  enum pool_status status;
  CHECK_EQ(pool_wait(other, 1, 65536, 0), POOL_OK);
  CHECK_EQ(pool_wait(holder, 2, 64, 0), POOL_OK);
  CHECK_EQ(pool_wait(holder, 3, 65537, 0), POOL_FULL);
  CHECK_EQ(pool_give(holder, half), POOL_OK);
  CHECK_EQ(pool_granted(holder, &id, &place, &status), 0);
  CHECK_EQ(pool_give(holder, rest), POOL_OK);
  CHECK_EQ(pool_granted(other, &id, &place, &status), 1);
  CHECK_EQ(status, POOL_OK);
  CHECK_EQ(pool_granted(holder, &id, &place, &status), 0);
  CHECK_EQ(pool_give(other, place), POOL_OK);
  CHECK_EQ(pool_granted(holder, &id, &place, &status), 1);
  CHECK_EQ((int)id, 2);
  CHECK_EQ(pool_wait(other, 4, 65536, 0), POOL_OK);
  CHECK_EQ(pool_cancel(other, 4), 1);
  CHECK_EQ(pool_cancel(other, 4), 0);
  CHECK_EQ(pool_wait(other, 5, 65536, 0), POOL_OK);
  pool_destroy(pool);
  CHECK_EQ(pool_granted(other, &id, &place, &status), 1);
  CHECK_EQ(status, POOL_DEAD);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("a handle works once, and a wrong one never") {
  struct pool *pool = new_pool(65536, 16);
  struct holder *holder = join(pool), *other = join(pool);
  uint32_t place = take(holder, 100), adopted;
  uint64_t handle;
  size_t size;
  CHECK_EQ(pool_handover(holder, place, 100, &handle), POOL_OK);
  CHECK_EQ(pool_give(holder, place), POOL_NOT_YOURS);
  CHECK_EQ(pool_handover(holder, place, 100, &handle), POOL_NOT_YOURS);
  CHECK_EQ(pool_adopt(other, handle ^ (uint64_t)1 << 40, &adopted, &size), POOL_STALE);
  CHECK_EQ(pool_adopt(other, 0, &adopted, &size), POOL_STALE);
  CHECK_EQ(pool_adopt(other, handle, &adopted, &size), POOL_OK);
  CHECK_EQ(size, 100);
  CHECK_EQ(pool_adopt(other, handle, &adopted, &size), POOL_STALE);
  CHECK_EQ(pool_give(other, adopted), POOL_OK);
  CHECK_EQ(pool_handover(holder, take(holder, 100), 100, &handle), POOL_OK);
  CHECK_EQ(pool_reclaim(pool, 1000), 0);
  CHECK_EQ(pool_reclaim(pool, 0), 1);
  CHECK_EQ(pool_adopt(other, handle, &adopted, &size), POOL_STALE);
  for (int i = 0; i < 900; i++) CHECK_EQ(pool_handover(holder, take(holder, 1), 1, &handle), POOL_OK);
  CHECK_EQ(stats_of(pool).transit_blocks, 900);
  CHECK_EQ(pool_check(pool), 0);
  pool_reset(pool);
  CHECK_EQ(stats_of(pool).used_blocks, 0);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(pool_leave(holder), 1);
}

static void count_notice(void *context) { ++*(int *)context; }

TEST_OURS("a block that is sent is the receiver's, which is told once until it has found its inbox empty") {
  struct pool *pool = new_pool((size_t)4 << 20, 20);
  int notices = 0;
  struct holder *sender = join(pool), *receiver = pool_join(pool, count_notice, &notices);
  uint64_t address = pool_open_inbox(receiver);
  uint32_t place, places[300];
  size_t size;
  double note;
  CHECK_GE(address, 1);
  CHECK_LE(address, (uint64_t)1 << 53);
  CHECK_EQ(pool_receive(receiver, address, &place, &size, &note), POOL_NO_BLOCK);
  for (int round = 0; round < 3; round++) {
    /* More than a page of the ring, which then begins in its middle. */
    for (size_t i = 0; i < 300; i++) {
      places[i] = take(sender, i);
      CHECK_EQ(pool_send(sender, places[i], i, (double)i / 2, address), POOL_OK);
    }
    CHECK_EQ(pool_check(pool), 0);
    CHECK_EQ(notices, round + 1);
    CHECK_EQ(pool_give(sender, places[0]), POOL_NOT_YOURS);
    for (size_t i = 0; i < 300; i++) {
      CHECK_EQ(pool_receive(receiver, address, &place, &size, &note), POOL_OK);
      CHECK_EQ(place, places[i]);
      CHECK_EQ(size, i);
      CHECK_EQ((size_t)(note * 2), i);
      CHECK_EQ(pool_give(receiver, place), POOL_OK);
    }
    CHECK_EQ(pool_receive(receiver, address, &place, &size, &note), POOL_NO_BLOCK);
  }
  CHECK_EQ(pool_leave(receiver), 0);
  CHECK_EQ(pool_leave(sender), 1);
}

TEST_OURS("a block is sent to an inbox that is open alone, and taken in by its thread alone") {
  struct pool *pool = new_pool((size_t)1 << 20, 20);
  struct holder *sender = join(pool), *receiver = join(pool);
  uint64_t one = pool_open_inbox(receiver), two = pool_open_inbox(receiver);
  uint32_t place = take(sender, 100), taken;
  size_t size;
  double note;
  CHECK(one != two);
  CHECK_EQ(pool_send(sender, place, 100, 0, one ^ (uint64_t)1 << 40), POOL_STALE);
  CHECK_EQ(pool_send(sender, place, 100, 0, 0), POOL_STALE);
  CHECK_EQ(pool_send(receiver, place, 100, 0, one), POOL_NOT_YOURS);
  CHECK_EQ(pool_send(sender, place, 100, 0, two), POOL_OK);
  CHECK_EQ(pool_receive(receiver, one, &taken, &size, &note), POOL_NO_BLOCK);
  CHECK_EQ(pool_receive(sender, two, &taken, &size, &note), POOL_STALE);
  pool_close_inbox(sender, two); /* not its own */
  CHECK_EQ(stats_of(pool).used_blocks, 1);
  pool_close_inbox(receiver, two);
  pool_close_inbox(receiver, two);
  CHECK_EQ(stats_of(pool).used_blocks, 0);
  CHECK_EQ(pool_send(sender, take(sender, 100), 100, 0, two), POOL_STALE);
  CHECK_EQ(pool_receive(receiver, two, &taken, &size, &note), POOL_STALE);
  CHECK_EQ(pool_leave(receiver), 0);
  CHECK_EQ(pool_leave(sender), 1);
}

TEST_OURS("what was sent and not taken in goes with the receiver, and with everything else") {
  for (int keeps_own = 0; keeps_own < 2; keeps_own++) {
    struct pool_options options = {.limit = (size_t)64 << 20, .region_order = 20, .alignment = 64, .keeps_own = keeps_own};
    struct pool *pool = pool_create(&options);
    struct holder *sender = join(pool), *receiver = join(pool), *last = join(pool);
    uint64_t address = pool_open_inbox(receiver), other = pool_open_inbox(last);
    uint32_t place;
    size_t size;
    double note;
    for (size_t i = 0; i < 10; i++) CHECK_EQ(pool_send(sender, take(sender, i * 200000), 1, 0, address), POOL_OK);
    CHECK_EQ(pool_leave(receiver), 0);
    CHECK_EQ(stats_of(pool).used_blocks, 0);
    CHECK_EQ(pool_send(sender, take(sender, 1000), 1, 0, other), POOL_OK);
    pool_reset(pool);
    CHECK_EQ(stats_of(pool).used_blocks, 0);
    CHECK_EQ(pool_receive(last, other, &place, &size, &note), POOL_BEHIND);
    pool_sync(sender);
    CHECK_EQ(pool_send(sender, take(sender, 1000), 2, 0, other), POOL_OK);
    pool_sync(last);
    CHECK_EQ(pool_receive(last, other, &place, &size, &note), POOL_OK);
    CHECK_EQ(size, 2);
    CHECK_EQ(pool_send(sender, take(sender, 1000), 3, 0, other), POOL_OK);
    CHECK_EQ(pool_check(pool), 0);
    pool_destroy(pool);
    CHECK_EQ(pool_receive(last, other, &place, &size, &note), POOL_DEAD);
    pool_close_inbox(last, other);
    CHECK_EQ(pool_leave(sender), 0);
    CHECK_EQ(pool_leave(last), 1);
  }
}

TEST_OURS("a block that cannot be sent for want of memory stays the sender's, and what was sent stays in order") {
  struct pool *pool = new_pool((size_t)4 << 20, 20);
  struct holder *sender = join(pool), *receiver = join(pool);
  uint64_t address = pool_open_inbox(receiver);
  uint32_t place = take(sender, 100), taken;
  size_t size;
  double note;
  wrap_arm(WRAPPED_MMAP, 1, 1);
  CHECK_EQ(pool_send(sender, place, 0, 0, address), POOL_NO_MEMORY);
  CHECK_EQ(wrap_disarm(), 1);
  CHECK_EQ(pool_check(pool), 0);
  size_t sent = 0;
  for (wrap_arm(WRAPPED_MMAP, 2, 1); pool_send(sender, place, sent, 0, address) == POOL_OK; sent++) place = take(sender, 100);
  CHECK_EQ(wrap_disarm(), 2); /* the ring's second growth */
  CHECK_EQ(pool_send(sender, place, sent, 0, address), POOL_OK);
  for (size_t i = 0; i <= sent; i++) {
    CHECK_EQ(pool_receive(receiver, address, &taken, &size, &note), POOL_OK);
    CHECK_EQ(size, i);
  }
  CHECK_EQ(taken, place);
  CHECK_EQ(pool_leave(receiver), 0);
  CHECK_EQ(stats_of(pool).used_blocks, 0);
  CHECK_EQ(pool_leave(sender), 1);
}

TEST_OURS("a pool fills what was freed by no caller with the byte of its options, and no more than that") {
  struct pool_options options = {.limit = (size_t)4 << 20, .region_order = 20, .alignment = 64, .fills_freed = 1, .freed_byte = 0x5a};
  struct pool *pool = pool_create(&options);
  struct holder *holder = join(pool), *other = join(pool);
  uint32_t places[3] = {take(holder, 1000), take(other, 1000), take(holder, 1000)};
  unsigned char *memory[3];
  size_t bytes;
  for (int i = 0; i < 3; i++) memset(memory[i] = pool_memory(pool, places[i], &bytes), i + 1, 1000);
  CHECK_EQ(pool_resize(holder, places[0], 700), POOL_OK);
  CHECK_EQ(memory[0][699], 1);
  CHECK_EQ(memory[0][700], 0x5a);
  CHECK_EQ(memory[0][1023], 0x5a);
  CHECK_EQ(pool_give(holder, places[0]), POOL_OK); /* filled by the caller, as far as the pool knows */
  CHECK_EQ(memory[0][0], 1);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(memory[1][0], 0x5a);
  CHECK_EQ(memory[1][999], 0x5a);
  CHECK_EQ(memory[2][0], 3);
  CHECK_EQ(pool_give_lost(holder, places[2]), POOL_OK);
  CHECK_EQ(memory[2][0], 0x5a);
  CHECK_EQ(pool_leave(holder), 1);
}

static void notice_hoarder(void *context) { ++*(int *)context; }

TEST_OURS("a thread that hoards is told when another begins to wait, and not for what is served at once") {
  struct pool *pool = new_pool(65536, 16);
  int notices = 0;
  struct holder *waits = join(pool), *hoards = pool_join(pool, notice_hoarder, &notices);
  uint32_t place = take(hoards, 65536);
  CHECK_EQ(pool_wait(waits, 1, 64, 0), POOL_OK);
  CHECK_EQ(notices, 0);
  pool_hoard(hoards);
  CHECK_EQ(pool_wait(waits, 2, 64, 0), POOL_OK);
  CHECK_EQ(notices, 1);
  CHECK_EQ(pool_give(hoards, place), POOL_OK);
  CHECK_EQ(pool_wait(waits, 3, 64, 0), POOL_OK);
  CHECK_EQ(notices, 1);
  CHECK_EQ(pool_leave(hoards), 0);
  CHECK_EQ(pool_leave(waits), 1);
}

TEST_OURS("a shared block is freed with its last user") {
  struct pool *pool = new_pool(65536, 16);
  struct holder *holder = join(pool);
  uint32_t place = take(holder, 100), same;
  uint64_t handle;
  size_t size;
  CHECK_EQ(pool_share(holder, place, 100, &handle), POOL_OK);
  CHECK_EQ(pool_use_shared(pool, handle, &same, &size), POOL_OK);
  CHECK_EQ(same, place);
  CHECK_EQ(pool_adopt(holder, handle, &same, &size), POOL_STALE);
  pool_leave_shared(pool, handle);
  CHECK_EQ(stats_of(pool).used_blocks, 1);
  CHECK_EQ(pool_check(pool), 0);
  pool_leave_shared(pool, handle);
  pool_leave_shared(pool, handle);
  CHECK_EQ(stats_of(pool).used_blocks, 0);
  CHECK_EQ(pool_use_shared(pool, handle, &same, &size), POOL_STALE);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("a thread that ends gives back its blocks and its stock, and not what it handed over") {
  struct pool *pool = new_pool((size_t)1 << 20, 16);
  struct holder *holder = join(pool), *other = join(pool);
  uint64_t handle;
  for (int i = 0; i < 100; i++) take(other, next(5000));
  CHECK_EQ(pool_stock(other, 3, 10), 10);
  CHECK_EQ(pool_handover(other, take(other, 100), 100, &handle), POOL_OK);
  take(holder, 100);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(stats_of(pool).used_blocks, 2);
  CHECK_EQ(pool_check(pool), 0);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("after a reset a thread is told that it is behind, and its stock counts for nothing") {
  struct pool *pool = new_pool((size_t)1 << 20, 16);
  struct holder *holder = join(pool), *other = join(pool);
  uint32_t place = take(other, 100), fresh;
  CHECK_EQ(pool_stock(other, 0, 10), 10);
  pool_reset(pool);
  CHECK_EQ(pool_give(other, place), POOL_BEHIND);
  CHECK_EQ(pool_stock(other, 0, 10), 0);
  CHECK_EQ(pool_take(other, 100, 0, &fresh), POOL_BEHIND);
  pool_sync(other);
  CHECK_EQ(pool_give(other, place), POOL_NO_BLOCK);
  CHECK_EQ(pool_take(other, 100, 0, &fresh), POOL_OK);
  CHECK_EQ(stats_of(pool).used_blocks, 1);
  CHECK_EQ(stats_of(pool).stocked_blocks, 0);
  CHECK_EQ(pool_leave(other), 0);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("memory that is open outlives the pool, as zeros") {
  struct pool *pool = new_pool((size_t)1 << 20, 16);
  struct holder *holder = join(pool);
  uint32_t place = take(holder, 5000);
  size_t bytes;
  unsigned char *memory = pool_memory(pool, place, &bytes);
  struct region *region = pool_open_region(pool, place >> pool_unit_bits(pool));
  memset(memory, 7, 5000);
  pool_destroy(pool);
  CHECK_EQ(memory[0], 0);
  memory[0] = 1; /* a write that was under way */
  CHECK_EQ(pool_leave(holder), 1);
  CHECK_EQ(memory[0], 1);
  pool_close_region(pool, region);
}

TEST_OURS("a new pool sees nothing of what another has left") {
  for (int round = 0; round < 5; round++) {
    struct pool *pool = new_pool((size_t)1 << 20, 20);
    struct holder *holder = join(pool);
    size_t bytes;
    unsigned char *memory = pool_memory(pool, take(holder, (size_t)1 << 20), &bytes);
    for (size_t i = 0; i < bytes; i++) CHECK_EQ(memory[i], 0);
    memset(memory, 0xaa, bytes);
    CHECK_EQ(pool_leave(holder), 1);
  }
}

TEST_OURS("trim gives the pages of free blocks back and leaves used ones alone") {
  struct pool *pool = new_pool((size_t)8 << 20, 22);
  struct holder *holder = join(pool);
  uint32_t used = take(holder, 4096), large = take(holder, (size_t)1 << 20);
  size_t bytes;
  unsigned char *keep = pool_memory(pool, used, &bytes), *gone = pool_memory(pool, large, &bytes);
  memset(keep, 1, 4096);
  memset(gone, 2, (size_t)1 << 20);
  CHECK_EQ(pool_give(holder, large), POOL_OK);
  CHECK_GE(pool_trim(holder), (size_t)1 << 20);
  CHECK_EQ(pool_trim(holder), 0);
  CHECK_EQ(keep[4095], 1);
  CHECK_EQ(gone[0], 0);
  CHECK_EQ(pool_leave(holder), 1);
}

/* ---- Threads ------------------------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 20000 };
static struct pool *shared_pool;
static uint64_t last_inbox;

static void *churn(void *argument) {
  uint32_t seed = (uint32_t)(uintptr_t)argument, mine[64];
  int count = 0;
  uint64_t handles[16];
  int handed = 0;
  struct holder *holder = pool_join(shared_pool, NULL, NULL);
  uint64_t inbox = pool_open_inbox(holder);
  __atomic_store_n(&last_inbox, inbox, __ATOMIC_RELAXED);
  for (int round = 0; round < ROUNDS; round++) {
    seed = seed * 1664525u + 1013904223u;
    unsigned choice = seed >> 28;
    if (choice < 7 && count < 64) {
      if (pool_take(holder, (seed >> 8) % 20000, 0, &mine[count]) == POOL_OK) count++;
    } else if (choice < 11 && count > 0) {
      if (pool_give(holder, mine[--count]) != POOL_OK) return NULL;
    } else if (choice == 12 && count > 0 && handed < 16) {
      if (pool_handover(holder, mine[--count], 1, &handles[handed++]) != POOL_OK) return NULL;
    } else if (choice == 13 && handed > 0 && count < 64) {
      size_t size;
      if (pool_adopt(holder, handles[--handed], &mine[count++], &size) != POOL_OK) return NULL;
    } else if (choice == 11 && count > 0) {
      /* To some thread that may have ended. */
      enum pool_status status = pool_send(holder, mine[--count], 1, 0, __atomic_load_n(&last_inbox, __ATOMIC_RELAXED));
      if (status != POOL_OK && status != POOL_STALE) return NULL;
      size_t size;
      double note;
      while (count < 64 && pool_receive(holder, inbox, &mine[count], &size, &note) == POOL_OK) count++;
    } else if (choice == 14) {
      pool_stock(holder, (seed >> 8) % STOCK_CLASSES, 8);
    } else {
      pool_sync(holder); /* robbed, or not */
      pool_flush(holder);
    }
  }
  pool_leave(holder);
  return argument;
}

TEST_OURS("threads that take, give, hand over and rob each other leave the pool whole") {
  shared_pool = new_pool((size_t)1 << 20, 18);
  struct holder *holder = join(shared_pool);
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
  for (size_t i = 0; i < THREADS; i++) {
    void *result;
    CHECK_EQ(pthread_join(threads[i], &result), 0);
    CHECK(result != NULL);
  }
  CHECK_EQ(pool_check(shared_pool), 0);
  pool_reclaim(shared_pool, 0);
  CHECK_EQ(stats_of(shared_pool).used_blocks, 0);
  CHECK_EQ(pool_leave(holder), 1);
}

/* ---- The walker --------------------------------------------------------------------------- */

static struct pool *broken;

static void break_n1(void) { broken->regions[0]->used[0] = 0; }
static void break_n2(void) {
  struct region *region = broken->regions[0];
  bitmap_drop(&region->free[region->top - 1], 1);
  bitmap_put(&region->free[region->top - 2], 2);
  bitmap_put(&region->free[region->top - 2], 3);
}
static void break_n3(void) { broken->regions[0]->used[(1u << broken->regions[0]->top) - 1] = 0x80; }
static void break_n4(void) { broken->regions[0]->free_count[0]++; }
static void break_q1(void) { broken->used_bytes++; }
static void break_q1_limit(void) { broken->limit = 1; }
static void break_q2(void) { broken->with_free[0][0] ^= 1; }
static void break_q3(void) { broken->regions[0]->owner[0] = 77; }
static void break_q3_transit(void) { broken->regions[0]->owner[0] = OWNER_NOBODY; }
static void break_q4(void) { broken->mapped_bytes++; }
static struct inbox *broken_inbox(void) {
  struct holder *holder = broken->holders;
  uint32_t place;
  CHECK_EQ(pool_take(holder, 64, 0, &place), POOL_OK);
  CHECK_EQ(pool_send(holder, place, 64, 0, pool_open_inbox(holder)), POOL_OK);
  return broken->inboxes;
}
static void break_i1(void) {
  struct inbox *inbox = broken_inbox();
  inbox->ring[0].place++;
}
static void break_i2(void) { broken_inbox()->told = 0; }

static const struct {
  const char *label;
  void (*damage)(void);
} rows[] = {
    {"violated: N1 ", break_n1}, {"violated: N2 ", break_n2}, {"violated: N3 ", break_n3}, {"violated: N4 ", break_n4},
    {"violated: Q1 the sum", break_q1}, {"violated: Q1 the limit", break_q1_limit}, {"violated: Q2 ", break_q2},
    {"violated: Q3 a used", break_q3}, {"violated: Q3 blocks of", break_q3_transit}, {"violated: Q4 ", break_q4},
    {"violated: I1 ", break_i1}, {"violated: I2 ", break_i2},
};

TEST_OURS("the pool's walker is content, and then names each invariant that is broken on purpose") {
  broken = new_pool((size_t)1 << 20, 20);
  struct holder *holder = join(broken);
  take(holder, 64);
  CHECK_EQ(pool_check(broken), 0);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CHECK_WRITES(rows[i].label, {
      rows[i].damage();
      CHECK(pool_check(broken) >= 1);
    });
}

/* ---- What a fuzzer found -------------------------------------------------------------------------- */

TEST_OURS("a request that was granted, but not heard of yet when everything is freed, is granted anew") {
  struct pool *pool = new_pool((size_t)1 << 20, 17);
  struct holder *waits = join(pool), *resets = join(pool);
  uint32_t place;
  double id;
  enum pool_status status;
  CHECK_EQ(pool_wait(waits, 1, 1000, 0), POOL_OK); /* there is room: it is granted at once */
  pool_reset(pool);
  CHECK_EQ(pool_granted(waits, &id, &place, &status), 0); /* not before the thread has looked at its word */
  pool_sync(waits);
  pool_sync(resets);
  uint32_t other = take(resets, 1000);
  CHECK_EQ(pool_granted(waits, &id, &place, &status), 1);
  CHECK_EQ(status, POOL_OK);
  CHECK(place != other);
  CHECK_EQ(pool_check(pool), 0);
  CHECK_EQ(pool_give(waits, place), POOL_OK);
  CHECK_EQ(pool_give(resets, other), POOL_OK);
  CHECK_EQ(pool_leave(waits), 0);
  CHECK_EQ(pool_leave(resets), 1);
}

TEST_OURS("a request that was granted, but not heard of yet when the pool is destroyed, is refused") {
  struct pool *pool = new_pool((size_t)1 << 20, 17);
  struct holder *holder = join(pool);
  uint32_t place;
  double id;
  enum pool_status status;
  CHECK_EQ(pool_wait(holder, 1, 1000, 0), POOL_OK);
  pool_destroy(pool);
  CHECK_EQ(pool_granted(holder, &id, &place, &status), 1);
  CHECK_EQ(status, POOL_DEAD);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("a block of no bytes whose alignment is beyond a region has memory all the same") {
  struct pool *pool = new_pool((size_t)1 << 20, 17);
  struct holder *holder = join(pool);
  uint32_t place;
  size_t bytes = 0;
  CHECK_EQ(pool_take(holder, 0, (size_t)1 << 19, &place), POOL_OK);
  char *memory = pool_memory(pool, place, &bytes);
  CHECK_EQ((uintptr_t)memory % ((size_t)1 << 19), 0);
  CHECK_GE(bytes, 1);
  memory[bytes - 1] = 1;
  CHECK_EQ(pool_give(holder, place), POOL_OK);
  CHECK_EQ(pool_leave(holder), 1);
}

TEST_OURS("a refused request lets those that wait have what it gave back for nothing") {
  struct pool *pool = new_pool((size_t)1 << 17, 17);
  struct holder *waits = join(pool), *takes = join(pool);
  uint32_t place;
  double id;
  enum pool_status status;
  take(takes, (size_t)1 << 16);
  unsigned half = 0;
  while (pool_class_bytes(half) < (size_t)1 << 16) half++;
  CHECK_EQ(pool_stock(takes, half, 1), 1); /* the other half */
  takes->stock[HEAD_BUSY] = 1; /* its thread is busy: nobody else can take it (pool_stock.c) */
  CHECK_EQ(pool_wait(waits, 1, 1000, 0), POOL_OK);
  CHECK_EQ(pool_granted(waits, &id, &place, &status), 0);
  CHECK_EQ(pool_take(takes, (size_t)1 << 17, 0, &place), POOL_FULL);
  CHECK_EQ(pool_granted(waits, &id, &place, &status), 1);
  CHECK_EQ(status, POOL_OK);
  CHECK_EQ(stats_of(pool).waiting, 0);
  CHECK_EQ(pool_leave(waits), 0);
  CHECK_EQ(pool_leave(takes), 1);
}
