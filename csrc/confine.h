/* confine.h: takes from the calling thread every right but that to purge. See confine.c. */
#ifndef BM_CONFINE_H
#define BM_CONFINE_H

/* Returns 1 if the thread may go on: from here on the kernel lets it do nothing but give memory back, sleep and end;
 * or, where the kernel cannot do that, the program has no privileges that it could drop. */
int confine_thread(void);

#endif
