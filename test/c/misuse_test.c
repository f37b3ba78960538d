/* misuse_test.c: a caller's bug aborts at the call, with one line that names it and the address.
 *
 * Each row of a table is one statement run in a process of its own. */
#include "harness.h"

#include "content.h"
#include "door.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEST_EXACT(sentence) TEST_IF(NEEDS_OURS | NEEDS_EXACT, sentence)

/* Small, medium, whole slots, huge; blocks of eighths among them. */
static const size_t sizes[] = {1,    16,    24,    48,    100,    200,     600,     1000,    1024,   1500,
                               5000, 20000, 32768, 40000, 100000, 1000000, 2097152, 2097153, 5000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* What the compiler must not see through. */
static void *hidden(void *pointer) {
  __asm__ volatile("" : "+r"(pointer));
  return pointer;
}

static void *free_in_thread(void *block) {
  free(block);
  return NULL;
}

static void free_by_stranger(void *block) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, free_in_thread, block), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST_EXACT("a second free() at once is a double free") {
  for (size_t i = 0; i < SIZES; i++) {
    void *block = malloc(sizes[i]);
    free(block);
    CHECK_FATAL("double free", block, free(hidden(block)));
  }
}

TEST_EXACT("a second free() is a double free while neighbours live") {
  for (size_t i = 0; i < SIZES; i++) {
    void *before = malloc(sizes[i]);
    void *block = malloc(sizes[i]);
    void *after = malloc(sizes[i]);
    free(block);
    CHECK_FATAL("double free", block, free(hidden(block)));
    free(before);
    free(after);
  }
}

TEST_EXACT("a second free() is a double free after 100 other blocks were freed") {
  for (size_t i = 0; i < SIZES; i++) {
    void *others[100];
    void *block = malloc(sizes[i]);
    for (size_t j = 0; j < 100; j++) others[j] = malloc(sizes[i] < 100000 ? sizes[i] : 100);
    free(block);
    for (size_t j = 0; j < 100; j++) free(others[j]);
    CHECK_FATAL("double free", block, free(hidden(block)));
  }
}

TEST_EXACT("a second free() by another thread is a double free") {
  free_by_stranger(NULL); /* what a thread takes is there from now on: else it may take the freed block's memory */
  for (size_t i = 0; i < SIZES; i++) {
    void *block = malloc(sizes[i]);
    free(block);
    CHECK_FATAL("double free", block, free_by_stranger(hidden(block)));
  }
}

TEST_EXACT("free() by the owner after free() by another thread is a double free") {
  for (size_t i = 0; i < SIZES; i++) {
    void *keeper = malloc(sizes[i]);
    void *block = malloc(sizes[i]);
    free_by_stranger(block);
    CHECK_FATAL("double free", block, free(hidden(block)));
    free(keeper);
  }
}

static void *free_twice(void *block) {
  free(block);
  free(hidden(block));
  return NULL;
}

TEST_EXACT("two free()s by the same stranger are a double free") {
  for (size_t i = 0; i < SIZES; i++) {
    void *block = malloc(sizes[i]);
    CHECK_FATAL("double free", block, {
      pthread_t thread;
      pthread_create(&thread, NULL, free_twice, block);
      pthread_join(thread, NULL);
    });
    free(block);
  }
}

TEST_EXACT("a second free() is a double free after the stock went back to the heap") {
  for (size_t i = 0; i < SIZES; i++) {
    void *keeper = malloc(sizes[i]);
    void *block = malloc(sizes[i]);
    free(block);
    door_flush();
    CHECK_FATAL("double free", block, free(hidden(block)));
    free(keeper);
  }
}

TEST_EXACT("realloc() of a freed block is a double free") {
  for (size_t i = 0; i < SIZES; i++) {
    void *block = malloc(sizes[i]);
    free(block);
    CHECK_FATAL("double free", block, block = realloc(hidden(block), 10));
    CHECK_FATAL("double free", block, block = realloc(hidden(block), 0));
  }
}

TEST_EXACT("malloc_usable_size() of a freed block is a double free") {
  for (size_t i = 0; i < SIZES; i++) {
    void *block = malloc(sizes[i]);
    free(block);
    CHECK_FATAL("double free", block, _exit((int)malloc_usable_size(hidden(block))));
  }
}

