/* remote.pml: how a block that a stranger frees comes home, while its slot changes hands.
 *
 * Modelled: csrc/remote.c (queues, batches, single blocks), thread.c (an arena becomes idle and is opened again) and
 * what orphan.c does with the orphanage's own queue and its lock. A step of the model is one atomic operation of the C
 * code, or a stretch of code that only the owner's thread or the holder of a lock runs; inlines have the
 * names of the C functions. The orders of the atomics are those of the C code (docs/design.md): all that matter here are
 * seq_cst, so their interleavings are all there is.
 *
 * Where functions call each other in a circle (push, remote_forward, remote_reroute, orphan_drain) the model keeps the
 * blocks that wait to be sent on in `todo`, and sends them one after the other.
 *
 * Bounds: one slot of BLOCKS blocks; the orphanage and two arenas; an owner that gives the slot away or ends, a
 * stranger that frees every block, by batches or, out of memory, singly, and an heir that opens an arena,
 * adopts the slot, takes a block and ends.
 *
 * Proved at every end: no block lost (each is free in the slot or in somebody's hands), none stranded (no queue and no
 * open batch holds one; none is on its way), none handed out twice, the slot's counts right, and the slot back in the
 * heap if all its blocks are. Proved at every step: only the owner touches a slot.
 *
 * Broken variants: those of the conditions below. */

#ifndef BLOCKS
#define BLOCKS 2
#endif
#define BATCHES 2
#define BATCH_FULL BLOCKS
#define ARENAS 3
#define ORPHANAGE 0
#define HEAP 200 /* the slot's owner once it was released */
#define NOBODY 201

#define BIT(n) (1 << (n))
#define ITEM_OF_BLOCK(block) (1 + (block))
#define ITEM_OF_BATCH(batch) (1 + BLOCKS + (batch))

mtype:state = { FREE, USED, REMOTE };
mtype:life = { IDLE, LIVE };
mtype:place = { CURRENT, FULL, LISTED };

byte remote[ARENAS];                 /* arena.remote: the head of the queue; 0 for none */
byte next[1 + BLOCKS + BATCHES];     /* the link of an item: of a block, or of a batch */
byte batch_blocks[BATCHES];          /* struct batch */
bool batch_open[BATCHES];            /* it is not in a store */
mtype:life life[ARENAS];
byte idle;                           /* arenas.idle, of one arena at most; 0 for none */
bool orphan_lock;

mtype:state state[BLOCKS];           /* the state bytes */
byte hands[BLOCKS] = NOBODY;         /* which process holds the block */
byte owner;                          /* slot.owner */
byte slot_free;                      /* slot.free, a set */
byte used;                           /* slot.used */
mtype:place place;
byte ended;

/* ---- The slot: only its owner, or who holds the orphanage's lock, does any of this ----------------------------- */

inline arena_release_slot() {
  assert(used == 0 && slot_free == BIT(BLOCKS) - 1);
  owner = HEAP
}

/* What arena_accept() and orphan.c's accept() have in common. */
inline accept(block, mine) {
  assert(owner == mine);               /* nobody else touches the slot */
  assert(state[block] == REMOTE);
  assert(!(slot_free & BIT(block)));   /* it does not come home twice */
  state[block] = FREE;
  slot_free = slot_free | BIT(block);
  assert(used > 0);
  used--
}

/* ---- Queues ------------------------------------------------------------------------------------ */

#ifdef BLIND_STORE
#define COMPARE_EXCHANGE(who, item) atomic { true -> remote[who] = item; break }
#else
#define COMPARE_EXCHANGE(who, item) atomic { remote[who] == head -> remote[who] = item; break }
#endif

/* The first half of push(); the other is push_rest(). */
inline push(who, item) {
  head = remote[who];
  do
  :: next[item] = head;
     if
     :: COMPARE_EXCHANGE(who, item)
     :: atomic { remote[who] != head -> head = remote[who] }
     fi
  od
}

/* Take the whole queue as a set of blocks; empty batches go back to their store. */
inline remote_take(who) {
  taken = 0;
  if
  :: remote[who] != 0 /* remote_waiting() */ ->
     d_step { item = remote[who]; remote[who] = 0 }
     do
     :: item == 0 -> break
     :: item != 0 && item <= BLOCKS ->
        d_step { assert(!(taken & BIT(item - 1))); taken = taken | BIT(item - 1); item = next[item] }
     :: item > BLOCKS -> /* remote_next() */
        d_step {
          assert(batch_open[item - 1 - BLOCKS] && !(taken & batch_blocks[item - 1 - BLOCKS]));
          taken = taken | batch_blocks[item - 1 - BLOCKS];
          batch_blocks[item - 1 - BLOCKS] = 0;
          batch_open[item - 1 - BLOCKS] = false; /* put_batch() */
          item = next[item]
        }
     od
  :: else
  fi
}

