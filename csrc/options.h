/* options.h: the tunables, read once from the environment. See options.c. */
#ifndef BM_OPTIONS_H
#define BM_OPTIONS_H

#include "config.h"

struct options {
  int sbrk;          /* BUDDYMALLOC_SBRK: 1 grow by sbrk where it can, 0 by mmap only */
  int purge_delay;   /* BUDDYMALLOC_PURGE_DELAY: ms; -1 never */
  int huge_cache;    /* BUDDYMALLOC_HUGE_CACHE: KiB */
  int background;    /* BUDDYMALLOC_BACKGROUND: 0 or 1 */
  int hugepages;     /* BUDDYMALLOC_HUGEPAGES: 0 or 1 */
  int stats_at_exit; /* BUDDYMALLOC_STATS_AT_EXIT: 0 or 1 */
  int check_at_exit; /* BUDDYMALLOC_CHECK_AT_EXIT: 0 or 1 */
  int dontdump;      /* BUDDYMALLOC_DONTDUMP: 0 or 1 */
};

/* Written by options_init() and bm_mallopt(); read anywhere. */
extern HIDDEN struct options options;

/* Read the environment, unless it was read already or is not there yet. */
void options_init(void);

#endif
