/* lock.pml: the mutex of one word, its sleepers, and a fork that holds it.
 *
 * Modelled: csrc/lock.h and lock.c. A futex's wait compares and falls asleep in one step, as the kernel does.
 *
 * Bounds: three threads; two acquire and release the lock ROUNDS times, one of them takes the mark off each time that
 * says that the lock is awaited, the third does and then forks, and acquires the lock again meanwhile, as a handler that
 * allocates does.
 *
 * Proved: at most one thread is inside (whoever forks counts, handlers included), and none sleeps for ever: every
 * thread gets to its end.
 *
 * Broken variants: those of the conditions below. */

#ifndef ROUNDS
#define ROUNDS 2
#endif
#define THREADS 3

mtype = { LOCK_FREE, LOCK_HELD, LOCK_AWAITED, LOCK_FORKING };

mtype word = LOCK_FREE;
bool asleep[THREADS];
byte inside;

inline futex_wait(expected) {
  atomic {
    if
    :: word == expected -> asleep[me] = true
    :: else
    fi
  }
  !asleep[me]
}

inline wake_one() {
  atomic {
    if
    :: asleep[0] -> asleep[0] = false
    :: asleep[1] -> asleep[1] = false
    :: asleep[2] -> asleep[2] = false
    :: !asleep[0] && !asleep[1] && !asleep[2]
    fi
  }
}

inline wake_all() { d_step { asleep[0] = false; asleep[1] = false; asleep[2] = false } }

inline replace(old, new) {
  atomic {
    if
    :: word == old -> word = new; done = true
    :: else -> done = false
    fi
  }
}

#ifdef TAKEN_AS_HELD
#define TAKEN LOCK_HELD
#else
#define TAKEN LOCK_AWAITED
#endif

inline lock_wait() {
  if
  :: forking && word == LOCK_FORKING -> passed = true
  :: else ->
     do
     :: seen = word;
        if
        :: seen == LOCK_FREE ->
           replace(LOCK_FREE, TAKEN);
           if
           :: done -> break
           :: else
           fi
        :: seen == LOCK_HELD ->
#ifdef SLEEP_UNANNOUNCED
           futex_wait(LOCK_HELD)
#else
           replace(LOCK_HELD, LOCK_AWAITED);
           if
           :: done -> futex_wait(LOCK_AWAITED)
           :: else
           fi
#endif
        :: seen == LOCK_AWAITED || seen == LOCK_FORKING -> futex_wait(seen)
        fi
     od
  fi
}

inline lock_acquire() {
  passed = false;
  replace(LOCK_FREE, LOCK_HELD); /* lock_try() */
  if
  :: !done -> lock_wait()
  :: else
  fi;
  if
  :: !passed -> inside++
  :: else
  fi;
  assert(inside == 1)
}

inline lock_release_slowly() {
  if
  :: word == LOCK_FORKING
  :: else ->
     word = LOCK_FREE;
#ifndef NO_WAKE
     wake_one()
#endif
  fi
}

inline lock_release() {
  if
  :: !passed -> inside--
  :: else
  fi;
  replace(LOCK_HELD, LOCK_FREE);
  if
  :: !done -> lock_release_slowly()
  :: else
  fi
}

inline lock_unmark() {
  replace(LOCK_AWAITED, LOCK_HELD);
  if
  :: done ->
#ifdef UNMARK_UNTOLD
     skip
#else
     wake_one()
#endif
  :: else
  fi
}

inline lock_before_fork() {
  lock_acquire();
  forking = true;
  word = LOCK_FORKING
}

inline lock_after_fork() {
  forking = false;
  inside--;
  word = LOCK_FREE;
  wake_all()
}

proctype thread(byte me) {
  bool done, forking, passed;
  mtype seen;
  byte round;
  do
  :: round < ROUNDS ->
     lock_acquire();
     if
     :: me == 1 -> lock_unmark()
     :: else
     fi;
     lock_release();
     round++
  :: else -> break
  od;
  if
  :: me == 2 ->
     lock_before_fork();
     lock_acquire();
     lock_release();
     lock_after_fork()
  :: else
  fi
}

init {
  atomic { run thread(0); run thread(1); run thread(2) }
}
