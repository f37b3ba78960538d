/* confine.c: a system call filter for the thread that purges.
 *
 * The C library does not know that thread, so setuid() and its siblings leave its credentials as they are. Memory is
 * shared: whoever took over a program after it dropped its privileges could make that thread, which still has them,
 * run anything. So it gives up all system calls but those that it needs, none of which looks at credentials, before
 * it does anything else. The filter is the thread's alone. A program without privileges is spared it: a thread with
 * a filter of its own keeps the others from sharing one (SECCOMP_FILTER_FLAG_TSYNC).
 *
 * Cost:      with privileges, a few system calls, about 40 µs, each time the thread is started. */
#define _GNU_SOURCE
#include "confine.h"

#include "config.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__) && defined(__LP64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__i386__)
#define ARCHITECTURE AUDIT_ARCH_I386
#endif

/* Whether the program has credentials that it may mean to get rid of. */
static int is_privileged(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2] = {{0, 0, 0}, {0, 0, 0}};
  if (syscall(SYS_capget, &header, sets) != 0 || (sets[0].permitted | sets[1].permitted) != 0) return 1;
  return getuid() == 0 || geteuid() == 0 || getuid() != geteuid() || getgid() != getegid() || getauxval(AT_SECURE) != 0;
}

#ifdef ARCHITECTURE

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(answer) BPF_STMT(BPF_RET | BPF_K, answer)
#define REFUSE ANSWER(SECCOMP_RET_ERRNO | 1) /* EPERM */
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1), ANSWER(SECCOMP_RET_ALLOW)

static int filter_calls(void) {
  struct sock_filter rules[] = {
      LOAD(arch),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
      REFUSE,
      LOAD(nr),
      ALLOW(SYS_madvise),
      ALLOW(SYS_munmap),
#if BM_HARDENED
      ALLOW(SYS_mprotect), /* guard pages are opened before they go back */
#endif
      ALLOW(SYS_futex),
      ALLOW(SYS_membarrier),
      ALLOW(SYS_clock_gettime),
#ifdef SYS_clock_gettime64
      ALLOW(SYS_clock_gettime64),
#endif
      ALLOW(SYS_restart_syscall), /* a sleep that a stop signal interrupted */
      ALLOW(SYS_exit),
      REFUSE,
  };
  const struct sock_fprog program = {sizeof rules / sizeof rules[0], rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#else

static int filter_calls(void) { return 0; }

#endif

int confine_thread(void) { return !is_privileged() || filter_calls(); }
