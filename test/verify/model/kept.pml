/* kept.pml: the large block that an arena keeps for its next request, which a purge may take.
 *
 * Modelled: csrc/large.c, and drop_kept() of purge.c.
 *
 * Bounds: an owner that allocates two large blocks and frees them, ROUNDS times; a purge that drops what is kept, as
 * often; three blocks in the heap, so that one may be on its way with whoever purges.
 *
 * Proved: a block is always in exactly one place (the heap, kept, or in a hand), so none is handed out twice, given
 * back twice or lost.
 *
 * Broken variants: those of the conditions below. */

#ifndef ROUNDS
#define ROUNDS 2
#endif
#define NONE 0 /* blocks are 1 to 3 */

mtype = { HEAP, LARGE, KEPT };
mtype kind[4] = HEAP;
byte kept; /* arena.kept */
byte ended;

/* Under heap.lock. */
inline chunk_take() {
  d_step {
    if
    :: kind[1] == HEAP -> slot = 1
    :: kind[1] != HEAP && kind[2] == HEAP -> slot = 2
    :: kind[1] != HEAP && kind[2] != HEAP && kind[3] == HEAP -> slot = 3
    :: else -> slot = NONE
    fi;
    if
    :: slot != NONE -> kind[slot] = LARGE
    :: else
    fi
  }
}

inline give(slot) { d_step { assert(kind[slot] == KEPT); kind[slot] = HEAP } }

inline take_kept() {
  slot = kept;
#ifdef TAKE_WITHOUT_EXCHANGE
  kept = NONE;
#else
  if
  :: slot != NONE -> d_step { slot = kept; kept = NONE }
  :: else
  fi;
#endif
  if
  :: slot != NONE -> d_step { assert(kind[slot] == KEPT); kind[slot] = LARGE }
  :: else
  fi
}

inline large_alloc() {
  take_kept();
  if
  :: slot == NONE -> chunk_take()
  :: else
  fi
}

/* The block kept until now, or NONE, is left in `old`. */
inline keep(slot) {
#ifdef KEEP_WITHOUT_LOOKING
  old = NONE;
  kept = slot
#else
  old = kept;
  if
  :: old == NONE -> kept = slot
  :: else -> d_step { old = kept; kept = slot }
  fi
#endif
}

inline large_free(slot) {
  d_step { assert(kind[slot] == LARGE); kind[slot] = KEPT }
  keep(slot);
  if
  :: old != NONE -> give(old)
  :: else
  fi
}

inline large_drop_kept() {
  d_step { slot = kept; kept = NONE }
  if
  :: slot != NONE -> give(slot)
  :: else
  fi
}

proctype owner() {
  byte slot, old, first, second, round;
  do
  :: round < ROUNDS ->
     large_alloc();
     first = slot;
     large_alloc();
     second = slot;
     assert(first != NONE && second != NONE && first != second);
     large_free(first);
     large_free(second);
     round++
  :: else -> break
  od;
  ended++
}

proctype purge() {
  byte slot, round;
  do
  :: round < ROUNDS -> large_drop_kept(); round++
  :: else -> break
  od;
  ended++
}

init {
  byte slot;
  atomic { run owner(); run purge() }
  ended == 2;
  large_drop_kept();
  assert(kept == NONE && kind[1] == HEAP && kind[2] == HEAP && kind[3] == HEAP)
}
