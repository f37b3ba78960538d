/* operations.c: the fuzzer's target, of the default build and of the hardened one: bytes are a program of requests by several
 * threads, and the walker judges.
 *
 * Four bytes are one operation: what (and a few bytes more or less), which block and thread, and two bytes of size. What is
 * checked: alignment, contents, zeros, that nothing is handed out twice, that wild pointers are told from blocks, that the
 * walker (bm_check) is content, and that in the end nothing is left; of the hardened build also that whatever it hands out is zeros,
 * and that a byte written before or behind a block is seen. The clock is the program's own; the system's calls
 * can be made to fail. Every thread does one thing at a time, so a run is the same every time. */
#define _GNU_SOURCE
#include "buddymalloc.h"
#include "crew.h"
#include "os.h"
#include "shadow.h"
#include "slot.h"
#include "wrap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum what {
  MALLOC, CALLOC, REALLOC, REALLOCARRAY, MEMALIGN, POSIX_MEMALIGN, FREE, FREE_SIZED, FLUSH, TRIM, END_THREAD, END_LATE,
  CHECK, WAIT, FAULTS, PROBE, GATHER, SCATTER, THIN_OUT, FREE_EVERY, WALK, FORK,
#if BM_HARDENED
  SPOIL,
#endif
  WHATS
};

/* No program has more operations, or forks, than this, nor more bytes in its hands. */
enum { OPERATIONS_MAX = 400, FORKS_MAX = 2 };
#define HELD_MAX ((size_t)48 << 20)

struct operation {
  enum what what;
  int delta; /* -3 .. 4, added to sizes */
  unsigned block, member;
  uint16_t value;
};

static uint64_t held_bytes;
static unsigned forks;

/* ---- The system --------------------------------------------------------------------------------- */

static uint64_t clock_ms = 1000000;
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time) {
  if (clock != CLOCK_MONOTONIC_COARSE) return __real_clock_gettime(clock, time);
  *time = (struct timespec){(time_t)(clock_ms / 1000), (long)(clock_ms % 1000) * 1000000};
  return 0;
}

/* The secrets of the hardened build: the same every time. */
uint64_t __wrap_sys_random(void);
uint64_t __wrap_sys_random(void) {
  static uint64_t word;
  return word += UINT64_C(0x9e3779b97f4a7c15);
}

static __thread jmp_buf *rescue; /* where a probe of a wild pointer ends */
_Noreturn void __real_fatal(const char *fault, const void *address);
_Noreturn void __wrap_fatal(const char *fault, const void *address);
_Noreturn void __wrap_fatal(const char *fault, const void *address) {
  if (rescue != NULL) longjmp(*rescue, 1);
  __real_fatal(fault, address);
}

/* ---- Operations ---------------------------------------------------------------------------------- */

/* A mantissa of 12 bits and an exponent: every size below 4 KiB, and steps, plus or minus a little, up to 4 MiB. */
static size_t size_of(const struct operation *op) {
  size_t size = (size_t)(op->value & 0xfff) << (op->value >> 12) % 11;
  return op->delta < 0 && size < (size_t)-op->delta ? 0 : size + (size_t)op->delta;
}

static int may_hold(size_t size) { return held_bytes + size <= HELD_MAX; }

/* NULL may be had only where the system was made to fail. */
static int faults_armed;
static int refused(const void *address) {
  if (address != NULL) return 0;
  if (!faults_armed) bug("a request was refused for no reason", NULL);
  if (errno != ENOMEM) bug("a refusal without ENOMEM", NULL);
  return 1;
}

static void hold(struct shadow *shadow, void *address, size_t size, size_t alignment) {
  shadow_hold(shadow, address, size, alignment);
  held_bytes += size;
}

static void drop(struct shadow *shadow, int sized) {
  if (shadow->address == NULL) return;
  shadow_verify(shadow);
  unsigned char *address = shadow->address;
  held_bytes -= shadow->size;
  shadow->address = NULL;
  errno = EXDEV;
  if (sized && shadow->alignment > 16)
    bm_free_aligned_sized(address, shadow->alignment, shadow->size);
  else if (sized)
    bm_free_sized(address, shadow->size);
  else
    bm_free(address);
  if (errno != EXDEV) bug("free() changed errno", address);
}

static void allocate(const struct operation *op, struct shadow *shadow) {
  size_t size = size_of(op), alignment = 16;
  void *address = NULL;
  drop(shadow, 0);
  if (!may_hold(size)) return;
  if (op->what == MALLOC) {
    address = bm_malloc(size);
  } else if (op->what == CALLOC) {
    size_t count = (size_t)op->block % 3 + 1;
    size -= size % count;
    address = bm_calloc(count, size / count);
    if (address != NULL) shadow_is_zero(address, size);
  } else {
    alignment = (size_t)8 << (op->block + op->value) % 20; /* up to 4 MiB */
    if (op->what == POSIX_MEMALIGN) {
      int error = bm_posix_memalign(&address, alignment, size);
      if (error != 0) address = NULL;
      errno = error;
    } else {
      address = bm_memalign(alignment, size);
    }
  }
  if (refused(address)) return;
  if (BM_HARDENED) shadow_is_zero(address, size);
  hold(shadow, address, size, alignment);
}