/* The lowest block of a set, taken out of it. */
inline pop(set) {
  block = 0;
  do
  :: set & BIT(block) -> break
  :: else -> block++
  od;
  set = set & ~BIT(block)
}

inline remote_drain() {
  remote_take(mine);
  do
  :: taken == 0 -> break
  :: taken != 0 ->
     d_step {
       pop(taken);
       if
#ifdef NO_OWNER_CHECK
       :: true -> accept(block, mine)
#else
       :: owner == mine -> accept(block, mine)
       :: else -> todo = todo | BIT(block)
#endif
       fi
     }
  od
}

inline remote_forward(who) {
  remote_take(who);
  todo = todo | taken;
  taken = 0
}

/* orphan.c's accept(), under its lock: the place, and back to the heap if that was the last. */
inline accept_orphan() {
  if
  :: owner == ORPHANAGE ->
     accept(block, ORPHANAGE);
     if
     :: used == 0 -> arena_release_slot()
     :: else -> place = LISTED
     fi
  :: else -> todo = todo | BIT(block)
  fi
}

inline orphan_drain() {
  do
  :: remote[ORPHANAGE] != 0 ->
     if
     :: atomic { !orphan_lock -> orphan_lock = true } /* lock_try() */
        remote_take(ORPHANAGE);
        do
        :: taken == 0 -> break
        :: taken != 0 -> d_step { pop(taken); accept_orphan() }
        od;
        orphan_lock = false
#ifdef NO_RECHECK
        ; break
#endif
     :: orphan_lock -> break
     fi
  :: else -> break
  od
}

/* What push() does after its exchange. */
inline push_rest(who) {
  if
  :: who == ORPHANAGE -> orphan_drain()
#ifndef NO_IDLE_CHECK
  :: who != ORPHANAGE && life[who] == IDLE -> remote_forward(who)
  :: who != ORPHANAGE && life[who] == LIVE
#else
  :: who != ORPHANAGE
#endif
  fi
}

/* Send every block of `todo`, and those that this finds, to whoever owns the slot now. */
inline remote_reroute() {
  do
  :: todo == 0 -> break
  :: else ->
     d_step { pop(todo) }
     who = owner; /* slot_owner() */
     assert(who != HEAP); /* a block on its way keeps its slot */
     push(who, ITEM_OF_BLOCK(block));
     push_rest(who)
  od
}

/* ---- Frees -------------------------------------------------------------------------------------- */

inline leave(block) {
  atomic { assert(state[block] == USED && hands[block] == _pid); hands[block] = NOBODY; state[block] = REMOTE }
}

inline get_batch() {
  atomic {
    batch = 0;
    do
    :: batch < BATCHES && batch_open[batch] -> batch++
    :: else -> break
    od;
    if
    :: batch < BATCHES -> batch_open[batch] = true; assert(batch_blocks[batch] == 0)
    :: batch = BATCHES /* out of memory, which may be at any time */
    fi
  }
}

/* The batch, if there is one, goes to its owner; whoever calls this sends on what that finds. */
inline send() {
  if
  :: batch != BATCHES ->
     push(batch_owner, ITEM_OF_BATCH(batch));
     batch = BATCHES;
     push_rest(batch_owner)
  :: else
  fi
}

inline remote_flush() { send() }

inline remote_free(b) {
  addressee = owner; /* slot_owner(): read before the block leaves the program's hands */
  leave(b);
  if
  :: batch != BATCHES && batch_owner == addressee
  :: else -> /* open_batch() */
     send();
     batch_owner = addressee;
     get_batch()
  fi;
  if
  :: batch == BATCHES -> todo = todo | BIT(b) /* remote_reroute() */
  :: else ->
     batch_blocks[batch] = batch_blocks[batch] | BIT(b);
     if
     :: batch_blocks[batch] == BIT(BATCH_FULL) - 1 -> send()
     :: else
     fi
  fi
}

/* ---- Threads -------------------------------------------------------------------------------------- */

