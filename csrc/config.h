/* config.h: every size and threshold of the allocator, with its reason.
 *
 * Each may be overridden at build time (-DNAME=value); the static_asserts in
 * block.h and chunk.h say which combinations hold. Bytes unless the name says otherwise. */
#ifndef BM_CONFIG_H
#define BM_CONFIG_H

#if !defined(__LP64__)
#error "buddymalloc needs 64-bit addresses: its heap is a window of them that a program never outgrows"
#endif

/* Build variants. 1: without the exact check. */
#ifndef BM_UNCHECKED
#define BM_UNCHECKED 0
#endif
/* 1: the sizes of blocks are powers of two only. */
#ifndef BM_PLAIN_BUDDY
#define BM_PLAIN_BUDDY 0
#endif
/* 1: the hardened build, see hardened/ and docs/misuse.md. */
#ifndef BM_HARDENED
#define BM_HARDENED 0
#endif

/* log2: the smallest block, 16 bytes: two words of a free block, and libc's alignment. */
#ifndef MIN_ORDER
#define MIN_ORDER 4u
#endif
/* log2: a slot, the unit that is cut into blocks of one class. 64 KiB makes the offset of a
 * pointer in its slot a 16-bit move, and is small enough not to strand much. */
#ifndef SLOT_ORDER
#define SLOT_ORDER 16u
#endif
/* log2: a chunk, the largest unit obtained from the system: 64 slots. */
#ifndef CHUNK_ORDER
#define CHUNK_ORDER 22u
#endif
/* The largest block cut out of a slot; above it a block is whole slots. */
#ifndef SLOT_BLOCK_MAX
#define SLOT_BLOCK_MAX 32768u
#endif
/* The largest block of whole slots; a request above it gets a mapping of its own. */
#ifndef LARGE_MAX
#define LARGE_MAX (2u << 20)
#endif
/* An arena keeps freed blocks of at most so many slots, one of each size; once they have more than so many slots
 * together, the last one alone. The hardened build keeps more: giving one back and making another costs it several system calls. */
#ifndef KEPT_SLOTS_MAX
#define KEPT_SLOTS_MAX (BM_HARDENED ? 20u : 16u) /* a mebibyte, there with its guard pages */
#endif
#ifndef KEPT_TOTAL_MAX
#define KEPT_TOTAL_MAX (BM_HARDENED ? 32u : 8u)
#endif
/* Requests up to here find their class through a table of 16-byte steps. */
#ifndef SMALL_MAX
#define SMALL_MAX 1024u
#endif

/* A full slot is offered again after one in so many of its blocks came back
 * (Barkley & Lee's slack): larger is leaner, smaller is faster. */
#ifndef SLACK_DIVISOR
#define SLACK_DIVISOR 32u
#endif
/* Fresh memory is carved so many bytes at a time: little at first, since most classes of most programs
 * need little, up to a page. */
#ifndef CARVE_MIN
#define CARVE_MIN 1024u
#endif
#ifndef CARVE_MAX
#define CARVE_MAX 4096u
#endif
/* In a slot whose pages are there already twice as much each time costs nothing, from a page up to this. */
#ifndef CARVE_WARM
#define CARVE_WARM 16384u
#endif
/* Slots of classes from this size on that turn out to be free are recut before a new one is taken. */
#ifndef RECUT_MIN
#define RECUT_MIN 4096u
#endif

/* The stock of a medium class has room for the blocks of so many slots, and for so many where they come and go in bursts. */
#ifndef MEDIUM_STOCK_SLOTS
#define MEDIUM_STOCK_SLOTS 2u
#endif
#ifndef MEDIUM_STOCK_MOST
#define MEDIUM_STOCK_MOST 4u
#endif

/* Blocks, and bytes in them, that a thread collects for one owner before it sends them; owners at a time. */
#ifndef REMOTE_BATCH_BLOCKS
#define REMOTE_BATCH_BLOCKS 62u
#endif
#ifndef REMOTE_BATCH_BYTES
#define REMOTE_BATCH_BYTES 65536u
#endif
#ifndef REMOTE_OWNERS
#define REMOTE_OWNERS 8u
#endif
/* So many small blocks or fewer are linked to each other instead of sent as a batch, which takes 512 bytes until their owner has emptied it. */
#ifndef REMOTE_FEW
#define REMOTE_FEW 16u
#endif
/* What others freed for a thread that does not take it in, for so many looks of whoever purges, is purged where it lies, from so many
 * bytes on. */
#ifndef REMOTE_AGE
#define REMOTE_AGE 3u
#endif
#ifndef REMOTE_PURGE_MIN
#define REMOTE_PURGE_MIN (1u << 20)
#endif
/* A thread without an arena sends so many blocks of others singly before it gets an arena to collect them in: at a thread's very end, when
 * nobody tells the allocator of it any more, the C library frees a few. */
#ifndef REMOTE_SINGLES
#define REMOTE_SINGLES 16u
#endif
/* What was collected is sent after so long (ms), full or not, by a thread that allocates. */
#ifndef REMOTE_FLUSH_MS
#define REMOTE_FLUSH_MS 50u
#endif

/* A thread that allocates looks for idle slots of one class after another, so often (ms), so many of them at a time. */
#ifndef TIDY_MS
#define TIDY_MS 5u
#endif
#ifndef TIDY_SLOTS
#define TIDY_SLOTS 128u
#endif
/* Of those that were swept one is given to the orphanage, where its rest serves any thread, once no more than one in ORPHAN_DIVISOR
 * of its blocks is used. */
#ifndef ORPHAN_DIVISOR
#define ORPHAN_DIVISOR 3u
#endif
/* A slot with free blocks that served no request for so long (ms) is parked, so that its free pages can be purged whatever its
 * thread does. */
#ifndef IDLE_SLOT_MS
#define IDLE_SLOT_MS 15u
#endif
/* Of the touched free memory what nobody needed for this part of the purge delay is purged, however young it is. */
#ifndef SPARE_DIVISOR
#define SPARE_DIVISOR 6u
#endif
/* Free memory that may be purged, bytes, before a thread is started to do so. */
#ifndef BACKGROUND_THRESHOLD
#define BACKGROUND_THRESHOLD (4u << 20)
#endif

/* Freed huge mappings kept for reuse, at most so many. */
#ifndef HUGE_CACHE_ENTRIES
#define HUGE_CACHE_ENTRIES 128u
#endif

/* The window of addresses that the heap may grow into: so many times the memory and
 * swap, within these limits (log2 bytes). Beyond it only blocks of more than 32 KiB are to be had, each as a mapping. */
#ifndef WINDOW_PER_MEMORY
#define WINDOW_PER_MEMORY 2u
#endif
#ifndef WINDOW_ORDER_MIN
#define WINDOW_ORDER_MIN 30u
#endif
#ifndef WINDOW_ORDER_MAX
#define WINDOW_ORDER_MAX 42u
#endif

#define CACHE_LINE 64u

/* On data that files share: reached without a detour through the table of exported names. */
#define HIDDEN __attribute__((visibility("hidden")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
#define COLD __attribute__((noinline, cold))

#endif
