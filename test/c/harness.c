/* harness.c: runs the registered cases, each in a forked child; see harness.h.
 * Owner: the parent process. It uses static buffers and write(2) alone. */
#include "harness.h"

#include "door.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A case that runs longer hangs; sanitizers are slow, and so is a machine that does much else. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CASE_SECONDS 600u
#else
#define CASE_SECONDS 180u
#endif
#define DEATH_EXIT 97     /* exit code of a child that failed a CHECK */

static struct test_case *first_case;
static struct test_case **last_link = &first_case;

static pid_t forked_child; /* the child of harness_fork() */
static int forked_output;  /* its standard error: a memory file */

void harness_register(struct test_case *test) {
  *last_link = test;
  last_link = &test->next;
}

static void say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(int fd, const char *format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  size_t count = length < (int)sizeof line ? (size_t)length : sizeof line - 1;
  for (size_t done = 0; done < count;) {
    ssize_t written = write(fd, line + done, count - done);
    if (written < 0 && errno != EINTR) return;
    if (written > 0) done += (size_t)written;
  }
}

void harness_fail(const char *file, int line, const char *format, ...) {
  char text[800];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  say(STDERR_FILENO, "%s:%d: %s\n", file, line, text);
  _exit(DEATH_EXIT);
}

void harness_equal(const char *file, int line, const char *expression, uintmax_t actual,
                   uintmax_t expected) {
  if (actual == expected) return;
  harness_fail(file, line, "%s is %ju (0x%jx), expected %ju (0x%jx)", expression, actual, actual,
               expected, expected);
}

void harness_order(const char *file, int line, const char *expression, uintmax_t actual,
                   uintmax_t limit, int at_most) {
  if (at_most ? actual <= limit : actual >= limit) return;
  harness_fail(file, line, "%s is %ju, expected at %s %ju", expression, actual,
               at_most ? "most" : "least", limit);
}

void harness_text(const char *file, int line, const char *expression, const char *actual,
                  const char *expected) {
  if (strcmp(actual, expected) == 0) return;
  harness_fail(file, line, "%s is \"%s\", expected \"%s\"", expression, actual, expected);
}

static int memory_file(void) {
  int fd = memfd_create("stderr", MFD_CLOEXEC);
  if (fd < 0) harness_fail(__FILE__, __LINE__, "memfd_create: errno %d", errno);
  return fd;
}

int harness_fork(void) {
  forked_output = memory_file();
  forked_child = fork();
  if (forked_child < 0) harness_fail(__FILE__, __LINE__, "fork: errno %d", errno);
  if (forked_child > 0) return 0;
  alarm(CASE_SECONDS);
  dup2(forked_output, STDERR_FILENO);
  return 1;
}

/* Read what the child wrote, at most `size` - 1 bytes of it. */
static int collect(char *text, size_t size) {
  int status = 0;
  while (waitpid(forked_child, &status, 0) < 0 && errno == EINTR) {
  }
  ssize_t length = pread(forked_output, text, size - 1, 0);
  text[length > 0 ? length : 0] = '\0';
  close(forked_output);
  return status;
}

int harness_wait(void) {
  char text[900];
  int status = collect(text, sizeof text);
  say(STDERR_FILENO, "%s", text);
  return status;
}

void harness_expect_fatal(const char *file, int line, const char *words, const void *address) {
  char text[900];
  char expected[200];
  int status = collect(text, sizeof text);
  snprintf(expected, sizeof expected, "buddymalloc: %s: 0x%zx\n", words, (size_t)address);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
    harness_fail(file, line, "wait status is 0x%x, expected SIGABRT and %s; it wrote: %s",
                 (unsigned)status, expected, text);
  /* A simulated machine adds a line of its own about the signal. */
  if (getenv("TEST_INSTRUMENTED") != NULL) text[strlen(expected)] = '\0';
  harness_text(file, line, "standard error", text, expected);
}

void harness_expect_output(const char *file, int line, const char *part) {
  char text[900];
  int status = collect(text, sizeof text);
  if (status != 0 || strstr(text, part) == NULL)
    harness_fail(file, line, "wait status is 0x%x, expected 0 and \"%s\" in what it wrote: %s", (unsigned)status,
                 part, text);
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

static void run_in_child(const struct test_case *test) {
  setpgid(0, 0); /* so that nothing that it forks outlives it */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(CASE_SECONDS);
  test->run();
  if (door_check() != 0)
    harness_fail(test->file, 0, "the invariant walker found violations after the case");
  _exit(0);
}

static void show_output(int output) {
  char text[4096];
  ssize_t length = pread(output, text, sizeof text - 1, 0);
  if (length <= 0) return;
  text[length] = '\0';
  for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;)
    if (*line != '\0') say(STDOUT_FILENO, "# %s\n", line);
}

/* Returns 1 if the case passed. */
static int run_case(const struct test_case *test, unsigned number) {
  int output = memory_file();
  pid_t child = fork();
  if (child < 0) harness_fail(__FILE__, __LINE__, "fork: errno %d", errno);
  if (child == 0) {
    dup2(output, STDERR_FILENO);
    run_in_child(test);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  kill(-child, SIGKILL);
  int passed = status == 0;
  say(STDOUT_FILENO, "%s %u - %s: %s\n", passed ? "ok" : "not ok", number, base_name(test->file),
      test->name);
  if (!passed) {
    if (WIFSIGNALED(status))
      say(STDOUT_FILENO, "# killed by signal %d (%s)\n", WTERMSIG(status),
          strsignal(WTERMSIG(status)));
    show_output(output);
  }
  close(output);
  return passed;
}

static int is_selected(const struct test_case *test, const char *filter) {
  if ((test->needs & ~door_offers()) != 0) return 0;
  return filter == NULL || strstr(test->name, filter) != NULL ||
         strstr(base_name(test->file), filter) != NULL;
}

int main(int argc, char **argv) {
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  int in_process = argc > 2 && strcmp(argv[1], "--in-process") == 0; /* for a debugger */
  int list_only = argc > 1 && strcmp(argv[1], "--list") == 0;
  const char *filter = argc > 1 && !list_only ? argv[argc - 1] : NULL;
  unsigned passed = 0;
  unsigned failed = 0;
  for (const struct test_case *test = first_case; test != NULL; test = test->next) {
    if (!is_selected(test, filter)) continue;
    if (list_only) {
      say(STDOUT_FILENO, "%s: %s\n", base_name(test->file), test->name);
      continue;
    }
    if (in_process) run_in_child(test);
    if (run_case(test, passed + failed + 1))
      passed++;
    else
      failed++;
  }
  if (!list_only) say(STDOUT_FILENO, "1..%u\n%u passed, %u failed\n", passed + failed, passed, failed);
  return failed != 0 || (!list_only && passed == 0);
}
