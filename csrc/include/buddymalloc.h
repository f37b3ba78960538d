/* buddymalloc.h: the public interface of buddymalloc, a buddy memory allocator.
 *
 * Every function may be called from any thread at any time, before main() and
 * after exit handlers included. A block may be freed by any thread.
 *
 * Errors: out of memory or a bad size gives NULL and errno ENOMEM (EINVAL for a
 * bad alignment). A pointer that was never handed out, or was freed already, is
 * the caller's bug: one line goes to standard error and the process aborts. */
#ifndef BUDDYMALLOC_H
#define BUDDYMALLOC_H

#include <stddef.h>
#include <stdint.h>

#define BM_VERSION_MAJOR 0
#define BM_VERSION_MINOR 1
#define BM_VERSION_PATCH 0

#if defined(__GNUC__)
#define BM_API __attribute__((visibility("default")))
#define BM_MALLOC_LIKE __attribute__((malloc, warn_unused_result))
#define BM_PURE_RESULT __attribute__((warn_unused_result))
#else
#define BM_API
#define BM_MALLOC_LIKE
#define BM_PURE_RESULT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- libc's functions, with libc's semantics -------------------------------- */

/* A block of at least `size` bytes, aligned to 16; size 0 gives a unique block. */
BM_API BM_MALLOC_LIKE void *bm_malloc(size_t size);
/* Give a block back; NULL is ignored; errno is preserved. */
BM_API void bm_free(void *block);
/* A zeroed block of count * size bytes; NULL and ENOMEM on overflow. */
BM_API BM_MALLOC_LIKE void *bm_calloc(size_t count, size_t size);
/* Resize, in place where possible; on failure the old block is untouched.
 * bm_realloc(p, 0) frees p and returns NULL, as glibc does. */
BM_API BM_PURE_RESULT void *bm_realloc(void *block, size_t size);
BM_API BM_PURE_RESULT void *bm_reallocarray(void *block, size_t count, size_t size);
/* Aligned blocks: `alignment` is a power of two, else NULL and EINVAL. */
BM_API BM_MALLOC_LIKE void *bm_aligned_alloc(size_t alignment, size_t size);
BM_API BM_MALLOC_LIKE void *bm_memalign(size_t alignment, size_t size);
/* Returns 0, EINVAL or ENOMEM; errno and, on failure, *block are untouched. */
BM_API BM_PURE_RESULT int bm_posix_memalign(void **block, size_t alignment, size_t size);
BM_API BM_MALLOC_LIKE void *bm_valloc(size_t size);
BM_API BM_MALLOC_LIKE void *bm_pvalloc(size_t size);
/* The whole block's bytes, all of which may be used; 0 for NULL. */
BM_API size_t bm_malloc_usable_size(const void *block);
/* C23: free, with the size (and alignment) that was asked for. A size that the
 * block cannot have been allocated with is a caller's bug. */
BM_API void bm_free_sized(void *block, size_t size);
BM_API void bm_free_aligned_sized(void *block, size_t alignment, size_t size);
/* The same for what C++'s operator new got from bm_malloc() or bm_aligned_alloc():
 * since no realloc() had it, more sizes are known to be wrong. */
BM_API void bm_delete_sized(void *block, size_t size);
BM_API void bm_delete_aligned_sized(void *block, size_t alignment, size_t size);
/* Give free memory back to the system now, the calling thread's stock first.
 * Returns 1 if anything was given back, else 0. */
BM_API int bm_malloc_trim(size_t pad);
/* Set a tunable by glibc's or our own number (BM_OPT_...); 1 on success, else 0. */
BM_API int bm_mallopt(int option, int value);

/* ---- Statistics ---------------------------------------------------------------- */

/* All figures are for the whole process; exact while no thread is inside the
 * allocator, a close estimate otherwise. */
struct bm_stats {
  uint64_t arenas;            /* arenas ever created, in use or awaiting adoption */
  uint64_t arenas_abandoned;  /* of those: awaiting adoption by a new thread */
  uint64_t alloc_requests;    /* blocks ever handed out */
  uint64_t free_requests;     /* blocks ever given back */
  uint64_t mmapped_regions;   /* live huge blocks, each a mapping of its own */
  uint64_t mmapped_bytes;     /* bytes in them */
  uint64_t cached_bytes;      /* bytes of freed huge mappings kept for reuse */
  uint64_t heap_bytes;        /* bytes of chunks obtained from the system */
  uint64_t sbrk_bytes;        /* of those: obtained with sbrk, the rest with mmap */
  uint64_t allocated_bytes;   /* bytes in live blocks, huge ones included */
  uint64_t allocated_blocks;  /* live blocks, huge ones included */
  uint64_t free_bytes;        /* bytes of the heap in free blocks */
  uint64_t free_blocks;       /* free blocks of every level, chunks never used included */
  uint64_t remote_frees;      /* frees by threads that do not own the block */
  uint64_t purged_bytes;      /* bytes ever given back to the system */
  uint64_t dirty_bytes;       /* free bytes of whole slots that still hold physical pages */
};

