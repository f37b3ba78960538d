/* fault_test.c: the k-th system call fails, for every k until the scenario gets through.
 *
 * Whatever fails: no crash, NULL and ENOMEM where due, every block keeps its contents, the
 * walker is content, nothing is lost, and all works when the system relents. */
#include "harness.h"

#include "arena.h"
#include "content.h"
#include "door.h"
#include "guard.h"
#include "heap.h"
#include "os.h"
#include "wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 64 };

/* What a scenario holds; a block that could not be had is NULL. */
struct table {
  void *blocks[SLOTS];
  size_t sizes[SLOTS];
};

static unsigned failures; /* requests refused since the last reset */

static void note(const void *block) {
  if (block != NULL) return;
  CHECK_EQ(errno, ENOMEM);
  __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
}

static void put(struct table *table, size_t at, void *block, size_t size) {
  note(block);
  table->blocks[at] = block;
  table->sizes[at] = size;
  if (block != NULL) content_fill(block, size, at);
}

static void drop(struct table *table, size_t at) {
  if (table->blocks[at] != NULL) content_verify(table->blocks[at], table->sizes[at], at);
  errno = EXDEV;
  free(table->blocks[at]);
  CHECK_EQ(errno, EXDEV);
  table->blocks[at] = NULL;
}

static void drop_all(struct table *table) {
  for (size_t at = 0; at < SLOTS; at++) drop(table, at);
}

static void resize(struct table *table, size_t at, size_t size) {
  if (table->blocks[at] == NULL) return;
  errno = 0;
  void *moved = realloc(table->blocks[at], size);
  note(moved);
  size_t kept = size < table->sizes[at] ? size : table->sizes[at];
  if (moved == NULL) {
    content_verify(table->blocks[at], table->sizes[at], at);
    return;
  }
  content_verify(moved, kept & ~(size_t)7, at);
  put(table, at, moved, size);
}

/* The hardened build writes and reads each block once more. */
enum { ROUNDS = BM_HARDENED ? 10 : 40 };

static void small_blocks(void) {
  struct table table = {{NULL}, {0}};
  for (unsigned round = 0; round < ROUNDS; round++)
    for (size_t at = 0; at < SLOTS; at++) {
      drop(&table, at);
      size_t size = (size_t)16 << (at % 12);
      put(&table, at, malloc(size), size);
    }
  drop_all(&table);
}

/* A large block of the hardened build takes several calls. */
enum { LARGES = BM_HARDENED ? 16 : SLOTS };

static void slot_blocks(void) {
  struct table table = {{NULL}, {0}};
  for (size_t at = 0; at < LARGES; at++) put(&table, at, malloc(40000 + at * 6000), 40000 + at * 6000);
  for (size_t at = 0; at < LARGES; at += 2) drop(&table, at);
  for (size_t at = 1; at < LARGES; at += 2) resize(&table, at, 30000 + at * 9000);
  drop_all(&table);
}

enum { HUGE = BM_HARDENED ? 4 : 6 };

static size_t huge_size(size_t at) { return ((size_t)2 << 20) + (at + 1) * 100000; }

static void huge_blocks(void) {
  struct table table = {{NULL}, {0}};
  for (size_t at = 0; at < HUGE; at++) put(&table, at, malloc(huge_size(at)), huge_size(at));
  for (size_t at = 0; at < HUGE; at += 2) drop(&table, at);
  for (size_t at = 1; at < HUGE; at += 2) resize(&table, at, huge_size(3 * HUGE - at));
  resize(&table, 1, 100000);
  resize(&table, 3, huge_size(1));
  for (size_t at = 0; at < HUGE; at += 2) {
    char *zeroes = calloc(1, huge_size(at + 2));
    note(zeroes);
    if (zeroes != NULL) content_is_zero(zeroes, huge_size(at + 2));
    table.blocks[at] = zeroes;
    table.sizes[at] = 0;
  }
  drop_all(&table);
}