static void resize(const struct operation *op, struct shadow *shadow) {
  size_t size = size_of(op);
  if (!may_hold(size) || (size == 0 && shadow->address != NULL)) return;
  if (shadow->address != NULL) shadow_verify(shadow);
  void *moved = op->what == REALLOC ? bm_realloc(shadow->address, size) : bm_reallocarray(shadow->address, 1, size);
  if (refused(moved)) return;
  if (shadow->address != NULL) {
    shadow_verify_head(shadow, moved, size);
    held_bytes -= shadow->size;
    shadow->address = NULL;
  }
  hold(shadow, moved, size, 16);
}

static void gather(const struct operation *op, struct herd *herd) {
  for (unsigned i = 0; i < HERD_MAX; i++)
    if (herd->blocks[i] != NULL) return;
  unsigned count = (op->value >> 12) * 32 + 32u;
  herd->size = (op->value & 0xfff) + 1u;
  herd->seed = op->value;
  if (!may_hold(count * herd->size)) return;
  for (unsigned i = 0; i < count; i++) {
    void *address = bm_malloc(herd->size);
    if (refused(address)) return;
    held_bytes += herd->size;
    herd_hold(herd, i, address);
  }
}

static void scatter(struct herd *herd, unsigned first, unsigned step) {
  for (unsigned i = first; i < HERD_MAX; i += step) {
    if (herd->blocks[i] == NULL) continue;
    herd_verify(herd, i);
    void *address = herd->blocks[i];
    herd->blocks[i] = NULL;
    held_bytes -= herd->size;
    bm_free(address);
  }
}

/* An address near a block, or anywhere: usable_size() must know whether a block begins there. */
static void probe(const struct operation *op) {
  const unsigned char *near = shadows[op->block].address;
  const void *address = near == NULL ? (const void *)(uintptr_t)((uintptr_t)op->value << 20) : near + op->value - 0x8000 + op->delta;
  size_t held = shadow_held_at(address);
  jmp_buf here;
  volatile size_t usable = 0;
  volatile int is_known = 0;
  rescue = &here;
  if (setjmp(here) == 0) {
    usable = bm_malloc_usable_size(address);
    is_known = address != NULL;
  }
  rescue = NULL;
  if (is_known != (held != 0)) bug(is_known ? "no block begins here" : "a block was not recognised", address);
  if (usable + BM_HARDENED < held) bug("a block is smaller than it was", address); /* of no bytes it has none */
}

static int is_cut(const void *address) {
  return heap_contains((uintptr_t)address) && slot_owner(slot_of((uintptr_t)address)) != NULL;
}

#if BM_HARDENED
/* 1 if the statement was stopped. */
#define STOPS(stopped, statement) \
  do {                            \
    jmp_buf here;                 \
    rescue = &here;               \
    if (setjmp(here) == 0) {      \
      statement;                  \
      stopped = 0;                \
    } else {                      \
      stopped = 1;                \
    }                             \
    rescue = NULL;                \
  } while (0)

/* A zero behind the request, and one before the block unless the pages of the block there went back. */
static void spoil(const struct operation *op, const struct shadow *shadow) {
  unsigned char *address = shadow->address;
  volatile int stopped;
  if (address == NULL || !is_cut(address)) return;
  unsigned char *spoiled = (op->value & 1) != 0 ? address + shadow->size : address - 1;
  unsigned char saved = *spoiled;
  const struct slot *slot = slot_of((uintptr_t)address);
  if (spoiled < address && slot_state_of(slot, slot_index_of(slot, (const struct block *)address) - 1) == BLOCK_PURGED) return;
  *spoiled = 0;
  if (spoiled < address)
    STOPS(stopped, bm_free(address));
  else
    STOPS(stopped, (void)bm_malloc_usable_size(address));
  *spoiled = saved;
  if (!stopped) bug("a byte that was written over was not seen", spoiled);
}
#endif

/* The hardened build's blocks of no bytes lie in no slot, unless there were no addresses for them. */
static uint64_t unseen(void) {
  uint64_t count = 0;
  for (unsigned i = 0; BM_HARDENED && i < BLOCKS; i++)
    count += shadows[i].address != NULL && shadows[i].size == 0 && shadows[i].alignment <= OS_PAGE && !is_cut(shadows[i].address);
  return count;
}

static size_t walked_used, walked_chunk_rest;
static const unsigned char *walked_end;

/* The pieces of a chunk tile it. */
static int tile(const struct bm_walk_entry *entry, void *unused) {
  (void)unused;
  if (entry->kind == BM_WALK_USED || entry->kind == BM_WALK_HUGE) walked_used++;
  if (entry->kind == BM_WALK_HUGE) return 0;
  if (entry->kind == BM_WALK_CHUNK) {
    if (walked_chunk_rest != 0) bug("a chunk is not tiled to its end", entry->address);
    walked_chunk_rest = entry->size;
    walked_end = entry->address;
    return 0;
  }
  if (entry->address != (const void *)walked_end || entry->size > walked_chunk_rest) bug("a chunk is not tiled", entry->address);
  walked_end += entry->size;
  walked_chunk_rest -= entry->size;
  return 0;
}

