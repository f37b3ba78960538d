/* misuse.c: a catalogue of what programs do wrong with memory, each case run in a process of its own.
 *
 * `misuse` lists the cases, `misuse CASE` runs one. Caught is a case that a signal ends, at the misuse or at the free() that
 * follows, or that ends with HARMLESS: what was done wrong had no effect. Missed is one that ends with 0. */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MISSED = 0, HARMLESS = 3, UNKNOWN = 4, KIB = 1 << 10, MIB = 1 << 20 };

struct misuse {
  int (*run)(size_t size, size_t argument);
  const char *name;     /* with the size's name behind it, if there are several */
  size_t argument;
  const char *sizes;    /* of s, m, l and h: small, medium, large, huge; "" for a case of no size */
};

/* What the compiler must not see through. */
static void *hidden(void *pointer) {
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

/* So that a freed block comes round again. */
static void churn(size_t size) {
  enum { ROUNDS = 50, COUNT = 20 };
  void *blocks[COUNT];
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < COUNT; i++) blocks[i] = malloc(size);
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
  }
}

static void others(size_t size) {
  void *blocks[100];
  for (int i = 0; i < 100; i++) blocks[i] = malloc(size < 100 * KIB ? size : 100);
  for (int i = 0; i < 100; i++) free(blocks[i]);
}

static int in_thread(void *(*run)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) != 0 || pthread_join(thread, NULL) != 0) return UNKNOWN;
  return MISSED;
}
static void *free_it(void *block) {
  free(block);
  return NULL;
}
static void *free_it_twice(void *block) {
  free(block);
  free(hidden(block));
  return NULL;
}

/* ---- Beyond the ends ------------------------------------------------------------------------ */

static char *filled(size_t size) { return memset(malloc(size), 'x', size); }

static int overflow(size_t size, size_t bytes) {
  char *block = filled(size);
  memset(hidden(block + size), 'A', bytes);
  free(block);
  return MISSED;
}
static int overflow_by_end_of_string(size_t size, size_t bytes) {
  char *block = filled(size);
  memset(hidden(block + size), 0, bytes);
  free(block);
  return MISSED;
}
static int underflow(size_t size, size_t bytes) {
  char *before = filled(size), *block = filled(size);
  memset((char *)hidden(block) - bytes, 'A', bytes);
  free(block);
  free(before);
  return MISSED;
}
static int underflow_of_first(size_t size, size_t bytes) {
  char *block = filled(size);
  memset((char *)hidden(block) - bytes, 'A', bytes);
  free(block);
  return MISSED;
}
static int overflow_then_realloc(size_t size, size_t bytes) {
  char *block = filled(size);
  memset(hidden(block + size), 'A', bytes);
  block = realloc(hidden(block), size * 2);
  free(block);
  return MISSED;
}
static int overflow_of_calloc(size_t size, size_t bytes) {
  char *block = calloc(1, size);
  memset(hidden(block + size), 'A', bytes);
  free(block);
  return MISSED;
}
static int overflow_of_aligned(size_t size, size_t bytes) {
  char *block = aligned_alloc(64, size);
  memset(hidden(block + size), 'A', bytes);
  free(block);
  return MISSED;
}
static int overflow_after_realloc(size_t size, size_t bytes) {
  char *block = realloc(malloc(size), size - size / 8);
  memset(hidden(block + size - size / 8), 'A', bytes);
  free(block);
  return MISSED;
}

/* ---- After free() --------------------------------------------------------------------------- */

