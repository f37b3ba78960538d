/* background_test.c: what the allocator does besides, giving memory back, does not get into the program's way. */
#include "harness.h"

#include "door.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEEDS_THREAD (NEEDS_OURS | NEEDS_NATIVE)

/* The threads of this process; the number of the last of them in *last. */
static unsigned count_threads(int *last) {
  unsigned count = 0;
  DIR *folder = opendir("/proc/self/task");
  CHECK(folder != NULL);
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    *last = atoi(entry->d_name);
    count++;
  }
  closedir(folder);
  return count;
}

/* Free so much that the thread is started. */
static void free_much(void) {
  enum { COUNT = 16, BYTES = 1 << 20 };
  void *blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) memset(blocks[i] = malloc(BYTES), 1, BYTES);
  for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
}

/* The number after `name` in the thread's /proc entry, or -1 if there is no such thread. */
static int status_of(int thread, const char *name) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return -1;
  text[length] = '\0';
  const char *line = strstr(text, name);
  CHECK(line != NULL);
  return atoi(line + strlen(name));
}

static void set_delay(int ms) {
  CHECK_EQ(mallopt(BM_OPT_PURGE_DELAY, ms), 1);
}

/* The mode of the thread's filter: once it has set the one that is wanted, or, where none is, once it has slept. It may be
 * made to wait before it sets one, too. */
static int filter_of(int thread, int wanted) {
  const char *sign = wanted == SECCOMP_MODE_DISABLED ? "voluntary_ctxt_switches:\t" : "Seccomp:\t";
  while (status_of(thread, sign) == 0) sched_yield();
  return status_of(thread, "Seccomp:\t");
}

static void expect_filter(int mode) {
  int thread = 0;
  set_delay(3000);
  free_much();
  CHECK_EQ(count_threads(&thread), 2);
  CHECK_EQ(filter_of(thread, mode), mode);
  CHECK_EQ(status_of(getpid(), "Seccomp:\t"), 0);
  CHECK_EQ(status_of(getpid(), "NoNewPrivs:\t"), 0);
}

static void drop_privileges(void) {
  const uid_t nobody = 65534;
  CHECK_EQ(setresgid(nobody, nobody, nobody), 0);
  CHECK_EQ(setresuid(nobody, nobody, nobody), 0);
  CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0); /* so that its own /proc is its own */
}

TEST_IF(NEEDS_THREAD, "with privileges the thread that purges may make no call but those that give memory back") {
  if (geteuid() == 0) CHECK_EXITS(expect_filter(SECCOMP_MODE_FILTER));
}

static void expect_no_filter(void) {
  if (geteuid() == 0) drop_privileges();
  expect_filter(SECCOMP_MODE_DISABLED);
}

TEST_IF(NEEDS_THREAD, "without privileges it has no filter, which would keep the program from sharing one") {
  CHECK_EXITS(expect_no_filter());
}

TEST_IF(NEEDS_THREAD, "what is left alone goes back though the program sleeps, and then the thread goes") {
  int thread = 0;
  struct bm_stats before, after;
  set_delay(1);
  door_stats(&before);
  free_much();
  while (count_threads(&thread) > 1) sched_yield();
  door_stats(&after);
  CHECK_GE(after.purged_bytes, before.purged_bytes + ((size_t)8 << 20));
}

/* The mappings of this process. */
static unsigned count_mappings(void) {
  static char text[1 << 16];
  unsigned count = 0;
  int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  for (ssize_t length; (length = read(file, text, sizeof text)) > 0;)
    for (ssize_t i = 0; i < length; i++) count += text[i] == '\n';
  close(file);
  return count;
}

/* Blocks small enough that the arena keeps some when they are freed. */
static void free_kept(void) {
  enum { COUNT = 40, BYTES = 200 << 10 };
  void *blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) memset(blocks[i] = malloc(BYTES), 1, BYTES);
  for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
}

TEST_IF(NEEDS_THREAD, "large blocks that an arena kept go back whole, round after round") {
  enum { ROUNDS = 16, KEPT = 20 }; /* mappings of what is kept at the end, at most; lost were some six a round */
  int thread = 0;
  unsigned first = 0;
  set_delay(1);
  for (unsigned round = 0; round < ROUNDS; round++) {
    free_kept();
    while (count_threads(&thread) > 1) sched_yield();
    if (round == 1) first = count_mappings();
  }
  CHECK_LE(count_mappings(), first + KEPT);
}

enum { FREERS = 4 };
static pthread_barrier_t freed, counted;

