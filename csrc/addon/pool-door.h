/* pool-door.h: one environment's way into one pool, and how its functions are called and answer.
 *
 * The functions are called by lib/pool alone, which passes numbers of the right type: they answer with a status and throw
 * nothing. What would do harm, a place or a handle that is none, pool.c finds out.
 *
 * Owner:     a Door belongs to its environment's thread.
 * Invariant: D1  a door's holder is NULL once the environment has left the pool; nothing is called through it then. */
#ifndef BM_ADDON_POOL_DOOR_H
#define BM_ADDON_POOL_DOOR_H

#include <napi.h>

#include <cstring>
#include <string>
#include <unordered_map>

#include "moves.h"
#include "objects.h"

extern "C" {
#include "pool.h"
}

namespace pools {

struct Opening;
struct OwnBuffer;
struct User; /* pool-sharing.cc */

/* One environment's way into one pool. */
struct Door {
  struct holder *holder;
  struct pool *pool;
  std::string name;
  napi_env env;
  MoveWatch *moves;
  napi_threadsafe_function notify;
  std::unordered_map<uint32_t, Opening *> openings; /* of regions, by number: the latest */
  std::unordered_map<uint32_t, OwnBuffer *> own; /* blocks that have an ArrayBuffer to themselves, by place */
  std::unordered_map<uint32_t, User *> users;    /* of shared blocks, through plain ArrayBuffers, by number */
  uint32_t lastUser = 0;
  uint64_t forgotten = 0;                        /* of those, ever freed because the garbage collector found them */
  uint64_t references = 1;
};

/* A block's own ArrayBuffer. */
struct OwnBuffer {
  Door *door;
  struct region *region;
  uint32_t place;
  uint32_t epoch; /* the holder's, when it was lent */
  bool lent; /* JavaScript has the block through this buffer: if it is garbage, the block was forgotten */
  Watched watched; /* while it is lent */
};

inline void release(Door *door) {
  if (--door->references == 0) delete door;
}

/* Two words of the stock's head carry a second result that may not fit in 32 bits. */
inline void setSecond(Door *door, size_t value) {
  const uint64_t wide = value;
  std::memcpy(door->holder->stock + 2, &wide, sizeof wide);
}

template <size_t count> struct Call {
  napi_value values[count == 0 ? 1 : count];
  Door *door;
  napi_env env;
  Call(napi_env environment, napi_callback_info info) : env(environment) {
    size_t length = count;
    void *data = nullptr;
    napi_get_cb_info(environment, info, &length, values, nullptr, &data);
    door = static_cast<Door *>(data);
  }
  uint32_t uint32(size_t index) const {
    uint32_t value = 0;
    napi_get_value_uint32(env, values[index], &value);
    return value;
  }
  double number(size_t index) const {
    double value = 0;
    napi_get_value_double(env, values[index], &value);
    return value;
  }
  size_t size(size_t index) const { return static_cast<size_t>(number(index)); }
  napi_value integer(int32_t value) const {
    napi_value result = nullptr;
    napi_create_int32(env, value, &result);
    return result;
  }
  napi_value number(double value, bool) const {
    napi_value result = nullptr;
    napi_create_double(env, value, &result);
    return result;
  }
  /* A status that is no success, as a number below 0. */
  napi_value failure(enum pool_status status) const { return integer(-static_cast<int32_t>(status)); }
  bool gone() const { return door->holder == nullptr; }
};

/* Memory as JavaScript sees it (pool-memory.cc). */
/* (number): an ArrayBuffer over a whole region; undefined if there is no such region, null if this runtime refuses. */
napi_value openRegion(napi_env env, napi_callback_info info);
/* (place, size): the block as an ArrayBuffer of its own, lent; undefined if there is no such block, null if this runtime
 * refuses. lib/pool sees to it that one over the whole region is reachable as long as this one is (D2). */
napi_value openOwn(napi_env env, napi_callback_info info);
/* (number, arrayBuffer): it is detached, as the region's latest or not. */
napi_value closeRegion(napi_env env, napi_callback_info info);
/* (place, arrayBuffer): the block's own one is detached; false if the program has moved its memory to another, so that the block
 * is free when the garbage collector has found that one. */
napi_value closeOwn(napi_env env, napi_callback_info info);
/* (place, lent, arrayBuffer): whether its ArrayBuffer is in the program's hands, or was detached or put aside to be used again. */
napi_value lendOwn(napi_env env, napi_callback_info info);
napi_value isLent(napi_env env, napi_callback_info info);
/* (place, arrayBuffer): for a runtime without external ArrayBuffers, the block's bytes in and out. */
napi_value copyIn(napi_env env, napi_callback_info info);
napi_value copyOut(napi_env env, napi_callback_info info);

/* Shared blocks (pool-sharing.cc). */
/* Whether this Node can make a SharedArrayBuffer over native memory. */
bool sharesAtomically();
/* (place, size): the handle, or a status below 0. Its first user is counted, and is to be taken on by useShared(). */
napi_value share(napi_env env, napi_callback_info info);
/* (handle, plain): the buffer of a further user, or a status below 0. */
napi_value useShared(napi_env env, napi_callback_info info);
/* (number, arrayBuffer): the user's plain ArrayBuffer is detached, and the block is not its any more; if the program has
 * moved the memory to another, as soon as that one is garbage. */
napi_value releaseShared(napi_env env, napi_callback_info info);
/* (handle): a user that has no buffer is gone. */
napi_value leaveSharedNow(napi_env env, napi_callback_info info);

/* Blocks that are sent (pool-inbox.cc). */
/* (): the address of a new inbox, or a status below 0. */
napi_value openInbox(napi_env env, napi_callback_info info);
napi_value closeInbox(napi_env env, napi_callback_info info);
/* (place, size, note, address) */
napi_value send(napi_env env, napi_callback_info info);
/* (address): the place of the block that came first, or a status below 0; its size is the second result, its note the third. */
napi_value receive(napi_env env, napi_callback_info info);
napi_value third(napi_env env, napi_callback_info info);

/* Figures (pool-figures.cc). */
napi_value stats(napi_env env, napi_callback_info info);
/* place, bytes, owner (0 nobody, 1 this thread, 2 another, 3 shared), stocked; for each block. */
napi_value blocks(napi_env env, napi_callback_info info);
/* number, bytes, used bytes, used blocks, whether it holds one large block; for each region. */
napi_value regions(napi_env env, napi_callback_info info);
napi_value check(napi_env env, napi_callback_info info);

} // namespace pools

#endif