static int write_after_free(size_t size, size_t offset) {
  char *block = filled(size);
  free(block);
  ((volatile char *)hidden(block))[offset] = 'A';
  churn(size);
  return MISSED;
}
static int write_after_free_and_others(size_t size, size_t offset) {
  char *block = filled(size);
  free(block);
  others(size);
  ((volatile char *)hidden(block))[offset] = 'A';
  churn(size);
  return MISSED;
}
static int write_after_free_at_end(size_t size, size_t offset) {
  char *block = filled(size);
  free(block);
  ((volatile char *)hidden(block))[offset] = 'A';
  return MISSED;
}
static int read_after_free(size_t size, size_t offset) {
  char *block = filled(size);
  free(block);
  return ((volatile char *)hidden(block))[offset] == 'x' ? MISSED : HARMLESS;
}
static int read_after_free_and_others(size_t size, size_t offset) {
  char *block = filled(size);
  free(block);
  others(40);
  return ((volatile char *)hidden(block))[offset] == 'x' ? MISSED : HARMLESS;
}
static int call_after_free(size_t size, size_t offset) {
  void (**block)(void) = malloc(size);
  block[offset] = abort;
  free(block);
  void (*function)(void) = ((void (*volatile *)(void))hidden(block))[offset];
  return function == abort ? MISSED : HARMLESS;
}
/* The next request must not get the block that somebody may still use. */
static int reuse_at_once(size_t size, size_t unused) {
  (void)unused;
  void *block = malloc(size);
  uintptr_t old = (uintptr_t)block;
  free(block);
  for (int i = 0; i < 4; i++)
    if ((uintptr_t)malloc(size) == old) return MISSED;
  return HARMLESS;
}
/* The order in which freed blocks come back must not be foreseen. */
static int reuse_in_order(size_t size, size_t unused) {
  enum { COUNT = 200 };
  static uintptr_t freed[COUNT];
  static void *blocks[COUNT];
  (void)unused;
  for (int i = 0; i < COUNT; i++) blocks[i] = malloc(size);
  for (int i = 0; i < COUNT; i++) {
    freed[i] = (uintptr_t)blocks[i];
    free(blocks[i]);
  }
  int foreseen = 0, last = -1, step = 0;
  for (int i = 0; i < COUNT; i++) {
    uintptr_t block = (uintptr_t)malloc(size);
    int found = -1;
    for (int j = 0; j < COUNT; j++)
      if (freed[j] == block) found = j;
    foreseen += found >= 0 && last >= 0 && found - last == step;
    step = found - last;
    last = found;
  }
  return foreseen > COUNT / 2 ? MISSED : HARMLESS;
}
static int stale(size_t size, size_t offset) {
  for (int i = 0; i < 100; i++) free(filled(size));
  char *block = malloc(size);
  return ((volatile char *)hidden(block))[offset] == 'x' ? MISSED : HARMLESS;
}
static int stale_pages(size_t size, size_t unused) {
  char *blocks[50];
  (void)unused;
  for (int i = 0; i < 50; i++) blocks[i] = filled(size);
  for (int i = 0; i < 50; i++) free(blocks[i]);
  for (int i = 0; i < 50; i++) {
    blocks[i] = malloc(size);
    if (memchr(hidden(blocks[i]), 'x', size) != NULL) return MISSED;
  }
  return HARMLESS;
}
/* What a freed block holds must not tell where others are. */
static int link_in_the_open(size_t size, size_t unused) {
  enum { COUNT = 300 };
  static uintptr_t *blocks[COUNT];
  (void)unused;
  for (int i = 0; i < COUNT; i++) blocks[i] = malloc(size);
  for (int i = 0; i < COUNT; i++) free(blocks[i]);
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++) {
      uintptr_t distance = ((volatile uintptr_t *)hidden(blocks[i]))[0] - (uintptr_t)blocks[j];
      if (distance == 0 || distance + 16 == 0) return MISSED;
    }
  return HARMLESS;
}

/* ---- free() of what is not to be freed -------------------------------------------------------- */

static int double_free(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  free(block);
  free(hidden(block));
  return MISSED;
}
static int double_free_delayed(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  free(block);
  others(size);
  free(hidden(block));
  return MISSED;
}
static int double_free_interleaved(size_t size, size_t unused) {
  void *block = malloc(size), *other = malloc(size);
  (void)unused;
  free(block);
  free(other);
  free(hidden(block));
  return MISSED;
}
static int double_free_after_reuse_of_another(size_t size, size_t unused) {
  void *block = malloc(size), *other = malloc(size);
  (void)unused;
  free(block);
  free(other);
  void *again = malloc(size);
  free(hidden(again == block ? other : block));
  return MISSED;
}
static int double_free_by_another_thread(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  free(block);
  return in_thread(free_it, hidden(block));
}
static int double_free_after_another_thread(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  in_thread(free_it, block);
  free(hidden(block));
  return MISSED;
}
static int double_free_in_another_thread(size_t size, size_t unused) {
  (void)unused;
  return in_thread(free_it_twice, malloc(size));
}
static int double_free_after_trim(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  free(block);
  malloc_trim(0);
  free(hidden(block));
  return MISSED;
}
static int double_free_by_realloc(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  free(block);
  return hidden(realloc(hidden(block), size + 10)) == NULL ? HARMLESS : MISSED;
}
static int double_free_of_realloc_to_0(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  if (realloc(hidden(block), 0) != NULL) return UNKNOWN;
  free(hidden(block));
  return MISSED;
}
static int double_free_of_moved(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  void *keeper = malloc(size), *moved = realloc(hidden(block), size * 5);
  if (moved == block) return HARMLESS;
  free(hidden(block));
  return hidden(keeper) == NULL;
}
static int usable_size_of_freed(size_t size, size_t unused) {
  void *block = malloc(size);
  (void)unused;
  free(block);
  return malloc_usable_size(hidden(block)) == 0 ? HARMLESS : MISSED;
}

