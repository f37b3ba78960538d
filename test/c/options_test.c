/* options_test.c: the tunables, by bm_mallopt() and by the environment. */
#include "harness.h"

#include "door.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
  int option;
  const char *variable;
  int least, most;
} rows[] = {
    {BM_OPT_SBRK, "BUDDYMALLOC_SBRK", 0, 1},
    {BM_OPT_PURGE_DELAY, "BUDDYMALLOC_PURGE_DELAY", -1, INT_MAX},
    {BM_OPT_HUGE_CACHE, "BUDDYMALLOC_HUGE_CACHE", 0, INT_MAX},
    {BM_OPT_BACKGROUND, "BUDDYMALLOC_BACKGROUND", 0, 1},
    {BM_OPT_HUGEPAGES, "BUDDYMALLOC_HUGEPAGES", 0, 1},
    {BM_OPT_STATS_AT_EXIT, "BUDDYMALLOC_STATS_AT_EXIT", 0, 1},
    {BM_OPT_CHECK_AT_EXIT, "BUDDYMALLOC_CHECK_AT_EXIT", 0, 1},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

TEST("bm_mallopt() sets every option within its limits and refuses what lies outside") {
  for (size_t i = 0; i < ROWS; i++) {
    CHECK_EQ(bm_mallopt(rows[i].option, rows[i].most), 1);
    CHECK_EQ(bm_option_get(rows[i].option), rows[i].most);
    CHECK_EQ(bm_mallopt(rows[i].option, rows[i].least - 1), 0);
    CHECK_EQ(bm_option_get(rows[i].option), rows[i].most);
    CHECK_EQ(bm_mallopt(rows[i].option, rows[i].least), 1);
    CHECK_EQ(bm_option_get(rows[i].option), rows[i].least);
  }
}

TEST("an option of an unknown number is refused") {
  CHECK_EQ(bm_mallopt(4711, 1), 0);
  CHECK_EQ(bm_option_get(4711), -2);
}

static void run_again(const char *name, const char *value, const char *test) {
  char program[] = "/proc/self/exe";
  char flag[] = "--in-process";
  char text[200];
  snprintf(text, sizeof text, "%s", test);
  char *arguments[] = {program, flag, text, NULL};
  setenv(name, value, 1);
  setenv("TEST_EXPECTED", value, 1);
  execv(program, arguments);
  _exit(1);
}

/* The variable that TEST_EXPECTED names a value for was read before main(). */
TEST("an option has the value that its variable had at the start") {
  const char *expected = getenv("TEST_EXPECTED");
  for (size_t i = 0; i < ROWS && expected != NULL; i++) {
    const char *value = getenv(rows[i].variable);
    if (value != NULL && *value != '\0') CHECK_EQ(bm_option_get(rows[i].option), atoi(value));
  }
}

TEST("every option is read from its environment variable") {
  for (size_t i = 0; i < ROWS; i++)
    CHECK_EXITS(run_again(rows[i].variable, "1", "an option has the value that its variable had at the start"));
}

TEST("a malformed variable is ignored") {
  static const char *const malformed[] = {"", "yes", "1x", "-", "99999999999999999999", "-2"};
  for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
    CHECK_EXITS(run_again("BUDDYMALLOC_PURGE_DELAY", malformed[i], "a malformed delay leaves the default"));
}

TEST("a malformed delay leaves the default") {
  if (getenv("TEST_EXPECTED") != NULL) CHECK_GE(bm_option_get(BM_OPT_PURGE_DELAY), 1);
}
