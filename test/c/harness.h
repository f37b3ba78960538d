/* harness.h: a small test harness; each case runs in a forked child.
 *
 * A case that crashes, hangs or fails a CHECK is one failure and touches no other
 * case. The parent allocates nothing, so that the child starts with the allocator as
 * it was after the program's constructors. Output is TAP, closed by
 * `N passed, N failed`; an argument selects the cases whose name contains it. */
#ifndef TEST_C_HARNESS_H
#define TEST_C_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct test_case {
  const char *file;
  const char *name; /* a sentence: one behaviour */
  void (*run)(void);
  unsigned needs; /* bits of enum test_needs */
  struct test_case *next;
};

enum test_needs {
  NEEDS_NOTHING = 0,
  NEEDS_OURS = 1,    /* a property of buddymalloc, not of every malloc */
  NEEDS_EXACT = 2,   /* the exact check of freed pointers is compiled in */
  NEEDS_EIGHTHS = 4, /* blocks of 5, 6 and 7 eighths exist */
  NEEDS_PLAIN = 8,   /* only powers of two exist */
  NEEDS_SIZES = 32,  /* blocks have the sizes and alignments of the default build */
  NEEDS_NATIVE = 16, /* no sanitizer or valgrind: they reserve address space and slow threads */
};

void harness_register(struct test_case *test);
void harness_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void harness_equal(const char *file, int line, const char *expression, uintmax_t actual,
                   uintmax_t expected);
void harness_order(const char *file, int line, const char *expression, uintmax_t actual,
                   uintmax_t limit, int at_most);
void harness_text(const char *file, int line, const char *expression, const char *actual,
                  const char *expected);

/* Fork a child whose standard error is kept. Returns 1 in the child. */
int harness_fork(void);
/* Wait for that child and demand that it died of SIGABRT after writing exactly
 * `buddymalloc: <words>: 0x<address>`. */
void harness_expect_fatal(const char *file, int line, const char *words, const void *address);
/* Wait for that child and demand that it wrote `part` and exited with 0. */
void harness_expect_output(const char *file, int line, const char *part);
/* Wait for that child and return its wait status. */
int harness_wait(void);

#define TEST_JOIN_(a, b) a##b
#define TEST_JOIN(a, b) TEST_JOIN_(a, b)
#define TEST_CASE_(id, sentence, needs)                                                      \
  static void id(void);                                                                      \
  static struct test_case TEST_JOIN(id, _case) = {__FILE__, sentence, id, needs, NULL};      \
  __attribute__((constructor)) static void TEST_JOIN(id, _register)(void) {                  \
    harness_register(&TEST_JOIN(id, _case));                                                 \
  }                                                                                          \
  static void id(void)

#define TEST_IF(needs, sentence) TEST_CASE_(TEST_JOIN(test_at_line_, __LINE__), sentence, needs)
#define TEST(sentence) TEST_IF(NEEDS_NOTHING, sentence)
#define TEST_OURS(sentence) TEST_IF(NEEDS_OURS, sentence)

#define TEST_VALUE_(value) ((uintmax_t)(uintptr_t)(value))
#define CHECK(condition) \
  ((condition) ? (void)0 : harness_fail(__FILE__, __LINE__, "%s is false", #condition))
#define CHECK_EQ(actual, expected) \
  harness_equal(__FILE__, __LINE__, #actual, TEST_VALUE_(actual), TEST_VALUE_(expected))
#define CHECK_LE(actual, limit) \
  harness_order(__FILE__, __LINE__, #actual, TEST_VALUE_(actual), TEST_VALUE_(limit), 1)
#define CHECK_GE(actual, limit) \
  harness_order(__FILE__, __LINE__, #actual, TEST_VALUE_(actual), TEST_VALUE_(limit), 0)
#define CHECK_TEXT(actual, expected) \
  harness_text(__FILE__, __LINE__, #actual, actual, expected)

/* The statement is a caller's bug: it must abort with this line. */
#define CHECK_FATAL(words, address, statement)                    \
  do {                                                            \
    if (harness_fork()) {                                         \
      statement;                                                  \
      _exit(0);                                                   \
    }                                                             \
    harness_expect_fatal(__FILE__, __LINE__, words, address);     \
  } while (0)

/* The statement, in a process of its own, must write `part` to standard error. */
#define CHECK_WRITES(part, statement)                   \
  do {                                                  \
    if (harness_fork()) {                               \
      statement;                                        \
      _exit(0);                                         \
    }                                                   \
    harness_expect_output(__FILE__, __LINE__, part);    \
  } while (0)

/* The statements of `body` run in a process of their own, which must exit with 0. */
#define CHECK_EXITS(body)                                         \
  do {                                                            \
    if (harness_fork()) {                                         \
      body;                                                       \
      _exit(0);                                                   \
    }                                                             \
    CHECK_EQ(harness_wait(), 0);                                  \
  } while (0)

#ifdef __cplusplus
}
#endif

#endif
