/* door.h: the allocator under test, by libc's names.
 *
 * The same test sources are compiled twice. With DOOR_STATIC the names below are
 * macros for the bm_ functions of the static library. Without it they are libc's own:
 * that program runs on glibc first, which shows a wrong test, and then under
 * LD_PRELOAD, where what only buddymalloc has is found by dlsym(). */
#ifndef TEST_C_DOOR_H
#define TEST_C_DOOR_H

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

#include "buddymalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What this program can test: bits of enum test_needs. */
unsigned door_offers(void);

/* bm_ functions under any door; on glibc they do nothing and give 0. */
int door_check(void);
void door_flush(void);
void door_stats(struct bm_stats *out);
void door_free_sized(void *block, size_t size);
void door_free_aligned_sized(void *block, size_t alignment, size_t size);
void door_delete_sized(void *block, size_t size);
void door_delete_aligned_sized(void *block, size_t alignment, size_t size);

#ifdef __cplusplus
}
#endif

#ifdef DOOR_STATIC
#define malloc(size) bm_malloc(size)
#define free(block) bm_free(block)
#define calloc(count, size) bm_calloc(count, size)
#define realloc(block, size) bm_realloc(block, size)
#define reallocarray(block, count, size) bm_reallocarray(block, count, size)
#define aligned_alloc(alignment, size) bm_aligned_alloc(alignment, size)
#define memalign(alignment, size) bm_memalign(alignment, size)
#define posix_memalign(block, alignment, size) bm_posix_memalign(block, alignment, size)
#define valloc(size) bm_valloc(size)
#define pvalloc(size) bm_pvalloc(size)
#define malloc_usable_size(block) bm_malloc_usable_size(block)
#define malloc_trim(pad) bm_malloc_trim(pad)
#define mallopt(option, value) bm_mallopt(option, value)
#endif

#endif
