/* client.h: builds whose blocks valgrind's memcheck (BM_VALGRIND) or ASan (BM_ASAN) knows.
 *
 * In such a build the verbs of buddymalloc.h are those of client.c, which ask the core for a little more and tell
 * the tool what the program may touch. The core's own verbs have the names below: its files are compiled with
 * this header included first. In all other builds every function here is empty, and no verb has another name. */
#ifndef BM_CLIENT_H
#define BM_CLIENT_H

#include <stddef.h>

#ifndef BM_VALGRIND
#define BM_VALGRIND 0
#endif
#ifndef BM_ASAN
#define BM_ASAN 0
#endif

#define BM_CLIENT (BM_VALGRIND || BM_ASAN)

#if BM_CLIENT

#if BM_VALGRIND
#include <valgrind/memcheck.h>
#endif

#ifndef BM_CLIENT_DOOR
#define bm_malloc bm_core_malloc
#define bm_free bm_core_free
#define bm_calloc bm_core_calloc
#define bm_realloc bm_core_realloc
#define bm_reallocarray bm_core_reallocarray
#define bm_aligned_alloc bm_core_aligned_alloc
#define bm_memalign bm_core_memalign
#define bm_posix_memalign bm_core_posix_memalign
#define bm_valloc bm_core_valloc
#define bm_pvalloc bm_core_pvalloc
#define bm_malloc_usable_size bm_core_malloc_usable_size
#define bm_free_sized bm_core_free_sized
#define bm_free_aligned_sized bm_core_free_aligned_sized
#define bm_delete_sized bm_core_delete_sized
#define bm_delete_aligned_sized bm_core_delete_aligned_sized
#define bm_malloc_trim bm_core_malloc_trim
#define bm_stats bm_core_stats
#define bm_mallinfo bm_core_mallinfo
#define bm_malloc_stats bm_core_malloc_stats
#define bm_stats_text bm_core_stats_text
#define bm_malloc_info bm_core_malloc_info
#define bm_info_text bm_core_info_text
#define bm_walk bm_core_walk
#define bm_check bm_core_check
#define bm_thread_flush bm_core_thread_flush
#endif

/* The heap grew by these bytes: nothing of them is the program's yet. */
void client_close(void *address, size_t bytes);
/* A table of the allocator's own: not the program's, and what it points to is not in use for that. */
void client_close_table(void *address, size_t bytes);
/* These addresses may be anybody's soon. */
void client_give_back(void *address, size_t bytes);
/* Between these two the allocator may touch what it closed. They nest. */
void client_enter(void);
void client_leave(void);

#else

static inline void client_close(void *address, size_t bytes) { (void)address, (void)bytes; }
static inline void client_close_table(void *address, size_t bytes) { (void)address, (void)bytes; }
static inline void client_give_back(void *address, size_t bytes) { (void)address, (void)bytes; }
static inline void client_enter(void) {}
static inline void client_leave(void) {}

#endif

#endif
