/* pool.c: the fuzzer's target for the memory pool: several holders' requests, and pool_check() judges.
 *
 * The first four bytes choose the limit, the regions' size and the alignment; after that four bytes are one operation. What
 * is checked: alignment, contents, that nothing is handed out twice, that wrong places and handles are refused, that
 * the sums agree and never exceed the limit, and that nobody waits for room that is there. */
#include "pool.h"
#include "shadow.h"
#include "wrap.h"

#include <string.h>

enum what {
  TAKE, TAKE_ALIGNED, GIVE, RESIZE, STOCK, UNSTOCK, FROM_STOCK, TO_STOCK, FLUSH, SYNC, TRIM, WAIT, CANCEL, GRANTED,
  HANDOVER, ADOPT, WILD_PLACE, WILD_HANDLE, OPEN, CLOSE, JOIN, LEAVE, RESET, DESTROY, FAULTS, WALK, WHATS
};

enum { HOLDERS = 4, HELD = 64, OPENED = 4, WAITS_MAX = 16, OPERATIONS_MAX = 500 };

/* A block in a holder's hands, or on its way by its handle. */
struct held {
  unsigned char *memory; /* NULL for none */
  struct holder *holder; /* NULL while its handle waits */
  uint32_t place;
  size_t bytes, size;
  uint64_t handle;
};

static struct pool *pool;
static struct holder *holders[HOLDERS];
static struct held held[HELD];
static struct region *opened[OPENED];
static size_t limit, alignment;
static unsigned region_order;
static double next_id;
static int is_dead, faults_armed;

struct operation {
  enum what what;
  int delta;
  unsigned at, holder;
  uint16_t value;
};

static size_t size_of(const struct operation *op) {
  size_t size = (size_t)(op->value & 0xfff) << (op->value >> 12) % 10;
  return op->delta < 0 && size < (size_t)-op->delta ? 0 : size + (size_t)op->delta;
}

/* ---- What is held ----------------------------------------------------------------------------------- */

static unsigned char mark(const struct held *block) { return (unsigned char)(block->place * 31 + 7); }

static void each_marked(const struct held *block, int write) {
  size_t places[] = {0, block->bytes / 2, block->bytes - 1};
  for (unsigned i = 0; i < 3; i++) {
    if (write)
      block->memory[places[i]] = (unsigned char)(mark(block) + i);
    else if (block->memory[places[i]] != (unsigned char)(mark(block) + i))
      bug("a block's contents have changed", block->memory + places[i]);
  }
}

static void hold(struct held *block, struct holder *holder, uint32_t place, size_t size, size_t aligned) {
  size_t bytes = 0;
  unsigned char *memory = pool_memory(pool, place, &bytes);
  if (memory == NULL) bug("a block has no memory", block);
  if (bytes < size || (uintptr_t)memory % aligned != 0) bug("a block is too small or not aligned", memory);
  for (unsigned i = 0; i < HELD; i++)
    if (held[i].memory != NULL && memory < held[i].memory + held[i].bytes && held[i].memory < memory + bytes)
      bug("memory was handed out twice", memory);
  *block = (struct held){memory, holder, place, bytes, size, 0};
  each_marked(block, 1);
}

static void forget_all(void) { memset(held, 0, sizeof held); }

static void expect_status(enum pool_status status, enum pool_status expected, const char *what) {
  if (status != expected) bug(what, (void *)(uintptr_t)status);
}

/* A refusal needs a reason: the limit, or a system that was made to fail. */
static int refused(enum pool_status status) {
  if (status == POOL_OK) return 0;
  if (status == POOL_NO_MEMORY && !faults_armed) bug("no memory for no reason", NULL);
  if (status == POOL_DEAD && !is_dead) bug("dead for no reason", NULL);
  return 1;
}

static uint64_t waiting(void) {
  struct pool_stats stats;
  pool_stats(pool, &stats);
  return stats.waiting;
}

/* ---- Operations -------------------------------------------------------------------------------------- */

static void take(const struct operation *op, struct holder *holder, struct held *block) {
  size_t aligned = op->what == TAKE ? 1 : (size_t)64 << (op->value + op->at) % 14;
  uint32_t place;
  if (block->memory != NULL || refused(pool_take(holder, size_of(op), aligned, &place))) return;
  hold(block, holder, place, size_of(op), aligned > alignment ? aligned : alignment);
}

static void give(struct held *block) {
  if (block->memory == NULL || block->holder == NULL) return;
  each_marked(block, 0);
  int was_awaited = waiting() > 0; /* then the place may be the same holder's again */
  expect_status(pool_give(block->holder, block->place), POOL_OK, "a block is not taken back");
  if (!was_awaited && pool_give(block->holder, block->place) == POOL_OK) bug("a block is taken back twice", block->memory);
  block->memory = NULL;
}