static void aligned_blocks(void) {
  struct table table = {{NULL}, {0}};
  for (size_t at = 0; at < 40; at++) {
    size_t alignment = (size_t)16 << (at % 20);
    put(&table, at, memalign(alignment, at * 1000), at * 1000);
    CHECK_EQ((uintptr_t)table.blocks[at] % alignment, 0);
  }
  drop_all(&table);
}

static void trimmed_blocks(void) {
  struct table table = {{NULL}, {0}};
  for (unsigned round = 0; round < 2; round++) {
    for (size_t at = 0; at < SLOTS / 4; at++) put(&table, at, malloc(at * 9000), at * 9000);
    for (size_t at = round; at < SLOTS; at += 3) drop(&table, at);
    malloc_trim(0);
    for (size_t at = 0; at < SLOTS / 4; at++) {
      drop(&table, at);
      size_t size = at * 8000;
      char *zeroes = calloc(1, size);
      note(zeroes);
      if (zeroes != NULL) content_is_zero(zeroes, size);
      table.blocks[at] = zeroes;
      table.sizes[at] = 0;
    }
    drop_all(&table);
  }
  malloc_trim(0);
}

static struct table handed_over;

static void *fill_table(void *unused) {
  for (size_t at = 0; at < LARGES; at++) {
    size_t size = (size_t)20 << (at % 16);
    put(&handed_over, at, malloc(size), size);
  }
  return unused;
}

static void *empty_table(void *unused) {
  drop_all(&handed_over);
  return unused;
}

static void run_thread(void *(*body)(void *)) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, body, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void threads(void) {
  run_thread(fill_table);
  run_thread(empty_table);
  fill_table(NULL);
  run_thread(empty_table);
  run_thread(fill_table);
  empty_table(NULL);
}

static void expect_all_back(const struct bm_stats *before) {
  struct bm_stats after;
  bm_thread_flush();
  CHECK_EQ(bm_check(), 0);
  bm_stats(&after);
  CHECK_EQ(after.allocated_blocks, before->allocated_blocks);
  CHECK_EQ(after.allocated_bytes, before->allocated_bytes);
}

/* Run the scenario with the calls from number `from` on failing; returns 1 if none was reached. */
static int run_with_faults(void (*scenario)(void), unsigned calls, unsigned long from, unsigned long count) {
  if (harness_fork()) {
    struct bm_stats before;
    bm_stats(&before);
    wrap_arm(calls, from, count);
    scenario();
    unsigned long made = wrap_disarm();
    expect_all_back(&before);
    failures = 0;
    scenario();
    CHECK_EQ(failures, 0);
    expect_all_back(&before);
    _exit(made < from ? 3 : 0);
  }
  int status = harness_wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 3) return 1;
  if (status != 0)
    harness_fail(__FILE__, __LINE__, "calls 0x%x, failing from call %lu (%lu of them): wait status 0x%x",
                 calls, from, count, (unsigned)status);
  return 0;
}

enum { MOST_CALLS = 5000 };

static void try_each(void (*scenario)(void), unsigned calls, unsigned long count) {
  for (unsigned long from = 1; !run_with_faults(scenario, calls, from, count); from++) CHECK_LE(from, MOST_CALLS);
}

/* One call fails; all from it on fail; all of one kind from it on fail. */
static void try_every_call(void (*scenario)(void)) {
  try_each(scenario, WRAPPED_ALL, 1);
  try_each(scenario, WRAPPED_ALL, ULONG_MAX);
  for (unsigned kind = 1; kind < WRAPPED_ALL; kind *= 2) try_each(scenario, kind, ULONG_MAX);
}

TEST("small blocks survive the failure of any system call") { try_every_call(small_blocks); }
TEST("blocks of whole slots survive the failure of any system call") { try_every_call(slot_blocks); }
TEST("huge blocks survive the failure of any system call") { try_every_call(huge_blocks); }
TEST("aligned blocks survive the failure of any system call") { try_every_call(aligned_blocks); }
TEST("trimming survives the failure of any system call") { try_every_call(trimmed_blocks); }
TEST("threads that hand blocks over survive the failure of any system call") { try_every_call(threads); }

