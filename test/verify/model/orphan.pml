/* orphan.pml: an orphan is freed into, purged, adopted and given back, by different threads at once.
 *
 * Modelled: csrc/orphan.c under orphan_lock, and what slot.c does for a purge; every block is a page of its own. The
 * queues are sets here, and whatever is pushed for an owner that has given the slot away is forwarded at once: that
 * this is so is remote.pml's matter.
 *
 * Bounds: one slot of three blocks, one free and two in the hands of a thread each that frees it; a thread that purges
 * PURGES times; a thread that adopts the slot if it can, takes a block, frees it and ends.
 *
 * Proved: the slot is on exactly the list that its place says, or on none while it is purged, when nobody adopts or
 * releases it (P1); no page of a block that is not purged is given back; no block is handed out twice; in the end, with
 * all blocks freed, the slot is back in the heap (P2).
 *
 * Broken variants: those of the conditions below. */

#ifndef PURGES
#define PURGES 1
#endif
#define BLOCKS 3
#define HEAP 200
#define BIT(n) (1 << (n))

mtype:state = { FREE, USED, REMOTE, PURGED };
mtype:place = { CURRENT, FULL, LISTED, SWEPT, PURGING };
mtype:who = { ORPHANAGE, ADOPTER, RELEASED };

bool orphan_lock;
mtype:who owner = ORPHANAGE;
mtype:place place = LISTED;
bool on_full, on_listed = true, on_swept;
mtype:state state[BLOCKS];
byte slot_free = 1, used = 2, purged;
byte remote_orphanage, remote_adopter; /* sets of blocks */
byte ended;

#define ON_NO_LIST (!on_full && !on_listed && !on_swept)

inline lock_acquire() { atomic { !orphan_lock -> orphan_lock = true } }
inline lock_release() { orphan_lock = false }

inline link_orphan(to) {
  assert(ON_NO_LIST);
  place = to;
  if
  :: to == FULL -> on_full = true
  :: to == LISTED -> on_listed = true
  :: to == SWEPT -> on_swept = true
  fi
}

/* list_of() by the place, which must be the list that it is on. */
inline unlink_orphan() {
  if
  :: place == FULL -> assert(on_full); on_full = false
  :: place == LISTED -> assert(on_listed); on_listed = false
  :: place == SWEPT -> assert(on_swept); on_swept = false
  :: else -> assert(false)
  fi;
  assert(ON_NO_LIST)
}

inline put() {
  if
  :: used < BLOCKS -> link_orphan(LISTED)
  :: else -> link_orphan(FULL)
  fi
}

inline arena_release_slot() {
  assert(used == 0 && ON_NO_LIST && owner != RELEASED);
  owner = RELEASED
}

inline accept(block) {
  assert(owner == ORPHANAGE && state[block] == REMOTE);
  state[block] = FREE;
  slot_free = slot_free | BIT(block);
  if
#ifndef NO_PLACE_FOR_PURGING
  :: place == PURGING -> used--
#endif
  :: place == LISTED && used > 1 -> used--
  :: else ->
#ifdef NO_PLACE_FOR_PURGING
     if
     :: place != PURGING -> unlink_orphan()
     :: else
     fi;
#else
     unlink_orphan();
#endif
     used--;
     if
     :: used == 0 -> arena_release_slot()
     :: else -> put()
     fi
  fi
}

inline pop(set) {
  block = 0;
  do
  :: set & BIT(block) -> break
  :: else -> block++
  od;
  set = set & ~BIT(block)
}

inline orphan_drain() {
  do
  :: remote_orphanage != 0 ->
     if
     :: atomic { !orphan_lock -> orphan_lock = true }
        d_step { taken = remote_orphanage; remote_orphanage = 0 }
        do
        :: taken == 0 -> break
        :: taken != 0 ->
           d_step {
             pop(taken);
             if
             :: owner == ORPHANAGE -> accept(block)
             :: owner == ADOPTER -> remote_adopter = remote_adopter | BIT(block) /* a stray, rerouted */
             fi
           }
        od;
        lock_release()
     :: orphan_lock -> break
     fi
  :: else -> break
  od
}

