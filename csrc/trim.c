/* trim.c: give back now what would go back later. */
#include "arena.h"
#include "huge.h"
#include "include/buddymalloc.h"
#include "orphan.h"
#include "os.h"
#include "purge.h"

void bm_thread_flush(void) {
  if (!arena_is_none(arena_mine)) arena_flush(arena_mine);
  orphan_drain();
}

/* The pad is accepted for glibc's sake: what is kept is up to the options. */
int bm_malloc_trim(size_t pad) {
  (void)pad;
  if (!heap_init()) return 0;
  bm_thread_flush();
  return purge_run(os_now_ms(), 0) > 0;
}

void bm_background_stop(void) {
  lock_acquire(&purge_lock);
  purge_stop();
  lock_release(&purge_lock);
}
