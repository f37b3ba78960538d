/* client.c: the verbs of buddymalloc.h in a build whose blocks memcheck or ASan knows; see client.h.
 *
 * A block is asked for with a tail that the program may not touch; its last word is the size that was asked for.
 * Whatever of the heap is not in the program's hands is closed: memcheck and ASan report who touches it. The
 * core itself does so within client_enter() and client_leave(): memcheck reports nothing meanwhile, and ASan
 * knows nothing of it, since the core is compiled without -fsanitize=address. realloc() always moves, so
 * that a stale pointer is seen.
 *
 * Owner:     no state but what is told once.
 * Cost:      some tens of instructions a call; more under the tool. Not for production. */
#define BM_CLIENT_DOOR
#include "client.h"

#include "fatal.h"
#include "heap.h"
#include "include/buddymalloc.h"
#include "os.h"

#include <errno.h>
#include <string.h>

/* Bytes behind a block: a gap, and the size. */
#define TAIL_BYTES 16u

#define CORE(name) extern __typeof__(bm_##name) bm_core_##name
CORE(malloc);
CORE(free);
CORE(memalign);
CORE(posix_memalign);
CORE(malloc_usable_size);
CORE(malloc_trim);
CORE(stats);
CORE(mallinfo);
CORE(malloc_stats);
CORE(stats_text);
CORE(malloc_info);
CORE(info_text);
CORE(walk);
CORE(check);
CORE(thread_flush);

/* ---- What the tools are told ------------------------------------------------------------ */

#if BM_ASAN
/* Weak: a program that is linked without ASan runs too. */
void __asan_poison_memory_region(void const volatile *address, size_t bytes) __attribute__((weak));
void __asan_unpoison_memory_region(void const volatile *address, size_t bytes) __attribute__((weak));
void __lsan_register_root_region(const void *address, size_t bytes) __attribute__((weak));
void __lsan_unregister_root_region(const void *address, size_t bytes) __attribute__((weak));
#endif

void client_close(void *address, size_t bytes) {
#if BM_VALGRIND
  VALGRIND_MAKE_MEM_NOACCESS(address, bytes);
#endif
#if BM_ASAN
  if (__asan_poison_memory_region != NULL) __asan_poison_memory_region(address, bytes);
#endif
}

/* ASan would object to the core's own memcpy() and memset(), which it replaces; it searches no such table. */
void client_close_table(void *address, size_t bytes) {
#if BM_VALGRIND
  VALGRIND_MAKE_MEM_NOACCESS(address, bytes);
#endif
  (void)address, (void)bytes;
}

void client_give_back(void *address, size_t bytes) {
#if BM_ASAN
  if (__asan_unpoison_memory_region != NULL) __asan_unpoison_memory_region(address, bytes);
#endif
  (void)address, (void)bytes;
}

void client_enter(void) {
#if BM_VALGRIND
  VALGRIND_DISABLE_ERROR_REPORTING;
#endif
}

void client_leave(void) {
#if BM_VALGRIND
  VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}

/* Pointers in our blocks keep ASan's own blocks from being leaks. The heap is told as a whole, once; what is
 * not mapped in it is passed over. */
static void tell_roots(const void *block, size_t usable) {
#if BM_ASAN
  static uint32_t told;
  if (__lsan_register_root_region == NULL) return;
  if (!heap_contains((uintptr_t)block))
    __lsan_register_root_region(block, usable);
  else if (__atomic_exchange_n(&told, 1, __ATOMIC_RELAXED) == 0)
    __lsan_register_root_region((const void *)heap.base, heap.span);
#else
  (void)block, (void)usable;
#endif
}

static void forget_roots(const void *block, size_t usable) {
#if BM_ASAN
  if (__lsan_unregister_root_region != NULL && !heap_contains((uintptr_t)block))
    __lsan_unregister_root_region(block, usable);
#else
  (void)block, (void)usable;
#endif
}

/* ---- Blocks -------------------------------------------------------------------------------- */

static size_t padded(size_t size) { return size > PTRDIFF_MAX - TAIL_BYTES ? size : size + TAIL_BYTES; }

static size_t *size_word(void *block, size_t usable) { return (size_t *)(void *)((char *)block + usable) - 1; }

/* The block, whose usable bytes are closed, becomes the program's. Between enter and leave. */
static void *hand_out(void *block, size_t size) {
  if (block == NULL) return NULL;
  size_t usable = bm_core_malloc_usable_size(block);
  client_close(block, usable);
  *size_word(block, usable) = size;
  tell_roots(block, usable);
#if BM_VALGRIND
  VALGRIND_MALLOCLIKE_BLOCK(block, size, 0, 0);
#endif
#if BM_ASAN
  if (__asan_unpoison_memory_region != NULL) __asan_unpoison_memory_region(block, size);
#endif
  return block;
}

