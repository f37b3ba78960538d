/* coverage.c: part of the libraries of a build that measures coverage (BUDDYMALLOC_COVERAGE), and of no other.
 *
 * The compiler's counters are written when a process ends by exit(). The tests end most of theirs by _exit() and
 * abort(), so these write them too. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

void __gcov_dump(void);

EXPORTED _Noreturn void _exit(int status) {
  __gcov_dump();
  for (;;) syscall(SYS_exit_group, status);
}

EXPORTED _Noreturn void abort(void) {
  sigset_t set;
  __gcov_dump();
  signal(SIGABRT, SIG_DFL);
  sigemptyset(&set);
  sigaddset(&set, SIGABRT);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  for (;;) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGABRT);
}
