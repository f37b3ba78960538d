/* calloc.c: zeroed blocks. */
#include "alloc.h"
#include "include/buddymalloc.h"

#include <errno.h>
#include <string.h>

void *bm_calloc(size_t count, size_t size) {
  size_t bytes;
  if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
    errno = ENOMEM;
    return NULL;
  }
  if (UNLIKELY(bytes > SLOT_BLOCK_MAX)) return alloc_beyond(bytes, 1, 1);
  void *block = alloc_class(block_class_of(bytes));
  return LIKELY(block != NULL) ? memset(block, 0, bytes) : NULL;
}