static void resize(const struct operation *op, struct held *block) {
  if (block->memory == NULL || block->holder == NULL) return;
  each_marked(block, 0);
  size_t size = size_of(op);
  if (pool_resize(block->holder, block->place, size) == POOL_OK) {
    struct held old = *block;
    block->memory = NULL;
    hold(block, old.holder, old.place, size, alignment);
    if (block->memory != old.memory) bug("a block moved", block->memory);
  } else {
    each_marked(block, 0);
  }
}

static int32_t *stock_of(const struct holder *holder, unsigned kind) { return holder->stock + STOCK_HEAD + kind * STOCK_STRIDE; }

static void from_stock(const struct operation *op, struct holder *holder, struct held *block) {
  unsigned kind = op->value % STOCK_CLASSES;
  int32_t *stock = stock_of(holder, kind);
  if (block->memory != NULL || stock[0] == 0) return;
  hold(block, holder, (uint32_t)stock[stock[0]--], pool_class_bytes(kind), alignment);
}

static void to_stock(struct held *block) {
  if (block->memory == NULL || block->holder == NULL) return;
  for (unsigned kind = 0; kind < STOCK_CLASSES; kind++) {
    int32_t *stock = stock_of(block->holder, kind);
    if (pool_class_bytes(kind) != block->bytes || stock[0] == STOCK_MOST) continue;
    each_marked(block, 0);
    stock[++stock[0]] = (int32_t)block->place;
    block->memory = NULL;
    return;
  }
}

static void granted(struct holder *holder) {
  double id;
  uint32_t place;
  enum pool_status status;
  while (pool_granted(holder, &id, &place, &status)) {
    if (status != POOL_OK || refused(status)) continue;
    unsigned at = 0;
    while (at < HELD && held[at].memory != NULL) at++;
    if (at < HELD)
      hold(&held[at], holder, place, 0, alignment);
    else
      expect_status(pool_give(holder, place), POOL_OK, "a granted block is not taken back");
  }
}

static void handover(struct held *block) {
  if (block->memory == NULL || block->holder == NULL) return;
  if (refused(pool_handover(block->holder, block->place, block->size, &block->handle))) return;
  expect_status(pool_give(block->holder, block->place), POOL_NOT_YOURS, "a block on its way is somebody's");
  block->holder = NULL;
}

static void adopt(struct holder *holder, struct held *block) {
  if (block->memory == NULL || block->holder != NULL) return;
  uint32_t place;
  size_t size;
  expect_status(pool_adopt(holder, block->handle, &place, &size), POOL_OK, "a handle is refused");
  if (place != block->place || size != block->size) bug("a handle leads to another block", block->memory);
  block->holder = holder;
  each_marked(block, 0);
  expect_status(pool_adopt(holder, block->handle, &place, &size), POOL_STALE, "a handle is accepted twice");
}

static void wild_place(const struct operation *op, struct holder *holder) {
  uint32_t place = (uint32_t)op->value << (op->at & 15);
  granted(holder);
  for (unsigned i = 0; i < HELD; i++)
    if (held[i].memory != NULL && held[i].place == place) return;
  /* It may lie in a stock: then it is the holder's to give. */
  for (unsigned kind = 0; kind < STOCK_CLASSES; kind++) {
    const int32_t *stock = stock_of(holder, kind);
    for (int32_t i = 1; i <= stock[0]; i++)
      if ((uint32_t)stock[i] == place) return;
  }
  if (pool_give(holder, place) == POOL_OK) bug("a place of no block is taken back", (void *)(uintptr_t)place);
}

static void leave(unsigned number) {
  unsigned left = 0;
  for (unsigned i = 0; i < HOLDERS; i++) left += holders[i] != NULL;
  if (left < 2) return; /* the last one leaves at the end */
  for (unsigned i = 0; i < HELD; i++)
    if (held[i].memory != NULL && held[i].holder == holders[number]) held[i].memory = NULL;
  if (pool_leave(holders[number])) bug("the last holder was not the last", NULL);
  holders[number] = NULL;
}

/* Whoever freed everything: the others notice by their word. */
static void behind(void) {
  forget_all();
  for (unsigned i = 0; i < HOLDERS; i++)
    if (holders[i] != NULL) pool_sync(holders[i]);
}

static size_t walked_bytes;
static void add_block(const struct pool_block *block, void *unused) {
  (void)unused;
  walked_bytes += block->bytes;
}
static void count_region(const struct region *region, void *count) {
  *(uint64_t *)count += region->bytes > 0;
}

static void walk(void) {
  struct pool_stats stats;
  uint64_t regions = 0;
  walked_bytes = 0;
  pool_walk(pool, add_block, NULL);
  pool_walk_regions(pool, count_region, &regions);
  pool_stats(pool, &stats);
  if (walked_bytes != stats.used_bytes || regions != stats.regions) bug("the walk and the sums differ", NULL);
  if (stats.used_bytes > limit) bug("more is used than the limit allows", (void *)stats.used_bytes);
}