static char global[4 * KIB];
static int (*const code)(size_t size, size_t argument) = double_free;

/* A pointer that malloc() never gave. */
static void *stray(size_t which) {
  static char *mapping;
  mapping = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uintptr_t address;
  switch (which) {
    case 0: return hidden((char *)__builtin_frame_address(0));
    case 1: return hidden(global + 64);
    case 2: memcpy(&address, &code, sizeof address); return hidden((void *)(address & ~(uintptr_t)15));
    case 3: munmap(mapping, MIB); return hidden(mapping + 64 * KIB);
    case 4: return hidden(mapping + 64 * KIB);
    case 5: return hidden((char *)malloc(40) + 40 * KIB / 16 * 16);
    default: return hidden((void *)(uintptr_t)0x1230);
  }
}
static int double_free_after_write(size_t size, size_t unused) {
  char *block = malloc(size);
  (void)unused;
  free(block);
  memset(hidden(block), 'A', 16);
  free(hidden(block));
  return MISSED;
}
static int double_free_after_eight(size_t size, size_t unused) {
  void *blocks[9];
  (void)unused;
  for (int i = 0; i < 9; i++) blocks[i] = malloc(size);
  for (int i = 0; i < 9; i++) free(blocks[i]);
  free(hidden(blocks[7]));
  return MISSED;
}
static int double_free_of_aligned(size_t size, size_t unused) {
  void *block = aligned_alloc(64, size), *other = malloc(size);
  (void)unused;
  free(block);
  free(other);
  free(hidden(block));
  return MISSED;
}

/* What looks like a block of glibc's, with its header, and is none. */
static void *forged(char *memory) {
  uintptr_t *words = hidden((void *)(((uintptr_t)memory + 31) & ~(uintptr_t)15));
  words[-1] = 0x41;
  words[7] = 0x41;
  return hidden(words);
}
static int free_forged(size_t unused, size_t which) {
  char local[128], *memory = which == 0 ? local : which == 1 ? (char *)stray(1) : malloc(128);
  (void)unused;
  free(forged(memory));
  return MISSED;
}
static int usable_size_of_forged(size_t unused, size_t which) {
  (void)unused;
  return malloc_usable_size(forged(which == 1 ? (char *)stray(1) : malloc(128))) == 0 ? HARMLESS : MISSED;
}

static int free_inside(size_t size, size_t offset) {
  free(hidden((char *)malloc(size) + offset));
  return MISSED;
}
static int free_middle(size_t size, size_t unused) {
  (void)unused;
  free(hidden((char *)malloc(size) + size / 32 * 16));
  return MISSED;
}
static int realloc_inside(size_t size, size_t offset) {
  return hidden(realloc(hidden((char *)malloc(size) + offset), size * 2)) == NULL ? HARMLESS : MISSED;
}
static int usable_size_inside(size_t size, size_t offset) {
  return malloc_usable_size(hidden((char *)malloc(size) + offset)) == 0 ? HARMLESS : MISSED;
}

static int free_stray(size_t unused, size_t which) {
  (void)unused;
  free(stray(which));
  return MISSED;
}
static int realloc_stray(size_t unused, size_t which) {
  (void)unused;
  return hidden(realloc(stray(which), 100)) == NULL ? HARMLESS : MISSED;
}
static int usable_size_of_stray(size_t unused, size_t which) {
  (void)unused;
  return malloc_usable_size(stray(which)) == 0 ? HARMLESS : MISSED;
}

/* ---- Sizes ------------------------------------------------------------------------------------- */

