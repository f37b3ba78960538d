/* clock.c: a clock that stands still, preloaded before a library whose instructions are counted: what it does now and then, by the
 * clock, depends on how busy the machine is. */
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  (void)clock;
  now->tv_sec = 1000000;
  now->tv_nsec = 0;
  return 0;
}