TEST_EXACT("free() of a pointer into a block is an interior pointer, at every offset") {
  for (size_t i = 0; i < SIZES; i++) {
    char *block = malloc(sizes[i]);
    size_t usable = malloc_usable_size(block);
    const size_t offsets[] = {1, 7, 8, 15, 16, 24, 32, 48, 64, usable / 2, usable / 2 + 1, usable - 16, usable - 1};
    for (size_t j = 0; j < sizeof offsets / sizeof offsets[0]; j++)
      if (offsets[j] > 0 && offsets[j] < usable)
        CHECK_FATAL("interior pointer", block + offsets[j], free(hidden(block + offsets[j])));
    free(block);
  }
}

TEST_EXACT("free() of an interior pointer at a multiple of 64 KiB or 4 MiB is caught") {
  char *block = malloc((size_t)13 << 20);
  for (size_t step = 65536; step <= (size_t)4 << 20; step *= 64) {
    char *inside = (char *)(((uintptr_t)block / step + 1) * step);
    CHECK_FATAL("interior pointer", inside, free(hidden(inside)));
  }
  free(block);
}

TEST_EXACT("free() of an interior pointer by another thread is caught") {
  for (size_t i = 0; i < SIZES; i++) {
    if (sizes[i] < 32) continue;
    char *block = malloc(sizes[i]);
    CHECK_FATAL("interior pointer", block + 16, free_by_stranger(hidden(block + 16)));
    free(block);
  }
}

TEST_EXACT("realloc() and malloc_usable_size() of an interior pointer are caught") {
  for (size_t i = 0; i < SIZES; i++) {
    if (sizes[i] < 32) continue;
    char *block = malloc(sizes[i]);
    CHECK_FATAL("interior pointer", block + 16, block = realloc(hidden(block + 16), 5000));
    CHECK_FATAL("interior pointer", block + 16, _exit((int)malloc_usable_size(hidden(block + 16))));
    free(block);
  }
}

static int global;
static const char constant[] = "constant";

struct stray {
  void *pointer;
};

/* Pointers that malloc never returned; fills the table and returns its length. */
static size_t stray_pointers(struct stray *table) {
  static char on_stack_of[1];
  void *mapping = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void *unmapped = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(unmapped, 1 << 20);
  const uintptr_t pointers[] = {
      (uintptr_t)&global,
      (uintptr_t)constant,
      (uintptr_t)(void (*)(void))free_by_stranger,
      (uintptr_t)on_stack_of,
      (uintptr_t)__builtin_frame_address(0),
      (uintptr_t)mapping,
      (uintptr_t)mapping + 4096 + 16,
      (uintptr_t)unmapped,
      (uintptr_t)sbrk(0) + (1 << 30), /* where the heap may grow to; nearer, it may be */
      1, 8, 16, 4096, 65536, (uintptr_t)1 << 22, (uintptr_t)1 << 46, (uintptr_t)1 << 47, (uintptr_t)1 << 60,
      UINTPTR_MAX, UINTPTR_MAX - 15, UINTPTR_MAX - ((uintptr_t)1 << 22) + 1,
  };
  size_t count = sizeof pointers / sizeof pointers[0];
  for (size_t i = 0; i < count; i++) {
    uintptr_t pointer = pointers[i];
    __asm__ volatile("" : "+r"(pointer));
    table[i].pointer = (void *)pointer;
  }
  return count;
}

TEST_EXACT("free() of stack, global, code, mapped, unmapped and senseless pointers is an invalid pointer") {
  struct stray table[32];
  size_t count = stray_pointers(table);
  free(malloc(1));
  for (size_t i = 0; i < count; i++)
    CHECK_FATAL("invalid pointer", table[i].pointer, free(table[i].pointer));
}

TEST_EXACT("realloc() and malloc_usable_size() of pointers that malloc never gave are invalid pointers") {
  struct stray table[32];
  size_t count = stray_pointers(table);
  void *moved = NULL;
  free(malloc(1));
  for (size_t i = 0; i < count; i++) {
    CHECK_FATAL("invalid pointer", table[i].pointer, moved = realloc(table[i].pointer, 100));
    CHECK_FATAL("invalid pointer", table[i].pointer, _exit((int)malloc_usable_size(table[i].pointer)));
  }
  CHECK_EQ(moved, NULL);
}

TEST_EXACT("free() of a stack pointer by a thread that never allocated is an invalid pointer") {
  int local = 0;
  CHECK_FATAL("invalid pointer", &local, free_by_stranger(hidden(&local)));
}

