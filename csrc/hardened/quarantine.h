/* quarantine.h: freed blocks that are not to be reused yet. See quarantine.c. */
#ifndef BM_HARDENED_QUARANTINE_H
#define BM_HARDENED_QUARANTINE_H

#include "../block.h"

/* log2 of the places; blocks up to QUARANTINE_SMALL bytes, and larger ones: at most 64 KiB and 384 KiB a thread. */
#define QUARANTINE_SMALL 512u
#define QUARANTINE_SMALL_ORDER 6u
#define QUARANTINE_LARGE_ORDER 2u
/* Places in line after that. */
#define QUARANTINE_SMALL_LINE 64u
#define QUARANTINE_LARGE_LINE 8u

/* One thread's. A freed block takes a place at random; the block that had it goes to the end of a line, and the one at
 * the front of that comes out. */
struct quarantine {
  uint64_t random;
  uint32_t small_turn, large_turn;
  uint32_t held;
  struct block *small[1u << QUARANTINE_SMALL_ORDER], *small_line[QUARANTINE_SMALL_LINE];
  struct block *large[1u << QUARANTINE_LARGE_ORDER], *large_line[QUARANTINE_LARGE_LINE];
};

#endif