void *bm_malloc(size_t size) {
  client_enter();
  void *block = hand_out(bm_core_malloc(padded(size)), size);
  client_leave();
  return block;
}

void bm_free(void *block) {
  if (block == NULL) return;
#if BM_VALGRIND
  VALGRIND_FREELIKE_BLOCK(block, 0); /* outside, so that it reports what is no block */
#endif
  client_enter();
  size_t usable = bm_core_malloc_usable_size(block);
  forget_roots(block, usable);
  client_close(block, usable);
  bm_core_free(block);
  client_leave();
}

/* What was asked for; fatal if `block` is none. */
size_t bm_malloc_usable_size(const void *block) {
  if (block == NULL) return 0;
  client_enter();
  size_t usable = bm_core_malloc_usable_size(block);
  size_t size = ((const size_t *)(const void *)((const char *)block + usable))[-1];
  client_leave();
  return size;
}

void *bm_calloc(size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
  void *block = bm_malloc(bytes);
  return block != NULL ? memset(block, 0, bytes) : NULL;
}

void *bm_realloc(void *block, size_t size) {
  if (block == NULL) return bm_malloc(size);
  if (size == 0) {
    bm_free(block);
    return NULL;
  }
  size_t old = bm_malloc_usable_size(block);
  void *moved = bm_malloc(size);
  if (moved == NULL) return NULL;
  memcpy(moved, block, old < size ? old : size);
  bm_free(block);
  return moved;
}

void *bm_reallocarray(void *block, size_t count, size_t size) {
  size_t bytes;
  if (!__builtin_mul_overflow(count, size, &bytes)) return bm_realloc(block, bytes);
  errno = ENOMEM;
  return NULL;
}

void *bm_memalign(size_t alignment, size_t size) {
  client_enter();
  void *block = hand_out(bm_core_memalign(alignment, padded(size)), size);
  client_leave();
  return block;
}

void *bm_aligned_alloc(size_t alignment, size_t size) { return bm_memalign(alignment, size); }

int bm_posix_memalign(void **block, size_t alignment, size_t size) {
  client_enter();
  int failed = bm_core_posix_memalign(block, alignment, padded(size));
  if (!failed) hand_out(*block, size);
  client_leave();
  return failed;
}

void *bm_valloc(size_t size) { return bm_memalign(OS_PAGE, size); }

void *bm_pvalloc(size_t size) {
  return bm_memalign(OS_PAGE, size > PTRDIFF_MAX ? size : os_round_up(size == 0 ? 1 : size));
}

void bm_free_sized(void *block, size_t size) {
  if (block != NULL && bm_malloc_usable_size(block) != size) fatal(FATAL_WRONG_SIZE, block);
  bm_free(block);
}

void bm_free_aligned_sized(void *block, size_t alignment, size_t size) {
  if (block != NULL && ((uintptr_t)block & (alignment - 1)) != 0) fatal(FATAL_WRONG_SIZE, block);
  bm_free_sized(block, size);
}

void bm_delete_sized(void *block, size_t size) { bm_free_sized(block, size == 0 ? 1 : size); }

/* The C++ library may have rounded the size up to the alignment. */
void bm_delete_aligned_sized(void *block, size_t alignment, size_t size) {
  size_t least = size == 0 ? 1 : size, rounded = (least + alignment - 1) & ~(alignment - 1);
  bm_free_aligned_sized(block, alignment, bm_malloc_usable_size(block) == rounded ? rounded : least);
}

/* ---- Looking inside -------------------------------------------------------------------------- */

#define PASS_ON(type, name, parameters, arguments) \
  type bm_##name parameters {                      \
    client_enter();                                \
    type result = bm_core_##name arguments;        \
    client_leave();                                \
    return result;                                 \
  }
#define PASS_ON_VOID(name, parameters, arguments) \
  void bm_##name parameters {                     \
    client_enter();                               \
    bm_core_##name arguments;                     \
    client_leave();                               \
  }

PASS_ON(int, malloc_trim, (size_t pad), (pad))
PASS_ON(struct bm_mallinfo, mallinfo, (void), ())
PASS_ON(size_t, stats_text, (char *buffer, size_t size), (buffer, size))
PASS_ON(int, malloc_info, (int options, int fd), (options, fd))
PASS_ON(size_t, info_text, (char *buffer, size_t size), (buffer, size))
PASS_ON(int, walk, (int (*visit)(const struct bm_walk_entry *entry, void *context), void *context), (visit, context))
PASS_ON(int, check, (void), ())
PASS_ON_VOID(stats, (struct bm_stats *out), (out))
PASS_ON_VOID(malloc_stats, (void), ())
PASS_ON_VOID(thread_flush, (void), ())