BM_API void bm_stats(struct bm_stats *out);

/* glibc's struct mallinfo2, field by field. */
struct bm_mallinfo {
  size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

BM_API struct bm_mallinfo bm_mallinfo(void);
/* Print the statistics, per arena and in total, to standard error; allocates nothing. */
BM_API void bm_malloc_stats(void);
/* The same text into `buffer`, NUL-terminated, at most `size` bytes; returns the
 * length that the whole text needs, as snprintf does. */
BM_API size_t bm_stats_text(char *buffer, size_t size);
/* Write the statistics as XML to `fd`; `options` must be 0. Returns 0, or an errno code. */
BM_API int bm_malloc_info(int options, int fd);
/* The same XML into `buffer`, as bm_stats_text() does. */
BM_API size_t bm_info_text(char *buffer, size_t size);

/* ---- Looking inside ------------------------------------------------------------ */

enum bm_walk_kind {
  BM_WALK_CHUNK = 0, /* a chunk: `address` and `size`, the rest is zero */
  BM_WALK_FREE = 1,  /* free memory: a block, or whole slots */
  BM_WALK_USED = 2,  /* a block in the program's hands */
  BM_WALK_META = 3,  /* the allocator's own bookkeeping */
  BM_WALK_HUGE = 4   /* a block with a mapping of its own */
};

struct bm_walk_entry {
  const void *address;
  size_t size;            /* bytes */
  unsigned level;         /* order of the containing buddy block minus 4 */
  enum bm_walk_kind kind;
  uint32_t arena;         /* number of the owning arena, 0 if none */
  uint32_t resident_hint; /* 1 if the memory was touched since it was last purged */
};

/* Call `visit` for every chunk, and within it every block, in address order, then
 * for every huge block; stop at its first non-zero result and return that, else 0.
 * `visit` must not call the allocator. Exact while no other thread allocates. */
BM_API int bm_walk(int (*visit)(const struct bm_walk_entry *entry, void *context), void *context);

/* Verify every numbered invariant of docs/design.md. Returns 0, or the number of
 * violations, each with a line on standard error. Call it while no other thread is
 * inside the allocator. */
BM_API int bm_check(void);

/* Return the calling thread's stock of free blocks to the heap, coalesce, and take in
 * whatever other threads freed. Threads that ended have done so already. */
BM_API void bm_thread_flush(void);

/* End the thread that gives memory back in the background, if it runs, and wait until it is gone; a later free may
 * start it again. For what only a process of one thread may do: unshare() and setns(), which do so by themselves
 * in the library to preload, as fork() does everywhere. */
BM_API void bm_background_stop(void);

/* ---- Tunables -------------------------------------------------------------------- */

/* Each is also the environment variable BUDDYMALLOC_<NAME>, read once at the start
 * and ignored under secure execution. docs/options.md is the table. */
enum bm_option {
  BM_OPT_SBRK = 1000,       /* 1: grow by sbrk, 0: by mmap only (default 1) */
  BM_OPT_PURGE_DELAY = 1001,/* ms before free memory goes back; -1: never (default 300) */
  BM_OPT_HUGE_CACHE = 1002, /* KiB of freed huge mappings kept (default 262144) */
  BM_OPT_BACKGROUND = 1003, /* 1: a short-lived thread purges when the program idles (default 1) */
  BM_OPT_HUGEPAGES = 1004,  /* 1: ask for transparent huge pages (default 0) */
  BM_OPT_STATS_AT_EXIT = 1005, /* 1: malloc_stats at exit (default 0) */
  BM_OPT_CHECK_AT_EXIT = 1006, /* 1: bm_check at exit, abort if it fails (default 0) */
  BM_OPT_DONTDUMP = 1007    /* 1: keep the contents of blocks out of core dumps (default 0) */
};

/* The value of an option (enum bm_option), or -2 if there is none of that number. */
BM_API int bm_option_get(int option);

#ifdef __cplusplus
}
#endif

#endif