inline remote_free(b) {
  d_step { assert(state[b] == USED); state[b] = REMOTE }
  d_step {
    assert(owner != RELEASED);
    if
    :: owner == ORPHANAGE -> remote_orphanage = remote_orphanage | BIT(b)
    :: else -> remote_adopter = remote_adopter | BIT(b)
    fi
  }
  orphan_drain()
}

inline slot_prepare_purge() {
  pages = 0;
  block = 0;
  do
  :: block < BLOCKS ->
     if
     :: state[block] == FREE ->
        state[block] = PURGED;
        slot_free = slot_free & ~BIT(block);
        pages = pages | BIT(block);
        purged++
     :: else
     fi;
     block++
  :: else -> break
  od;
  assert(slot_free == 0)
}

/* Page by page. */
inline slot_purge() {
  do
  :: pages == 0 -> break
  :: pages != 0 -> d_step { pop(pages); assert(state[block] == PURGED && owner == ORPHANAGE && place == PURGING) }
  od
}

inline sweep() {
  d_step { unlink_orphan(); place = PURGING; slot_prepare_purge() }
  if
  :: pages != 0 ->
     lock_release();
     slot_purge();
     orphan_drain();
     lock_acquire()
  :: else
  fi;
  d_step {
    if
#ifndef NO_LOOK_AFTER_PURGING
    :: used == 0 -> arena_release_slot()
#endif
    :: else -> link_orphan(SWEPT)
    fi
  }
}

inline orphan_purge() {
  lock_acquire();
  if
  :: on_listed -> sweep()
  :: else
  fi;
  lock_release();
  orphan_drain()
}

inline slot_unpurge() {
  block = 0;
  do
  :: block < BLOCKS ->
     if
     :: state[block] == PURGED -> state[block] = FREE; slot_free = slot_free | BIT(block); purged--
     :: else
     fi;
     block++
  :: else -> break
  od
}

inline orphan_adopt() {
  orphan_drain();
  lock_acquire();
  d_step {
    if
#ifdef ADOPT_WHILE_PURGING
    :: owner == ORPHANAGE && place == PURGING -> owner = ADOPTER; place = CURRENT
#endif
    :: owner == ORPHANAGE && (on_listed || on_swept) -> unlink_orphan(); place = CURRENT; owner = ADOPTER
    :: else
    fi
  }
  lock_release();
  orphan_drain()
}

inline orphan_give() {
  if
  :: used == 0 -> d_step { arena_release_slot() }
  :: else ->
     lock_acquire();
     d_step {
       owner = ORPHANAGE;
       put();
       remote_orphanage = remote_orphanage | remote_adopter; /* remote_forward() */
       remote_adopter = 0
     }
     lock_release();
     orphan_drain()
  fi
}

inline remote_drain() {
  d_step {
    do
    :: remote_adopter == 0 -> break
    :: else ->
       pop(remote_adopter);
       assert(state[block] == REMOTE);
       state[block] = FREE;
       slot_free = slot_free | BIT(block);
       used--
    od
  }
}

proctype freeing(byte b) {
  byte block, taken;
  remote_free(b);
  ended++
}

proctype purging() {
  byte block, taken, pages, times;
  do
  :: times < PURGES -> orphan_purge(); times++
  :: else -> break
  od;
  ended++
}

proctype adopting() {
  byte block, taken, mine;
  orphan_adopt();
  if
  :: owner == ADOPTER ->
     d_step {
       if
       :: slot_free == 0 -> slot_unpurge()
       :: else
       fi;
       pop(slot_free);
       assert(state[block] == FREE);
       state[block] = USED;
       used++;
       mine = block
     }
     d_step { assert(state[mine] == USED && owner == ADOPTER); state[mine] = FREE; slot_free = slot_free | BIT(mine); used-- }
     remote_drain();
     orphan_give()
  :: else
  fi;
  ended++
}

init {
  byte i;
  atomic {
    state[0] = FREE;
    state[1] = USED;
    state[2] = USED;
    run freeing(1);
    run freeing(2);
    run purging();
    run adopting()
  }
  ended == 4;
  d_step {
    assert(remote_orphanage == 0 && remote_adopter == 0);
    assert(used == 0 && owner == RELEASED && ON_NO_LIST && !orphan_lock);
    for (i : 0 .. BLOCKS - 1) { assert(state[i] == FREE || state[i] == PURGED) }
  }
}
