/* confine.h: takes from the calling thread every right but that to purge. See confine.c. */
#ifndef BM_CONFINE_H
#define BM_CONFINE_H

/* Returns 1 if the thread may go on: the program has no privileges that it could drop, or from here on the kernel lets
 * the thread do nothing but give memory back, sleep and end. */
int confine_thread(void);

#endif