TEST_EXACT("free() of memory in the heap that was never handed out is caught") {
  char *block = malloc(3000); /* nobody else has blocks of its class */
  uintptr_t slot = (uintptr_t)block & ~(uintptr_t)65535;
  unsigned aborted = 0;
  for (uintptr_t at = slot; at < slot + 65536; at += 16) {
    if (at == (uintptr_t)block) continue;
    if (at % 1024 != 0 && at > slot + 1024) continue;
    if (harness_fork()) {
      free(hidden((void *)at));
      _exit(0);
    }
    int status = harness_wait();
    CHECK_EQ(status & 0x7f, 6);
    aborted++;
  }
  CHECK_GE(aborted, 60);
  free(block);
}

TEST_EXACT("free_sized() with a size that the block cannot have is a wrong size") {
  for (size_t i = 0; i < SIZES; i++) {
    void *block = malloc(sizes[i]);
    size_t usable = malloc_usable_size(block);
    CHECK_FATAL("wrong size", block, door_free_sized(hidden(block), usable + 1));
    CHECK_FATAL("wrong size", block, door_free_sized(hidden(block), usable * 2));
    CHECK_FATAL("wrong size", block, door_free_sized(hidden(block), SIZE_MAX));
    if (usable >= 64) CHECK_FATAL("wrong size", block, door_free_sized(hidden(block), usable / 2));
    free(block);
  }
}

TEST_EXACT("free_sized() of a block of whole slots, or of a mapping, with any size but the last request is a wrong size") {
  static const size_t requests[] = {40000, 65536, 100000, 1000000, 2097152, 2097153, 5000000};
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    size_t size = requests[i];
    void *blocks[] = {malloc(size), calloc(1, size), realloc(malloc(size / 2), size), realloc(malloc(size + 200000), size)};
    for (size_t j = 0; j < 4; j++) {
      CHECK_FATAL("wrong size", blocks[j], door_free_sized(hidden(blocks[j]), size - 1));
      CHECK_FATAL("wrong size", blocks[j], door_free_sized(hidden(blocks[j]), size + 1));
      door_free_sized(blocks[j], size);
    }
  }
}

TEST_EXACT("free_aligned_sized() with an alignment that the block has not is a wrong size") {
  void *block = aligned_alloc(64, 100);
  void *next = aligned_alloc(64, 100);
  void *crooked = (uintptr_t)block % 4096 != 0 ? block : next;
  CHECK_FATAL("wrong size", crooked, door_free_aligned_sized(hidden(crooked), 4096, 100));
  free(block);
  free(next);
}

TEST_EXACT("bm_delete_sized() and bm_delete_aligned_sized() with the size of another block are a wrong size") {
  for (size_t i = 0; i < SIZES; i++) {
    void *block = malloc(sizes[i]), *aligned = aligned_alloc(256, sizes[i]);
    CHECK_FATAL("wrong size", block, door_delete_sized(hidden(block), sizes[i] * 2 + 15));
    CHECK_FATAL("wrong size", aligned, door_delete_aligned_sized(hidden(aligned), 256, sizes[i] * 2 + 255));
    if (sizes[i] < 48) continue;
    CHECK_FATAL("wrong size", block, door_delete_sized(hidden(block), sizes[i] / 2 - 8));
    if (sizes[i] >= 1000) CHECK_FATAL("wrong size", aligned, door_delete_aligned_sized(hidden(aligned), 256, sizes[i] / 2 - 256));
    free(block);
    free(aligned);
  }
}

TEST_EXACT("a program that ignores SIGABRT or handles it still ends by it") {
  void *block = malloc(100);
  free(block);
  CHECK_FATAL("double free", block, {
    signal(SIGABRT, SIG_IGN);
    free(hidden(block));
  });
}

static int is_hardened(void) { return (door_offers() & (NEEDS_OURS | NEEDS_SIZES)) == NEEDS_OURS; }

static void check_after(void *block, size_t offset) {
  ((volatile char *)hidden(block))[offset] ^= 1;
  CHECK(door_check() >= 1);
}

TEST_EXACT("the hardened build's walker names slack, freed blocks and guards that were written over") {
  if (!is_hardened()) return;
  for (size_t size = 24; size <= 30000; size = size * 3 + 8) {
    char *block = malloc(size), *freed = malloc(size);
    free(freed);
    CHECK_EQ(door_check(), 0);
    CHECK_WRITES("violated: Q1 the slack", check_after(block, size));
    CHECK_WRITES("violated: Q2 ", check_after(freed, size / 2));
    free(block);
  }
  /* The first block of a slot: the first of a class that nobody asked for yet. */
  char *first = malloc(31000);
  CHECK_WRITES("violated: Q1 the guard", check_after(first - 1, 0));
  free(first);
}