static void perform(const struct operation *op) {
  struct holder *holder = holders[op->holder];
  struct held *block = &held[op->at];
  if (op->what == JOIN) {
    if (holder == NULL) holders[op->holder] = pool_join(pool, NULL, NULL);
    return;
  }
  if (holder == NULL) return;
  switch (op->what) {
    case TAKE:
    case TAKE_ALIGNED:
      take(op, holder, block);
      break;
    case GIVE:
      give(block);
      break;
    case RESIZE:
      resize(op, block);
      break;
    case STOCK:
      pool_stock(holder, op->value % (STOCK_CLASSES + 1), op->value >> 8);
      break;
    case UNSTOCK:
      pool_unstock(holder, op->value % (STOCK_CLASSES + 1), op->value >> 12);
      break;
    case FROM_STOCK:
      from_stock(op, holder, block);
      break;
    case TO_STOCK:
      to_stock(block);
      break;
    case FLUSH:
      pool_flush(holder);
      break;
    case SYNC:
      pool_sync(holder);
      break;
    case TRIM:
      pool_trim(holder);
      break;
    case WAIT:
      if (next_id < WAITS_MAX) pool_wait(holder, ++next_id, size_of(op), 1);
      break;
    case CANCEL:
      pool_cancel(holder, op->value % (WAITS_MAX + 1));
      break;
    case GRANTED:
      granted(holder);
      break;
    case HANDOVER:
      handover(block);
      break;
    case ADOPT:
      adopt(holder, block);
      break;
    case WILD_PLACE:
      wild_place(op, holder);
      break;
    case WILD_HANDLE: {
      uint32_t place;
      size_t size;
      if (pool_adopt(holder, (uint64_t)op->value << op->at % 40, &place, &size) == POOL_OK) bug("a guessed handle is accepted", NULL);
      break;
    }
    case OPEN:
      if (opened[op->at % OPENED] == NULL && block->memory != NULL)
        opened[op->at % OPENED] = pool_open_region(pool, block->place >> pool_unit_bits(pool));
      break;
    case CLOSE:
      if (opened[op->at % OPENED] != NULL) pool_close_region(pool, opened[op->at % OPENED]);
      opened[op->at % OPENED] = NULL;
      break;
    case LEAVE:
      leave(op->holder);
      break;
    case RESET:
      pool_reset(pool);
      behind();
      break;
    case DESTROY:
      if (op->value % 8 != 0) break; /* all is over then */
      is_dead = 1;
      pool_destroy(pool);
      behind();
      break;
    case FAULTS:
      faults_armed = op->value % 4 != 0;
      if (faults_armed)
        wrap_arm(WRAPPED_MMAP | WRAPPED_MUNMAP | WRAPPED_MADVISE, (op->value >> 2) % 16u + 1, op->value >> 6);
      else
        wrap_disarm();
      break;
    case WALK:
      walk();
      break;
    default:
      break;
  }
}

/* Every way to free grants what it can; a flush of nothing must find nothing left to grant. */
static void expect_none_waits_in_vain(void) {
  uint64_t before = waiting();
  if (before == 0 || faults_armed) return;
  for (unsigned i = 0; i < HOLDERS; i++)
    if (holders[i] != NULL && stock_of(holders[i], 0)[0] == 0) {
      pool_unstock(holders[i], 0, 0);
      if (waiting() != before) bug("somebody waited for room that was there", NULL);
      return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 4) return 0;
  region_order = REGION_ORDER_MIN + data[0] % 6u;
  limit = ((size_t)(data[1] | data[2] << 8) << 10) + 1;
  alignment = (size_t)64 << data[3] % 8;
  next_id = is_dead = 0;
  struct pool_options options = {.limit = limit, .region_order = region_order, .alignment = alignment};
  pool = pool_create(&options);
  if (pool == NULL) bug("no pool", NULL);
  holders[0] = pool_join(pool, NULL, NULL);
  for (size_t i = 4; i + 4 <= size && i < 4 * OPERATIONS_MAX; i += 4) {
    struct operation op = {
        .what = (enum what)((data[i] & 31) % WHATS),
        .delta = (data[i] >> 5) - 3,
        .at = data[i + 1] & 63,
        .holder = data[i + 1] >> 6,
        .value = (uint16_t)(data[i + 2] | data[i + 3] << 8),
    };
    perform(&op);
    expect_none_waits_in_vain();
  }
  wrap_disarm();
  faults_armed = 0;
  walk();
  if (pool_check(pool) != 0) bug("the check found a violation", NULL);
  for (unsigned i = 0; i < HELD; i++) give(&held[i]);
  for (unsigned i = 0; i < OPENED; i++) {
    if (opened[i] != NULL) pool_close_region(pool, opened[i]);
    opened[i] = NULL;
  }
  if (pool_check(pool) != 0) bug("the check found a violation", NULL);
  unsigned left = 0;
  for (unsigned i = 0; i < HOLDERS; i++) left += holders[i] != NULL;
  for (unsigned i = 0; i < HOLDERS; i++) {
    if (holders[i] == NULL) continue;
    if (pool_leave(holders[i]) != (--left == 0)) bug("the last holder is not known", NULL);
    holders[i] = NULL;
  }
  forget_all();
  return 0;
}
