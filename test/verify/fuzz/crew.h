/* crew.h: threads that do one thing at a time, so that a run is the same every time.
 *
 * Member 0 is the calling thread. The others are started with their first job and end when told to; between jobs they
 * sleep. What a stranger's free or a thread's end does is thereby reached in every order, one whole step after the other. */
#ifndef FUZZ_CREW_H
#define FUZZ_CREW_H

enum { CREW = 4 };

/* Have `member` run the job to its end. */
void crew_run(unsigned member, void (*job)(void *), void *argument);
/* End the member's thread; `late`, if not NULL, runs in its destructors, after the allocator's own. */
void crew_end(unsigned member, void (*late)(void *), void *argument);
void crew_end_all(void);
/* In a forked child, where only the calling thread is. */
void crew_forget(void);

#endif
