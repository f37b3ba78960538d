/* launcher.c: `launcher [-e NAME=VALUE]... [-n REPEAT] [-d FOLDER] -- PROGRAM ARGUMENT...`
 *
 * Run a program and report what it cost, as one line of JSON on descriptor 3.
 * Descriptor 3 is closed in the program, and the NAME=VALUEs (LD_PRELOAD among them)
 * are set in the program alone.
 *
 * Linked statically and kept tiny, since the peak of resident memory that the system
 * reports for a program begins with its parent's: a Node process as the parent would
 * hide everything below 50 MiB.
 *
 * With -n the program runs so many times, one after the other: times and faults are
 * means of one run, the peak is the largest of all. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REPORT_FD 3
#define SETTINGS_MAX 64

struct request {
  char *settings[SETTINGS_MAX];
  size_t settings_count;
  unsigned long repeat;
  const char *folder;
  char **program;
};

struct cost {
  double wall_s, user_s, sys_s;
  long rss_peak_kib;
  long minor_faults, major_faults;
  long switches; /* involuntary: another program wanted the core */
  int status;    /* of the first run that failed, else 0 */
};

static void fail(const char *what) {
  fprintf(stderr, "launcher: %s: %s\n", what, strerror(errno));
  exit(127);
}

static struct request parse(int argc, char **argv) {
  struct request request = {.repeat = 1};
  int option;
  while ((option = getopt(argc, argv, "+e:n:d:")) != -1) {
    switch (option) {
      case 'e':
        if (request.settings_count == SETTINGS_MAX) fail("too many settings");
        request.settings[request.settings_count++] = optarg;
        break;
      case 'n': request.repeat = strtoul(optarg, NULL, 10); break;
      case 'd': request.folder = optarg; break;
      default: exit(127);
    }
  }
  if (optind >= argc) {
    errno = EINVAL;
    fail("no program named");
  }
  request.program = argv + optind;
  return request;
}

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void become(const struct request *request) {
  if (fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC) != 0) fail("descriptor 3");
  for (size_t i = 0; i < request->settings_count; i++) putenv(request->settings[i]);
  if (request->folder != NULL && chdir(request->folder) != 0) fail(request->folder);
  execvp(request->program[0], request->program);
  fail(request->program[0]);
}

static void run_once(const struct request *request, struct cost *cost) {
  double start_s = now_s();
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) become(request);
  int status = 0;
  struct rusage usage;
  while (wait4(child, &status, 0, &usage) < 0) {
    if (errno != EINTR) fail("wait4");
  }
  cost->wall_s += now_s() - start_s;
  cost->user_s += seconds(usage.ru_utime);
  cost->sys_s += seconds(usage.ru_stime);
  if (usage.ru_maxrss > cost->rss_peak_kib) cost->rss_peak_kib = usage.ru_maxrss;
  cost->minor_faults += usage.ru_minflt;
  cost->major_faults += usage.ru_majflt;
  cost->switches += usage.ru_nivcsw;
  if (status != 0 && cost->status == 0) {
    cost->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

int main(int argc, char **argv) {
  struct request request = parse(argc, argv);
  struct cost cost = {0};
  for (unsigned long i = 0; i < request.repeat && cost.status == 0; i++) run_once(&request, &cost);
  double runs = (double)(request.repeat > 0 ? request.repeat : 1);
  dprintf(REPORT_FD,
          "{\"wall_s\":%.7f,\"user_s\":%.7f,\"sys_s\":%.7f,\"rss_peak_kib\":%ld,"
          "\"minor_faults\":%.0f,\"major_faults\":%.0f,\"switches\":%.0f,\"status\":%d}\n",
          cost.wall_s / runs, cost.user_s / runs, cost.sys_s / runs, cost.rss_peak_kib,
          (double)cost.minor_faults / runs, (double)cost.major_faults / runs,
          (double)cost.switches / runs, cost.status);
  return cost.status;
}
