/* options.c: the tunables: environment variables at the start, bm_mallopt() later.
 * One table serves both; docs/options.md is compared with it by a test. */
#define _GNU_SOURCE
#include "options.h"

#include "include/buddymalloc.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

struct options options = {
    .sbrk = 1, .purge_delay = 300, .huge_cache = 262144, .background = 1,
};

struct option_row {
  int number; /* enum bm_option */
  const char *variable;
  int *value;
  int least, most;
};

static const struct option_row rows[] = {
    {BM_OPT_SBRK, "BUDDYMALLOC_SBRK", &options.sbrk, 0, 1},
    {BM_OPT_PURGE_DELAY, "BUDDYMALLOC_PURGE_DELAY", &options.purge_delay, -1, INT_MAX},
    {BM_OPT_HUGE_CACHE, "BUDDYMALLOC_HUGE_CACHE", &options.huge_cache, 0, INT_MAX},
    {BM_OPT_BACKGROUND, "BUDDYMALLOC_BACKGROUND", &options.background, 0, 1},
    {BM_OPT_HUGEPAGES, "BUDDYMALLOC_HUGEPAGES", &options.hugepages, 0, 1},
    {BM_OPT_STATS_AT_EXIT, "BUDDYMALLOC_STATS_AT_EXIT", &options.stats_at_exit, 0, 1},
    {BM_OPT_CHECK_AT_EXIT, "BUDDYMALLOC_CHECK_AT_EXIT", &options.check_at_exit, 0, 1},
    {BM_OPT_DONTDUMP, "BUDDYMALLOC_DONTDUMP", &options.dontdump, 0, 1},
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static int set(const struct option_row *row, long value) {
  if (value < row->least || value > row->most) return 0;
  *row->value = (int)value;
  return 1;
}

/* A malformed value is ignored: a preloaded library must not stop its host for a typo. */
static void read_variable(const struct option_row *row) {
  const char *text = secure_getenv(row->variable);
  if (text == NULL || *text == '\0') return;
  int saved_errno = errno;
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno == 0 && *end == '\0') set(row, value);
  errno = saved_errno;
}

void options_init(void) {
  static int done;
  if (done || environ == NULL) return; /* before libc's start there is no environment: fork.c calls again */
  done = 1;
  for (size_t i = 0; i < ROW_COUNT; i++) read_variable(&rows[i]);
}

/* glibc's own options tune what this allocator does not have: they are accepted and change nothing. */
#define GLIBC_OPTION_FIRST (-8) /* M_ARENA_MAX */
#define GLIBC_OPTION_LAST 1     /* M_MXFAST */

int bm_mallopt(int option, int value) {
  options_init();
  if (option >= GLIBC_OPTION_FIRST && option <= GLIBC_OPTION_LAST && option != 0) return 1;
  for (size_t i = 0; i < ROW_COUNT; i++)
    if (rows[i].number == option) return set(&rows[i], value);
  return 0;
}

int bm_option_get(int option) {
  options_init();
  for (size_t i = 0; i < ROW_COUNT; i++)
    if (rows[i].number == option) return *rows[i].value;
  return -2;
}