/* Bytes of addresses that the process has. */
static size_t address_space(void) {
  char text[64] = {0};
  size_t pages = 0;
  int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0 && read(file, text, sizeof text - 1) > 0);
  close(file);
  CHECK_EQ(sscanf(text, "%zu", &pages), 1);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

TEST("a program whose system calls fail from the k-th on, before main() included, gets through once they work") {
  char program[] = "/proc/self/exe";
  char flag[] = "--in-process";
  char name[] = "small blocks after a poor start";
  char *arguments[] = {program, flag, name, NULL};
  for (unsigned long from = 1; from <= 30; from++) {
    if (harness_fork()) {
      char text[32];
      snprintf(text, sizeof text, "%lu", from);
      setenv("TEST_FAIL_FROM", text, 1);
      setenv("TEST_FAIL_CALLS", "1023", 1);
      execv(program, arguments);
      _exit(1);
    }
    CHECK_EQ(harness_wait(), 0);
  }
}

TEST("small blocks after a poor start") {
  small_blocks();
  wrap_disarm();
  failures = 0;
  small_blocks();
  threads();
  CHECK_EQ(failures, 0);
}

static void *outlive_refusal(void *calls) {
  wrap_arm(WRAPPED_KEY, 1, (unsigned long)(uintptr_t)calls);
  free(malloc(100));
  CHECK_GE(wrap_disarm(), 1);
  for (size_t size = 16; size <= 32768; size *= 2) free(malloc(size));
  return NULL;
}

