/* park.pml: a slot that its owner parks and takes back, and whoever sweeps it.
 *
 * Modelled: csrc/park.c; arena_put() and slot_relink() as far as they touch a parked slot.
 *
 * Bounds: one slot, a chunk of its own, with three blocks; an owner that parks it, frees a block meanwhile, takes it back and
 * serves from it, ROUNDS times; a thread that sweeps as often. The owner's store may be seen by the other late: at any time, but
 * no later than a barrier.
 *
 * Proved: while the owner has taken the slot back nobody sweeps it; a block is purged only if it was free; each purged block is
 * known to the owner when it serves.
 *
 * Broken variants: those of the conditions below. */

#ifndef ROUNDS
#define ROUNDS 3
#endif

mtype = { PARKED, SWEPT, LISTED };
mtype = { USED, FREE, PURGED };

bool parked;        /* OWNER_PARKED, as the other thread sees it */
bool store_waits;   /* the owner's store that takes it off is not seen yet */
mtype place = LISTED;
mtype state[3] = USED;
byte purged;        /* slot.purged */
bool announced, locked;
bool taken, sweeping; /* who is at the slot */
byte ended;

inline lock_acquire() { atomic { !locked -> locked = true; parked = parked && !store_waits; store_waits = false } }
inline lock_release() { locked = false }

inline park_mark() { parked = true }

inline park_put() {
  assert(!store_waits);
  place = PARKED;
  park_mark()
}

inline arena_put(block) {
  assert(state[block] == USED);
  state[block] = FREE;
  park_note()
}

inline park_note() {
  park_mark();
  if
  :: place == SWEPT -> place = PARKED
  :: else
  fi
}

inline wait_for_sweep() { lock_acquire(); lock_release() }

inline park_end() {
#ifdef LOOK_BEFORE_STORE
  saw = announced;
  store_waits = true;
#else
  store_waits = true;
  saw = announced;
#endif
#ifndef NO_WAIT
  if
  :: saw -> wait_for_sweep()
  :: else
  fi;
#endif
  place = LISTED
}

/* What is free is linked; what was purged is counted. */
inline slot_relink() {
  taken = true;
  assert(!sweeping);
  d_step {
    assert(purged == (state[0] == PURGED) + (state[1] == PURGED) + (state[2] == PURGED));
    state[0] = USED; state[1] = USED; state[2] = USED;
    purged = 0
  }
  assert(!sweeping);
  taken = false
}

/* All threads pass a barrier. */
inline os_barrier() {
#ifndef NO_BARRIER
  d_step { parked = parked && !store_waits; store_waits = false }
#else
  skip
#endif
}

inline sweep() {
  if
  :: parked && place != SWEPT ->
     sweeping = true;
     assert(!taken);
     place = SWEPT;
     block = 0;
     do
     :: block < 3 ->
        if
        :: state[block] == FREE -> d_step { assert(!taken && state[block] == FREE); state[block] = PURGED; purged++ }
        :: else
        fi;
        block++
     :: else -> break
     od;
     sweeping = false
  :: else
  fi
}

inline sweep_chunk() {
  lock_acquire();
  announced = true;
  os_barrier();
  sweep();
  announced = false;
  lock_release()
}

proctype owner() {
  bool saw;
  byte round;
  do
  :: round < ROUNDS ->
     d_step { state[0] = FREE };
     park_put();
     arena_put(1);
     if
     :: true -> arena_put(2)
     :: true
     fi;
     park_end();
     slot_relink();
     /* The next park_put() is a store after the one that may still wait. */
     d_step { parked = parked && !store_waits; store_waits = false };
     round++
  :: else -> break
  od;
  ended++
}

proctype late_store() {
  do
  :: d_step { store_waits -> parked = false; store_waits = false }
  :: ended == 2 -> break
  od
}

proctype sweeper() {
  byte block, round;
  do
  :: round < ROUNDS -> sweep_chunk(); round++
  :: else -> break
  od;
  ended++
}

init { atomic { run owner(); run late_store(); run sweeper() } }