inline orphan_give() {
  if
  :: used == 0 -> d_step { assert(owner == mine); arena_release_slot() }
  :: else ->
     atomic { !orphan_lock -> orphan_lock = true }
     d_step {
       assert(owner == mine);
       owner = ORPHANAGE;
       if
       :: slot_free != 0 -> place = LISTED
       :: else -> place = FULL
       fi
     }
     orphan_lock = false;
#ifndef NO_LOOK_AFTER_GIVING
     orphan_drain()
#endif
  fi
}

inline orphan_adopt() {
  orphan_drain();
  atomic { !orphan_lock -> orphan_lock = true }
  d_step {
    if
    :: owner == ORPHANAGE && place == LISTED -> owner = mine; place = CURRENT
    :: else
    fi
  }
  orphan_lock = false;
#ifndef NO_LOOK_AFTER_ADOPTING
  orphan_drain()
#endif
}

inline open_arena() {
  atomic {
    if
    :: idle != 0 -> mine = idle; idle = 0; life[mine] = LIVE
    :: else -> mine = NOBODY
    fi
  }
}

inline alloc_pop() {
  d_step {
    if
    :: owner == mine && slot_free != 0 ->
       pop(slot_free);
       assert(state[block] == FREE && hands[block] == NOBODY); /* not handed out twice */
       state[block] = USED;
       hands[block] = _pid;
       used++
    :: else
    fi
  }
}

inline arena_give_all() {
#ifndef NO_FLUSH
  remote_flush();
#endif
  remote_drain();
  remote_reroute();
  if
  :: owner == mine -> orphan_give()
  :: else
  fi
}

#define BECOME_IDLE atomic { life[mine] = IDLE; idle = mine }

inline retire() {
  arena_give_all();
#ifdef LATE_IDLE
  remote_forward(mine);
  BECOME_IDLE;
#else
#ifdef LOOK_OVERTAKES_STORE
  taken = remote[mine]; /* what a machine may do to a relaxed look at the queue */
  BECOME_IDLE;
  if
  :: taken != 0 -> remote_forward(mine)
  :: else
  fi;
#else
  BECOME_IDLE;
  remote_forward(mine);
#endif
#endif
  remote_reroute()
}

/* The owner's blocks are all in use; it may take in what came back, or give the slot away for being idle. The stranger
 * holds all the blocks, and frees them. The heir has an arena only if one is idle by then; it takes a block. */
#define OWNER 0
#define STRANGER 1
#define HEIR 2

proctype thread(byte role) {
  byte mine, head, item, taken, todo, block, who, step;
  byte batch = BATCHES, batch_owner, addressee;
  if
  :: role == OWNER -> mine = 1
  :: role == STRANGER -> mine = 2
  :: role == HEIR -> open_arena()
  fi;
  do
  :: mine == NOBODY || step == BLOCKS -> break
  :: mine != NOBODY && step < BLOCKS ->
     if
     :: role == OWNER -> remote_drain(); step = BLOCKS
     :: role == OWNER -> orphan_give(); step = BLOCKS
     :: role == OWNER -> step = BLOCKS
     :: role == STRANGER -> remote_free(step); step++
     :: role == HEIR -> orphan_adopt(); remote_drain(); alloc_pop(); step = BLOCKS
     fi;
     remote_reroute()
  od;
  if
  :: mine != NOBODY -> retire()
  :: else
  fi;
  ended++
}

init {
  byte i, out;
  atomic {
    life[ORPHANAGE] = LIVE;
    life[1] = LIVE;
    life[2] = LIVE;
    owner = 1;
    used = BLOCKS;
    place = FULL;
    run thread(OWNER);
    run thread(STRANGER);
    run thread(HEIR);
    for (i : 0 .. BLOCKS - 1) { state[i] = USED; hands[i] = 2 }
  }
  ended == 3;
  d_step {
    for (i : 0 .. ARENAS - 1) { assert(remote[i] == 0) }
    for (i : 0 .. BATCHES - 1) { assert(!batch_open[i]) }
    for (i : 0 .. BLOCKS - 1) {
      assert(state[i] != REMOTE);
      assert((state[i] == FREE) == ((slot_free >> i) & 1));
      assert((state[i] == USED) == (hands[i] != NOBODY));
      if
      :: state[i] == USED -> out++
      :: else
      fi
    }
    assert(used == out);
    assert(!orphan_lock);
    assert(owner == (out == 0 -> HEAP : ORPHANAGE))
  }
}