static void *free_and_wait(void *unused) {
  free_much();
  pthread_barrier_wait(&freed);
  pthread_barrier_wait(&counted);
  return unused;
}

TEST_IF(NEEDS_THREAD, "one thread purges, however many free much, and no signal is delivered to it") {
  pthread_t threads[FREERS];
  int thread = 0;
  char path[64], text[4096] = "";
  set_delay(3000);
  CHECK_EQ(pthread_barrier_init(&freed, NULL, FREERS + 1), 0);
  CHECK_EQ(pthread_barrier_init(&counted, NULL, FREERS + 1), 0);
  for (size_t i = 0; i < FREERS; i++) CHECK_EQ(pthread_create(&threads[i], NULL, free_and_wait, NULL), 0);
  pthread_barrier_wait(&freed);
  CHECK_EQ(count_threads(&thread), 1 + FREERS + 1);
  snprintf(path, sizeof path, "/proc/self/task/%d/status", thread);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  CHECK_GE(read(file, text, sizeof text - 1), 1);
  close(file);
  const char *mask = strstr(text, "SigBlk:\t");
  CHECK(mask != NULL);
  /* Two cannot be blocked, and the C library keeps three of its own, 32 to 34, out of any mask. */
  const uint64_t others = 1u << (SIGKILL - 1) | 1u << (SIGSTOP - 1) | UINT64_C(7) << 31;
  CHECK_EQ(strtoull(mask + strlen("SigBlk:\t"), NULL, 16) | others, UINT64_MAX);
  pthread_barrier_wait(&counted);
  for (size_t i = 0; i < FREERS; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

TEST_IF(NEEDS_THREAD, "a program of one thread has one when it forks, before, after, and in the child") {
  int thread = 0;
  set_delay(3000);
  free_much();
  CHECK_EQ(count_threads(&thread), 2);
  pid_t child = fork();
  unsigned threads = count_threads(&thread);
  if (child == 0) _exit(threads == 1 ? 0 : 1);
  CHECK_EQ(threads, 1);
  int status = -1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  free_much();
  CHECK_EQ(count_threads(&thread), 2);
}

TEST_IF(NEEDS_THREAD, "unshare() of what only a process of one thread may unshare succeeds") {
  int thread = 0;
  set_delay(3000);
  free_much();
  CHECK_EQ(count_threads(&thread), 2);
#ifdef DOOR_STATIC
  CHECK_EQ(syscall(SYS_unshare, CLONE_THREAD), -1);
  CHECK_EQ(errno, EINVAL);
  bm_background_stop();
  CHECK_EQ(syscall(SYS_unshare, CLONE_THREAD), 0);
#else
  CHECK_EQ(unshare(CLONE_THREAD), 0);
  CHECK_EQ(setns(-1, 0), -1);
  CHECK_EQ(errno, EBADF);
#endif
  CHECK_EQ(count_threads(&thread), 1);
}

/* From here on the kernel refuses the call to this thread and those that it starts. */
static void forbid(long call) {
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof rules / sizeof rules[0], rules};
  CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

TEST_IF(NEEDS_THREAD, "the thread goes though the system gives nothing back") {
  int thread = 0;
  set_delay(1);
  forbid(SYS_madvise);
  free_much();
  CHECK_EQ(count_threads(&thread), 2);
  while (count_threads(&thread) > 1) sched_yield();
}

static void work_without(long call) {
  forbid(call);
  for (unsigned round = 0; round < 3; round++) {
    free_much();
    void *huge = malloc((size_t)5 << 20);
    huge = realloc(huge, (size_t)9 << 20);
    CHECK(huge != NULL);
    free(huge);
    free(calloc(1, (size_t)9 << 20));
    malloc_trim(0);
  }
  CHECK_EQ(door_check(), 0);
}

TEST("a program that forbids itself the calls that start threads, map memory and give it back goes on") {
  static const long calls[] = {SYS_clone,     SYS_madvise, SYS_mincore, SYS_munmap, SYS_mremap,       SYS_getrlimit,
                               SYS_prlimit64, SYS_sysinfo, SYS_gettid,  SYS_mprotect, SYS_rt_sigprocmask};
  /* The hardened build's blocks of a mebibyte, with their guard pages, need more of the table than is open at first. */
  int hardened = (door_offers() & (NEEDS_OURS | NEEDS_SIZES)) == NEEDS_OURS;
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
    if (calls[i] != SYS_mprotect || !hardened) CHECK_EXITS(work_without(calls[i]));
}

TEST_OURS("a program that forbids itself brk(), of which glibc's sbrk() then reports success, goes on") {
  CHECK_EXITS(work_without(SYS_brk));
}
