/* aligned.c: blocks at multiples of a power of two. Alignment is natural: the smallest class of
 * which every block lies so, then whole slots, then a mapping. */
#include "alloc.h"
#include "include/buddymalloc.h"
#include "os.h"

#include <errno.h>

static int is_power_of_two(size_t value) { return value != 0 && (value & (value - 1)) == 0; }

#if BM_HARDENED
#define allocate(alignment, size) alloc_aligned(alignment, size) /* hardened/verbs.c */
#else
static void *allocate(size_t alignment, size_t size) {
  unsigned class = block_aligned_class(alignment, size);
  if (class < CLASS_COUNT) return alloc_class(class);
  /* Below this many bytes a block of whole slots is not needed but for the alignment. */
  return alloc_beyond(size, alignment, 0);
}
#endif

void *bm_memalign(size_t alignment, size_t size) {
  if (!is_power_of_two(alignment)) {
    errno = EINVAL;
    return NULL;
  }
  return allocate(alignment, size);
}

void *bm_aligned_alloc(size_t alignment, size_t size) { return bm_memalign(alignment, size); }

int bm_posix_memalign(void **block, size_t alignment, size_t size) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) return EINVAL;
  int saved_errno = errno;
  void *result = allocate(alignment, size);
  errno = saved_errno;
  if (result == NULL) return ENOMEM;
  *block = result;
  return 0;
}

void *bm_valloc(size_t size) { return bm_memalign(OS_PAGE, size); }

void *bm_pvalloc(size_t size) {
  if (size > PTRDIFF_MAX) {
    errno = ENOMEM;
    return NULL;
  }
  return bm_memalign(OS_PAGE, os_round_up(size == 0 ? 1 : size));
}
