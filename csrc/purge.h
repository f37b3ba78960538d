/* purge.h: giving physical pages back while the addresses stay. See purge.c. */
#ifndef BM_PURGE_H
#define BM_PURGE_H

#include "lock.h"

#include <stddef.h>
#include <stdint.h>

/* Purge what is due, if the last time is long enough ago. The caller holds no lock. */
void purge_tick(uint32_t now);
/* There is more to purge than before: see to it that it happens even if the program now
 * falls asleep. The caller holds no lock. */
void purge_notice(void);
/* The same, where `bytes` are among it that purge_notice() does not count. */
void purge_notice_of(size_t bytes);
/* Purge everything that was left alone for `delay` ms; bytes given back. */
size_t purge_run(uint32_t now, uint32_t delay);
/* So many bytes, just obtained, are about to be used that the heap does not serve: if as much is free in it, that is purged now, so that
 * it does not stay in memory beside them. The caller holds no lock. */
void purge_for(size_t bytes);
/* Held while purging; taken to keep the background thread out, for a look at everything at rest. */
extern HIDDEN struct lock purge_lock;
/* End the background thread, if there is one, and wait until it is gone; purge_notice() may start it again.
 * Requires purge_lock. */
void purge_stop(void);
/* Further free memory, of pools, which lie above: bytes that may be purged, an estimate; and purge those that lay idle for
 * `delay` ms, as purge_run() does. Both may be called by the background thread. */
struct purge_client {
  size_t (*purgeable)(void);
  size_t (*run)(uint32_t now, uint32_t delay);
};
extern HIDDEN const struct purge_client *purge_client; /* NULL, or set for good by the first pool */
/* The forked child has no background thread. */
void purge_after_fork(void);

#endif