static int read_nothing(size_t unused, size_t kind) {
  (void)unused;
  volatile char *block = hidden(kind == 0 ? malloc(0) : calloc(0, 8));
  return block == NULL ? HARMLESS : block[0] * 0;
}
static int write_nothing(size_t unused, size_t kind) {
  (void)unused;
  volatile char *block = hidden(kind == 0 ? malloc(0) : calloc(0, 8));
  if (block == NULL) return HARMLESS;
  block[0] = 'A';
  free((void *)block);
  return MISSED;
}
static int double_free_of_nothing(size_t unused, size_t unused_too) {
  (void)unused, (void)unused_too;
  void *block = malloc(0);
  free(block);
  free(hidden(block));
  return block == NULL ? HARMLESS : MISSED;
}

static size_t wrong_size(size_t size, size_t wrong) {
  return wrong == 0 ? size - 1 : wrong == 1 ? size + 1 : wrong == 2 ? size * 2 : 1;
}

/* With an allocator that has no free_sized() the size goes unchecked. */
static int sized_free(size_t size, size_t wrong) {
  void (*release)(void *, size_t);
  void *found = dlsym(RTLD_DEFAULT, "free_sized"), *block = malloc(size);
  memcpy(&release, &found, sizeof release);
  if (release == NULL)
    free(block);
  else
    release(block, wrong_size(size, wrong));
  return MISSED;
}

/* C++'s operator new, and its sized delete: libstdc++'s, or what the allocator has in their place. */
static int sized_delete(size_t size, size_t wrong) {
  void *(*make)(size_t);
  void (*release)(void *, size_t);
  void *new = dlsym(RTLD_DEFAULT, "_Znwm"), *delete = dlsym(RTLD_DEFAULT, "_ZdlPvm");
  if (new == NULL || delete == NULL) return UNKNOWN;
  memcpy(&make, &new, sizeof make);
  memcpy(&release, &delete, sizeof release);
  release(make(size), wrong_size(size, wrong));
  return MISSED;
}

/* ---- The table ---------------------------------------------------------------------------------- */

