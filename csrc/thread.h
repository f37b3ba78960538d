/* thread.h: which arena a thread has. See thread.c. */
#ifndef BM_THREAD_H
#define BM_THREAD_H

struct arena;

/* The calling thread's arena, made or taken over if it had none; NULL without memory. */
struct arena *thread_arena(void);
/* The same for a thread that frees before it allocates. It stays without an arena for its first REMOTE_SINGLES calls, if there is no memory, if it is past its destructors,
 * or while the process forks. Keeps errno. */
void thread_begin(void);
/* A thread past its destructors borrows an arena for one call: give it back. */
void thread_leave_late(void);

#endif
