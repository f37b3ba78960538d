/* fork.h: see fork.c. */
#ifndef BM_FORK_H
#define BM_FORK_H

/* Have the C library tell of forks, from the first call on. */
void fork_register(void);

#endif