static const struct misuse table[] = {
    {overflow, "overflow by 1", 1, "smlh"},
    {overflow, "overflow by 32", 32, "smlh"},
    {overflow, "overflow by 1 MiB", MIB, "smlh"},
    {overflow_by_end_of_string, "overflow by the end of a string", 1, "smlh"},
    {overflow_of_calloc, "overflow by 1 of calloc", 1, "sm"},
    {overflow_of_aligned, "overflow by 1 of aligned_alloc", 1, "sm"},
    {overflow_after_realloc, "overflow by 1 after realloc in place", 1, "sml"},
    {overflow_then_realloc, "overflow by 1, then realloc", 1, "smlh"},
    {underflow, "underflow by 1", 1, "smlh"},
    {underflow, "underflow by 32", 32, "smlh"},
    {underflow, "underflow by 1 MiB", MIB, "smlh"},
    {underflow_of_first, "underflow by 1 of the first block", 1, "smlh"},
    {write_after_free, "write after free, first byte", 0, "smlh"},
    {write_after_free, "write after free, byte 20", 20, "smlh"},
    {write_after_free_and_others, "write after free and other blocks", 20, "smlh"},
    {write_after_free_at_end, "write after free, then exit", 20, "smlh"},
    {read_after_free, "read after free, byte 0", 0, "smlh"},
    {read_after_free, "read after free, byte 20", 20, "smlh"},
    {read_after_free_and_others, "read after free and other blocks", 20, "smlh"},
    {call_after_free, "pointer in a freed block", 2, "smlh"},
    {reuse_at_once, "freed block reused at once", 0, "smlh"},
    {reuse_in_order, "freed blocks reused in a foreseeable order", 0, "s"},
    {stale, "old contents in a new block", 20, "smlh"},
    {stale_pages, "old contents in many new blocks", 0, "sml"},
    {link_in_the_open, "address of another block in a freed block", 0, "s"},
    {double_free, "double free", 0, "smlh"},
    {double_free_delayed, "double free, delayed", 0, "smlh"},
    {double_free_interleaved, "double free, interleaved", 0, "smlh"},
    {double_free_after_reuse_of_another, "double free after reuse of another block", 0, "smlh"},
    {double_free_by_another_thread, "double free by another thread", 0, "smlh"},
    {double_free_after_another_thread, "double free after one by another thread", 0, "smlh"},
    {double_free_in_another_thread, "double free, both by another thread", 0, "smlh"},
    {double_free_after_trim, "double free after malloc_trim", 0, "smlh"},
    {double_free_by_realloc, "realloc of a freed block", 0, "smlh"},
    {double_free_of_realloc_to_0, "free after realloc to 0", 0, "smlh"},
    {double_free_of_moved, "free of the old block after realloc", 0, "sml"},
    {usable_size_of_freed, "malloc_usable_size of a freed block", 0, "smlh"},
    {double_free_after_write, "double free after a write to the freed block", 0, "smlh"},
    {double_free_after_eight, "double free after eight others", 0, "smlh"},
    {double_free_of_aligned, "double free of aligned_alloc, interleaved", 0, "smlh"},
    {free_forged, "free of a forged header on the stack", 0, ""},
    {free_forged, "free of a forged header in a global", 1, ""},
    {free_forged, "free of a forged header in a block", 2, ""},
    {usable_size_of_forged, "malloc_usable_size of a forged header in a global", 1, ""},
    {usable_size_of_forged, "malloc_usable_size of a forged header in a block", 2, ""},
    {free_inside, "free of an interior pointer, aligned", 16, "smlh"},
    {free_inside, "free of an interior pointer, misaligned", 1, "smlh"},
    {free_middle, "free of the middle of a block", 0, "smlh"},
    {realloc_inside, "realloc of an interior pointer", 16, "smlh"},
    {usable_size_inside, "malloc_usable_size of an interior pointer", 16, "smlh"},
    {free_stray, "free of a stack pointer", 0, ""},
    {free_stray, "free of a global", 1, ""},
    {free_stray, "free of code", 2, ""},
    {free_stray, "free of an unmapped pointer", 3, ""},
    {free_stray, "free of a mapping", 4, ""},
    {free_stray, "free of heap memory never handed out", 5, ""},
    {free_stray, "free of a small number", 6, ""},
    {realloc_stray, "realloc of a stack pointer", 0, ""},
    {realloc_stray, "realloc of a global", 1, ""},
    {realloc_stray, "realloc of code", 2, ""},
    {realloc_stray, "realloc of an unmapped pointer", 3, ""},
    {realloc_stray, "realloc of a mapping", 4, ""},
    {realloc_stray, "realloc of heap memory never handed out", 5, ""},
    {usable_size_of_stray, "malloc_usable_size of a stack pointer", 0, ""},
    {usable_size_of_stray, "malloc_usable_size of a global", 1, ""},
    {usable_size_of_stray, "malloc_usable_size of an unmapped pointer", 3, ""},
    {usable_size_of_stray, "malloc_usable_size of a mapping", 4, ""},
    {usable_size_of_stray, "malloc_usable_size of heap memory never handed out", 5, ""},
    {read_nothing, "read of malloc(0)", 0, ""},
    {read_nothing, "read of calloc(0)", 1, ""},
    {write_nothing, "write to malloc(0)", 0, ""},
    {write_nothing, "write to calloc(0)", 1, ""},
    {double_free_of_nothing, "double free of malloc(0)", 0, ""},
    {sized_free, "free_sized with 1 less", 0, "smlh"},
    {sized_free, "free_sized with 1 more", 1, "smlh"},
    {sized_free, "free_sized with twice the size", 2, "smlh"},
    {sized_free, "free_sized with 1", 3, "smlh"},
    {sized_delete, "sized delete with 1 less", 0, "smlh"},
    {sized_delete, "sized delete with 1 more", 1, "smlh"},
    {sized_delete, "sized delete with twice the size", 2, "smlh"},
    {sized_delete, "sized delete with 1", 3, "smlh"},
};

static const struct {
  char letter;
  const char *name;
  size_t bytes;
} sizes[] = {{'s', "40 bytes", 40}, {'m', "5000 bytes", 5000}, {'l', "100 KiB", 100 * KIB}, {'h', "5 MiB", 5 * MIB}};

static void name_of(char *text, size_t bytes, const struct misuse *misuse, size_t size) {
  snprintf(text, bytes, *misuse->sizes == '\0' ? "%s" : "%s: %s", misuse->name, sizes[size].name);
}

int main(int count, char **arguments) {
  char name[128];
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++) {
      if (*table[i].sizes == '\0' ? size > 0 : strchr(table[i].sizes, sizes[size].letter) == NULL) continue;
      name_of(name, sizeof name, &table[i], size);
      if (count < 2)
        puts(name);
      else if (strcmp(name, arguments[1]) == 0)
        return table[i].run(sizes[size].bytes, table[i].argument);
    }
  }
  return count < 2 ? 0 : UNKNOWN;
}
