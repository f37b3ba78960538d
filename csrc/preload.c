/* preload.c: libc's names, in the shared library only. Each is the function of buddymalloc.h. */
#define _GNU_SOURCE
#include "include/buddymalloc.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct mallinfo_int {
  int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

/* malloc and free are bm_malloc and bm_free themselves: the linker is told so where the library is built
 * (--defsym), since a function that only jumps costs an instruction and a branch in each call. */
BM_API void cfree(void *block) { bm_free(block); }
BM_API void *calloc(size_t count, size_t size) { return bm_calloc(count, size); }
BM_API void *realloc(void *block, size_t size) { return bm_realloc(block, size); }
BM_API void *reallocarray(void *block, size_t count, size_t size) { return bm_reallocarray(block, count, size); }
BM_API void *memalign(size_t alignment, size_t size) { return bm_memalign(alignment, size); }
BM_API void *aligned_alloc(size_t alignment, size_t size) { return bm_aligned_alloc(alignment, size); }
BM_API int posix_memalign(void **block, size_t alignment, size_t size) { return bm_posix_memalign(block, alignment, size); }
BM_API void *valloc(size_t size) { return bm_valloc(size); }
BM_API void *pvalloc(size_t size) { return bm_pvalloc(size); }
BM_API size_t malloc_usable_size(void *block) { return bm_malloc_usable_size(block); }
BM_API void free_sized(void *block, size_t size) { bm_free_sized(block, size); }
BM_API void free_aligned_sized(void *block, size_t alignment, size_t size) { bm_free_aligned_sized(block, alignment, size); }
BM_API int malloc_trim(size_t pad) { return bm_malloc_trim(pad); }
BM_API int mallopt(int option, int value) { return bm_mallopt(option, value); }
BM_API void malloc_stats(void) { bm_malloc_stats(); }

BM_API struct bm_mallinfo mallinfo2(void) { return bm_mallinfo(); }

/* The old interface counts in int: too much is shown as the most. */
static int clamp(size_t value) { return value > 0x7fffffff ? 0x7fffffff : (int)value; }

BM_API struct mallinfo_int mallinfo(void) {
  struct bm_mallinfo info = bm_mallinfo();
  return (struct mallinfo_int){clamp(info.arena),   clamp(info.ordblks), clamp(info.smblks),   clamp(info.hblks),
                               clamp(info.hblkhd),  clamp(info.usmblks), clamp(info.fsmblks),  clamp(info.uordblks),
                               clamp(info.fordblks), clamp(info.keepcost)};
}

BM_API int malloc_info(int options, FILE *stream) {
  if (options != 0) return EINVAL;
  /* Figures may grow between the two calls: a little more room than needed. */
  size_t size = bm_info_text(NULL, 0) + 4096;
  char *text = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (text == MAP_FAILED) return ENOMEM;
  bm_info_text(text, size);
  int failed = fputs(text, stream) < 0;
  munmap(text, size);
  return failed ? EIO : 0;
}

/* glibc's internal names, which some programs and older libraries call. */
BM_API void *__libc_malloc(size_t size) { return bm_malloc(size); }
BM_API void __libc_free(void *block) { bm_free(block); }
BM_API void *__libc_calloc(size_t count, size_t size) { return bm_calloc(count, size); }
BM_API void *__libc_realloc(void *block, size_t size) { return bm_realloc(block, size); }
BM_API void *__libc_memalign(size_t alignment, size_t size) { return bm_memalign(alignment, size); }
BM_API void *__libc_valloc(size_t size) { return bm_valloc(size); }
BM_API void *__libc_pvalloc(size_t size) { return bm_pvalloc(size); }
BM_API void __libc_cfree(void *block) { bm_free(block); }
BM_API int __posix_memalign(void **block, size_t alignment, size_t size) { return bm_posix_memalign(block, alignment, size); }

/* The kernel lets a process of one thread alone change some of its namespaces: one that has no other thread of its own
 * must not have one of ours. */
BM_API int unshare(int flags) {
  bm_background_stop();
  return (int)syscall(SYS_unshare, flags);
}
BM_API int setns(int fd, int kind) {
  bm_background_stop();
  return (int)syscall(SYS_setns, fd, kind);
}