static void check(void) {
  if (bm_check() != 0) bug("the walker found a violation", NULL);
}

static void walk(void) {
  walked_used = walked_chunk_rest = 0;
  bm_walk(tile, NULL);
  if (walked_used + unseen() != shadow_count()) bug("the walk shows other blocks than those held", NULL);
}

static void flush(void *unused) {
  (void)unused;
  bm_thread_flush();
}

static void end_all(void) {
  for (unsigned i = 0; i < BLOCKS; i++) drop(&shadows[i], 0);
  for (unsigned h = 0; h < HERDS; h++) scatter(&herds[h], 0, 1);
  crew_end_all();
  bm_thread_flush();
  check();
  struct bm_stats stats;
  bm_stats(&stats);
  if (stats.allocated_blocks != 0) bug("blocks are left though all were freed", (void *)(uintptr_t)stats.allocated_blocks);
  if (stats.allocated_bytes != 0) bug("bytes are left though all was freed", (void *)(uintptr_t)stats.allocated_bytes);
}

static void fork_here(void) {
  if (++forks > FORKS_MAX) return;
  pid_t child = fork();
  if (child < 0) return;
  if (child == 0) {
    crew_forget();
    check();
    walk();
    end_all();
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) bug("the child of a fork failed", NULL);
}

/* What a member does; the rest is done by whoever decodes. */
static void perform(void *argument) {
  const struct operation *op = argument;
  struct shadow *shadow = &shadows[op->block];
  struct herd *herd = &herds[op->block % HERDS];
  switch (op->what) {
    case MALLOC:
    case CALLOC:
    case MEMALIGN:
    case POSIX_MEMALIGN:
      allocate(op, shadow);
      break;
    case REALLOC:
    case REALLOCARRAY:
      resize(op, shadow);
      break;
    case FREE:
    case FREE_SIZED:
      drop(shadow, op->what == FREE_SIZED);
      break;
    case FLUSH:
      bm_thread_flush();
      break;
    case TRIM:
      bm_malloc_trim(0);
      break;
    case PROBE:
      probe(op);
      break;
    case GATHER:
      gather(op, herd);
      break;
    case SCATTER:
      scatter(herd, 0, 1);
      break;
    case THIN_OUT:
      scatter(herd, op->value % 8u, op->value / 8u % 61u + 2u);
      break;
    case FREE_EVERY:
      for (unsigned i = op->block % 4; i < BLOCKS; i += op->value % 7u + 1u) drop(&shadows[i], 0);
      break;
    case FORK:
      fork_here();
      break;
#if BM_HARDENED
    case SPOIL:
      spoil(op, shadow);
      break;
#endif
    default:
      break;
  }
}

/* The calls that are to fail; those that guard pages take, in the build that has them. */
static unsigned kinds_of(const struct operation *op) {
  unsigned kinds = op->block * 2 + 1;
  return BM_HARDENED ? kinds | (unsigned)(op->delta + 3) << 7 : kinds;
}

static void run(struct operation *op) {
  switch (op->what) {
    case END_THREAD:
      crew_end(op->member, NULL, NULL);
      break;
    case END_LATE:
      op->what = (op->value & 1) != 0 ? FREE : MALLOC;
      crew_end(op->member, perform, op);
      break;
    case CHECK:
      check();
      break;
    case WAIT:
      clock_ms += op->value % 1024u;
      break;
    case FAULTS:
      faults_armed = op->value % 4 != 0;
      if (faults_armed)
        /* Not the thread-specific keys: a thread that could not register its end leaves its arena for good. */
        wrap_arm(kinds_of(op) & ~(unsigned)WRAPPED_KEY, (op->value >> 2) % 16u + 1, op->value >> 6);
      else
        wrap_disarm();
      break;
    case WALK:
      walk();
      break;
    default:
      crew_run(op->member, perform, op);
  }
}

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count, (void)arguments;
  bm_mallopt(BM_OPT_BACKGROUND, 0); /* what it would do, trim and the slow paths do at a time of our choice */
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  forks = 0;
  for (size_t i = 0; i + 4 <= size && i < 4 * OPERATIONS_MAX; i += 4) {
    struct operation op = {
        .what = (enum what)((data[i] & 31) % WHATS),
        .delta = (data[i] >> 5) - 3,
        .block = data[i + 1] & 63,
        .member = data[i + 1] >> 6,
        .value = (uint16_t)(data[i + 2] | data[i + 3] << 8),
    };
    run(&op);
  }
  wrap_disarm();
  faults_armed = 0;
  check();
  for (unsigned member = 1; member < CREW; member++) crew_run(member, flush, NULL);
  end_all();
  bm_malloc_trim(0);
  return 0;
}