static void end_after_refusal(unsigned long calls) {
  pthread_t thread;
  free(malloc(1));
  uint32_t busy = arenas.count - arenas.idle_count;
  CHECK_EQ(pthread_create(&thread, NULL, outlive_refusal, (void *)calls), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(arenas.count - arenas.idle_count, busy);
}

TEST("a thread that the system first refuses to tell of its end gives its arena back all the same") {
  for (unsigned long calls = 1; calls <= 3; calls++) CHECK_EXITS(end_after_refusal(calls));
}

enum { REFUSED_MAX = 100 };

/* Mappings that the system refuses to take back are all taken back once it relents. */
static void lose_nothing(unsigned calls) {
  void *blocks[REFUSED_MAX];
  huge_blocks();
  malloc_trim(0);
  size_t before = address_space();
  wrap_arm(calls, 1, ULONG_MAX);
  for (unsigned round = 0; round < 3; round++) {
    for (size_t i = 0; i < REFUSED_MAX; i++) CHECK((blocks[i] = memalign((size_t)1 << 22, huge_size(i))) != NULL);
    for (size_t i = 0; i < REFUSED_MAX; i++) memset(blocks[i], 1, 5000);
    for (size_t i = 0; i < REFUSED_MAX; i++) free(blocks[i]);
    malloc_trim(0);
  }
  wrap_disarm();
  malloc_trim(0);
  CHECK_EQ(bm_check(), 0);
  /* The table of huge blocks has grown. */
  CHECK_LE(address_space(), before + 65536);
}

TEST("no address is lost when the system refuses to unmap for a while, however many mappings it is") {
  CHECK_EXITS(lose_nothing(WRAPPED_MUNMAP));
  CHECK_EXITS(lose_nothing(WRAPPED_MUNMAP | WRAPPED_MADVISE | WRAPPED_MREMAP));
}

TEST("a huge block that was cut short while the system refused to unmap can be freed with its size") {
  enum { LONG = 10000000, SHORT = 3000000 };
  void *shrunk = malloc(LONG), *other = malloc(LONG);
  wrap_arm(WRAPPED_MUNMAP, 1, ULONG_MAX);
  CHECK_EQ(realloc(shrunk, SHORT), shrunk);
  free(other);
  void *again = malloc(SHORT); /* of the mapping that was kept */
  wrap_disarm();
  bm_free_sized(shrunk, SHORT);
  bm_free_sized(again, SHORT);
}

static size_t span_then;
static void note_span(void) { span_then = heap.span; }

TEST_IF(NEEDS_NATIVE, "no address is looked up in the part of the table that goes back, from before it goes") {
  const struct rlimit limits = {(size_t)1 << 30, (size_t)1 << 30};
  free(malloc(1));
  size_t before = heap.span;
  CHECK_EQ(setrlimit(RLIMIT_AS, &limits), 0);
  wrap_arm(WRAPPED_MUNMAP, 1, ULONG_MAX);
  heap_fit();
  wrap_disarm();
  CHECK_EQ(heap.span, before); /* the system refused */
  wrap_disturb(WRAPPED_MUNMAP, note_span);
  heap_fit();
  wrap_disturb(0, NULL);
  CHECK_LE(heap.span, before - 1);
  CHECK_EQ(span_then, heap.span);
}

/* Requests that fail again and again for want of the table of slots. */
static void fail_many_times(void) {
  enum { TIMES = 3000, BYTES = 20000 }; /* of larger ones each could have a mapping of its own */
  void *blocks[SLOTS];
  for (size_t i = 0; i < SLOTS; i++) blocks[i] = malloc(BYTES);
  size_t before = address_space();
  uintptr_t old_break = (uintptr_t)wrap_real_sbrk(0);
  wrap_arm(WRAPPED_MPROTECT, 1, ULONG_MAX);
  struct link {
    struct link *next;
  } *list = NULL;
  for (size_t i = 0, refused = 0; refused < TIMES; i++) {
    struct link *block = malloc(BYTES);
    if (block == NULL) {
      refused++;
      continue;
    }
    block->next = list;
    list = block;
  }
  CHECK_LE(address_space(), before + ((size_t)64 << 20));
  wrap_disarm();
  CHECK_LE((uintptr_t)wrap_real_sbrk(0), old_break + ((size_t)64 << 20));
  for (size_t i = 0; i < 2 * SLOTS; i++) {
    struct link *block = malloc(BYTES);
    CHECK(block != NULL);
    block->next = list;
    list = block;
  }
  for (struct link *next; list != NULL; list = next) next = list->next, free(list);
  for (size_t i = 0; i < SLOTS; i++) free(blocks[i]);
}

TEST("requests that fail for want of bookkeeping, thousands of times, use up no addresses") {
  CHECK_EXITS(fail_many_times());
}

/* Start anew, as if nothing had been allocated yet. */
static void fail_to_start(unsigned long from) {
  memset(&heap, 0, sizeof heap);
#if BM_HARDENED
  CHECK_EQ(os_open(&pattern_page, sizeof pattern_page), 0); /* a start draws its secrets, and closes them */
#endif
  size_t before = address_space();
  wrap_arm(WRAPPED_MMAP, from, 1);
  int started = heap_init();
  wrap_disarm();
  if (!started) CHECK_EQ(address_space(), before);
}

TEST("a start for which a mapping is missing keeps none, so that it can be tried for ever") {
  for (unsigned long from = 1; from <= 4; from++) CHECK_EXITS(fail_to_start(from));
}

static unsigned disturbances;

/* Somebody else moves the break between the library's look at it and its own move. */
static void move_break(void) {
  static const intptr_t steps[] = {1, 4096, 100000, 5 << 20, 16};
  CHECK(wrap_real_sbrk(steps[disturbances++ % 5]) != (void *)-1);
}

TEST("a break that somebody else moves at the worst moment costs nothing but addresses") {
  struct bm_stats before;
  bm_stats(&before);
  wrap_disturb(WRAPPED_SBRK, move_break);
  slot_blocks();
  small_blocks();
  threads();
  wrap_disturb(WRAPPED_SBRK, NULL);
  CHECK_EQ(failures, 0);
  expect_all_back(&before);
}

TEST("blocks of somebody else who uses sbrk() lie between ours untouched") {
  enum { COUNT = 40, BYTES = 70000 };
  char *theirs[COUNT];
  void *ours[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    theirs[i] = sbrk(BYTES);
    CHECK(theirs[i] != (void *)-1);
    content_fill(theirs[i], BYTES, i);
    ours[i] = malloc(1500000);
    content_fill(ours[i], 1500000, i + COUNT);
  }
  for (size_t i = 0; i < COUNT; i++) {
    content_verify(theirs[i], BYTES, i);
    content_verify(ours[i], 1500000, i + COUNT);
    free(ours[i]);
  }
  malloc_trim(0);
  for (size_t i = 0; i < COUNT; i++) content_verify(theirs[i], BYTES, i);
}

TEST("BUDDYMALLOC_SBRK decides how the heap grows") {
  struct bm_stats stats;
  void *blocks[20];
  for (size_t i = 0; i < 20; i++) blocks[i] = malloc(1000000);
  bm_stats(&stats);
  CHECK_GE(stats.heap_bytes, (size_t)16 << 20);
  CHECK_EQ(stats.sbrk_bytes, bm_option_get(BM_OPT_SBRK) == 1 ? stats.heap_bytes : 0);
  for (size_t i = 0; i < 20; i++) free(blocks[i]);
}

static pid_t forking; /* the process whose system calls are interrupted */
static unsigned children, parents;

/* A child that continues what was interrupted waits until the scenario is over; others run nothing but this. */
static void fork_in_handler(int signal) {
  (void)signal;
  if (getpid() != forking) return;
  pid_t child = fork();
  if (child < 0) _exit(1);
  if (child == 0) {
    if (children % 2 == 0) _exit(0);
    return;
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) harness_fail(__FILE__, __LINE__, "wait status of a child is 0x%x", (unsigned)status);
  children++;
}

/* The thread that purges has no handlers. */
static void raise_here(void) {
  if (gettid() == getpid()) raise(SIGUSR1);
}

static void run_with_forks(void (*scenario)(void)) {
  struct bm_stats before;
  forking = getpid();
  bm_stats(&before);
  signal(SIGUSR1, fork_in_handler);
  wrap_disturb(WRAPPED_ALL, raise_here);
  scenario();
  wrap_disturb(0, NULL);
  CHECK_EQ(failures, 0);
  expect_all_back(&before);
  CHECK(getpid() != forking || children >= 1);
}

static void fork_at_each_call(void (*scenario)(void)) { CHECK_EXITS(run_with_forks(scenario)); }

TEST("a signal handler that interrupts any system call of the allocator can fork, and the call goes on in both") {
  fork_at_each_call(slot_blocks);
  fork_at_each_call(huge_blocks);
  fork_at_each_call(trimmed_blocks);
}

/* Threads' children may call nothing that allocates. */
static void fork_and_exit(int signal) {
  (void)signal;
  pid_t child = fork();
  if (child < 0) _exit(1);
  if (child == 0) _exit(0);
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) _exit(1);
  parents++;
}

static pthread_t first_thread;

static void raise_in_first_thread(void) {
  if (pthread_equal(pthread_self(), first_thread) && parents < 20) raise(SIGUSR1);
}

static int stop_churning;

static void *churn_huge_and_small(void *unused) {
  while (!__atomic_load_n(&stop_churning, __ATOMIC_RELAXED)) {
    huge_blocks();
    small_blocks();
    malloc_trim(0);
  }
  return unused;
}

TEST("a signal handler that interrupts a thread inside the allocator can fork while others wait for its locks") {
  pthread_t threads[2];
  first_thread = pthread_self();
  signal(SIGUSR1, fork_and_exit);
  for (size_t i = 0; i < 2; i++) CHECK_EQ(pthread_create(&threads[i], NULL, churn_huge_and_small, NULL), 0);
  wrap_disturb(WRAPPED_MMAP | WRAPPED_MREMAP | WRAPPED_SBRK, raise_in_first_thread);
  while (parents < 20) {
    slot_blocks();
    huge_blocks();
    malloc_trim(0);
  }
  wrap_disturb(0, NULL);
  __atomic_store_n(&stop_churning, 1, __ATOMIC_RELAXED);
  for (size_t i = 0; i < 2; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}
