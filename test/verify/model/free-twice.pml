/* free-twice.pml: two threads free one block, which neither of them owns, at the same time.
 *
 * Modelled: leave() of csrc/remote.c: the exchange of the state byte.
 * Proved: exactly one of the two frees is caught as a double free, and the block travels home once.
 * Broken variants: those of the conditions below. */

mtype:state = { FREE, USED, REMOTE };

mtype:state state = USED;
byte sent, fatal, ended;

inline leave() {
#ifdef LOOK_THEN_STORE
  before = state;
  state = REMOTE;
#else
  d_step { before = state; state = REMOTE }
#endif
  if
  :: before == USED -> sent++
  :: else -> fatal++
  fi
}

proctype remote_free() {
  mtype:state before;
  leave();
  ended++
}

init {
  atomic { run remote_free(); run remote_free() }
  ended == 2;
  assert(fatal == 1 && sent == 1)
}
