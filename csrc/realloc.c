/* realloc.c: in place where it can be: in the block, by taking or giving neighbouring slots, by mremap. */
#include "alloc.h"
#include "huge.h"
#include "include/buddymalloc.h"
#include "large.h"
#include "slot.h"

#include <errno.h>
#include <string.h>

/* From half of the block down a smaller one is worth the copy. */
static int fits(size_t usable, size_t size) {
  return size <= usable && (size > usable / 2 || usable == 1u << MIN_ORDER);
}

static void *move(void *address, size_t usable, size_t size) {
  void *moved = bm_malloc(size);
  if (moved == NULL) return NULL;
  memcpy(moved, address, size < usable ? size : usable);
  bm_free(address);
  return moved;
}

static void *resize_large(struct slot *slot, void *address, size_t size) {
  size_t usable = large_usable(slot);
  if (size > SLOT_BLOCK_MAX && size <= LARGE_MAX && large_resize(slot, size)) return address;
  return move(address, usable, size);
}

static void *resize_huge(void *address, size_t size) {
  size_t usable = bm_malloc_usable_size(address);
  if (size <= LARGE_MAX / 2) return move(address, usable, size);
  void *moved = huge_resize(address, size);
  /* To copy may cost less; and the system may refuse to resize a mapping and yet give another. */
  return moved != NULL ? moved : move(address, usable, size);
}

void *bm_realloc(void *address, size_t size) {
  if (address == NULL) return bm_malloc(size);
  if (UNLIKELY(size == 0)) {
    bm_free(address);
    return NULL;
  }
  if (UNLIKELY(size > PTRDIFF_MAX)) {
    errno = ENOMEM;
    return NULL;
  }
  struct slot *slot = alloc_slot_of(address);
  if (slot == NULL) return resize_huge(address, size);
  if (slot->kind == SLOT_LARGE) return resize_large(slot, address, size);
  size_t usable = block_classes[slot->class].size;
  return fits(usable, size) ? address : move(address, usable, size);
}

void *bm_reallocarray(void *address, size_t count, size_t size) {
  size_t bytes;
  if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
    errno = ENOMEM;
    return NULL;
  }
  return bm_realloc(address, bytes);
}
