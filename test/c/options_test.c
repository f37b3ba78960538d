/* options_test.c: the tunables, by bm_mallopt() and by the environment. */
#include "harness.h"

#include "door.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
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
    {BM_OPT_DONTDUMP, "BUDDYMALLOC_DONTDUMP", 0, 1},
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

/* Whether core dumps leave out the mapping that `address` lies in. */
static int is_left_out(const void *address) {
  char line[512];
  int found = 0, flagged = 0;
  FILE *maps = fopen("/proc/self/smaps", "r");
  CHECK(maps != NULL);
  while (fgets(line, sizeof line, maps) != NULL) {
    uintptr_t start, end;
    if (sscanf(line, "%zx-%zx ", &start, &end) == 2) found = (uintptr_t)address - start < end - start;
    if (found && strncmp(line, "VmFlags:", 8) == 0) flagged = strstr(line, " dd") != NULL;
  }
  fclose(maps);
  return flagged;
}

TEST("blocks lie in memory that core dumps leave out if that was asked for, and only then") {
  static const size_t sizes[] = {1, 100, 5000, 100000, 2000000, 3000000, 20000000};
  const char *variable = getenv("BUDDYMALLOC_DONTDUMP");
  int wanted = variable != NULL && strcmp(variable, "1") == 0;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (unsigned round = 0; round < 2; round++) { /* what was freed is given again */
      char *block = malloc(sizes[i]);
      CHECK_EQ(is_left_out(block), wanted);
      block = realloc(block, 2 * sizes[i] + 1);
      CHECK_EQ(is_left_out(block), wanted);
      CHECK_EQ(is_left_out(block + 2 * sizes[i]), wanted);
      void *aligned = memalign(1 << 21, sizes[i]);
      CHECK_EQ(is_left_out(aligned), wanted);
      free(aligned);
      free(block);
    }
}

TEST("a huge block that grows once core dumps are to leave blocks out is left out whole") {
  enum { MIB = 1 << 20 };
  free(malloc(16 * MIB)); /* what the block grows into may be the rest of this */
  char *block = malloc(4 * MIB);
  CHECK_EQ(bm_mallopt(BM_OPT_DONTDUMP, 1), 1);
  block = realloc(block, 8 * MIB);
  for (size_t at = 0; at < 8 * MIB; at += MIB) CHECK_EQ(is_left_out(block + at), 1);
}

TEST("BUDDYMALLOC_DONTDUMP keeps blocks of every size out of core dumps") {
  CHECK_EXITS(run_again("BUDDYMALLOC_DONTDUMP", "1", "blocks lie in memory that core dumps leave out if that"));
}

/* secure.test.ts runs this in a set-user-ID program, with every variable set. */
TEST("under secure execution every option keeps its default, whatever its variable says") {
  static const int defaults[] = {1, 300, 262144, 1, 0, 0, 0, 0};
  static_assert(sizeof defaults / sizeof defaults[0] == ROWS, "each option has a default");
  if (getenv("TEST_SECURE") == NULL) return;
  CHECK(getauxval(AT_SECURE) != 0);
  for (size_t i = 0; i < ROWS; i++) {
    CHECK(getenv(rows[i].variable) != NULL);
    CHECK_EQ(bm_option_get(rows[i].option), defaults[i]);
  }
}
