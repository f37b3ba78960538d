/* pools.cc: the pools of the process by name, and each environment's door to one.
 *
 * The functions are called by lib/pool alone, which passes numbers of the right type: they answer with a status and throw
 * nothing. What would do harm, a place or a handle that is none, pool.c finds out.
 *
 * Owner:     `registry` belongs to the process, under its mutex. A Door belongs to its environment's thread.
 * Invariant: D1  a door's holder is NULL once the environment has left the pool; nothing is called through it then.
 *            D2  a region is open as long as an ArrayBuffer over it is reachable, detached or not: an operation that the
 *                system has under way may still write to it. */
#include "pools.h"

#include <dlfcn.h>

#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

extern "C" {
#include "pool.h"
}

namespace {

struct Named {
  struct pool *pool;
  std::string config; /* what lib/pool wants a second thread to know */
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Named> pools;
};

/* Never destroyed: workers may still use it while the process exits. */
Registry &registry() {
  static Registry *const instance = new Registry;
  return *instance;
}

struct OwnBuffer;
struct User;

/* One environment's way into one pool. */
struct Door {
  struct holder *holder;
  struct pool *pool;
  std::string name;
  napi_env env;
  napi_threadsafe_function notify;
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
};

/* What may still reach a region's memory: an ArrayBuffer, and its memory, which JavaScript may have moved to another. */
struct Opening {
  struct pool *pool;
  struct region *region;
  int references;
};

void release(Door *door) {
  if (--door->references == 0) delete door;
}

/* Called under the pool's lock, by any thread. */
void notify(void *context) {
  napi_call_threadsafe_function(static_cast<napi_threadsafe_function>(context), nullptr, napi_tsfn_nonblocking);
}

void leave(Door *door) {
  if (door->holder == nullptr) return;
  struct holder *holder = door->holder;
  door->holder = nullptr;
  for (auto &entry : door->own) entry.second->lent = false;
  Registry &all = registry();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    struct pool *const pool = holder->pool;
    const auto found = all.pools.find(door->name);
    const bool mine = found != all.pools.end() && found->second.pool == pool;
    if (pool_leave(holder) && mine) all.pools.erase(found);
  }
  napi_release_threadsafe_function(door->notify, napi_tsfn_abort);
  release(door);
}

void leaveAtExit(void *data) { leave(static_cast<Door *>(data)); }

/* As an own property, whatever setters the program has put on Object.prototype. */
void define(Napi::Object object, const char *name, napi_value value) {
  const napi_property_descriptor descriptor = {name,    nullptr, nullptr, nullptr,
                                               nullptr, value,   napi_default_jsproperty, nullptr};
  napi_define_properties(object.Env(), object, 1, &descriptor);
}

/* ---- Arguments and answers ------------------------------------------------------------------ */

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

/* ---- Blocks --------------------------------------------------------------------------------- */

napi_value take(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  uint32_t place = 0;
  const enum pool_status status = pool_take(call.door->holder, call.size(0), call.size(1), &place);
  return status == POOL_OK ? call.integer(static_cast<int32_t>(place)) : call.failure(status);
}

napi_value give(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.failure(call.gone() ? POOL_DEAD : pool_give(call.door->holder, call.uint32(0)));
}

napi_value resize(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return call.failure(call.gone() ? POOL_DEAD : pool_resize(call.door->holder, call.uint32(0), call.size(1)));
}

napi_value stock(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  if (call.gone()) return call.integer(0);
  return call.integer(static_cast<int32_t>(pool_stock(call.door->holder, call.uint32(0), call.uint32(1))));
}

napi_value unstock(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  if (!call.gone()) pool_unstock(call.door->holder, call.uint32(0), call.uint32(1));
  return nullptr;
}

napi_value sync(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (!call.gone()) pool_sync(call.door->holder);
  return nullptr;
}

napi_value flush(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (!call.gone()) pool_flush(call.door->holder);
  return nullptr;
}

/* Two words of the stock's head carry a second result that may not fit in 32 bits. */
void setSecond(Door *door, size_t value) {
  const uint64_t wide = value;
  std::memcpy(door->holder->stock + 2, &wide, sizeof wide);
}

napi_value second(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  uint64_t wide = 0;
  if (!call.gone()) std::memcpy(&wide, call.door->holder->stock + 2, sizeof wide);
  return call.number(static_cast<double>(static_cast<int64_t>(wide)), true);
}

napi_value usable(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  size_t bytes = 0;
  if (call.gone() || pool_memory(call.door->pool, call.uint32(0), &bytes) == nullptr) return call.failure(POOL_NO_BLOCK);
  return call.number(static_cast<double>(bytes), true);
}

napi_value zero(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  size_t bytes = 0;
  void *memory = call.gone() ? nullptr : pool_memory(call.door->pool, call.uint32(0), &bytes);
  const size_t size = call.size(1);
  if (memory != nullptr) os_zero(memory, size < bytes ? size : bytes);
  return nullptr;
}

/* ---- Memory as JavaScript sees it ----------------------------------------------------------- */

void nothing(napi_env, void *, void *) {}

void dropOpening(Opening *opening) {
  if (--opening->references > 0) return;
  pool_close_region(opening->pool, opening->region);
  delete opening;
}

void closeRegionObject(napi_env, void *data, void *) { dropOpening(static_cast<Opening *>(data)); }

void closeRegionMemory(napi_env, void *, void *hint) { dropOpening(static_cast<Opening *>(hint)); }

/* An ArrayBuffer over a whole region; undefined if there is no such region, null if this runtime refuses. */
napi_value openRegion(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  napi_value buffer = nullptr;
  if (call.gone()) return nullptr;
  struct region *region = pool_open_region(call.door->pool, call.uint32(0));
  if (region == nullptr) return nullptr;
  Opening *opening = new Opening{call.door->pool, region, 2};
  if (napi_create_external_arraybuffer(env, region->base, region->bytes, closeRegionMemory, opening, &buffer) != napi_ok) {
    opening->references = 1;
    dropOpening(opening);
    napi_get_null(env, &buffer);
    return buffer;
  }
  if (napi_add_finalizer(env, buffer, opening, closeRegionObject, nullptr, nullptr) != napi_ok) dropOpening(opening);
  return buffer;
}

/* Runs in the environment's thread, some time after the ArrayBuffer was detached or became garbage. */
void closeOwn(napi_env, void *, void *hint) {
  OwnBuffer *own = static_cast<OwnBuffer *>(hint);
  Door *door = own->door;
  const auto found = door->own.find(own->place);
  if (found != door->own.end() && found->second == own) door->own.erase(found);
  if (own->lent && door->holder != nullptr) {
    pool_sync(door->holder);
    /* Everything may have been freed at once, and the place serve another block. */
    const bool still = own->epoch == door->holder->epoch || pool_keeps_own(door->pool);
    if (still && pool_give(door->holder, own->place) == POOL_OK) ++door->forgotten;
  }
  pool_close_region(door->pool, own->region);
  release(door);
  delete own;
}

/* (place, size): the block as an ArrayBuffer of its own, lent; undefined if there is no such block, null if this runtime
 * refuses. lib/pool sees to it that one over the whole region is reachable as long as this one is (D2). */
napi_value openOwn(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  napi_value buffer = nullptr;
  if (call.gone()) return nullptr;
  const uint32_t place = call.uint32(0);
  size_t bytes = 0;
  void *memory = pool_memory(call.door->pool, place, &bytes);
  if (memory == nullptr) return nullptr;
  const size_t size = call.size(1);
  struct region *region = pool_open_region(call.door->pool, place >> pool_unit_bits(call.door->pool));
  OwnBuffer *own = new OwnBuffer{call.door, region, place, call.door->holder->epoch, true};
  ++call.door->references;
  call.door->own[place] = own;
  if (napi_create_external_arraybuffer(env, memory, size < bytes ? size : bytes, closeOwn, own, &buffer) == napi_ok)
    return buffer;
  own->lent = false;
  closeOwn(env, memory, own);
  napi_get_null(env, &buffer);
  return buffer;
}

/* (place, lent): whether its ArrayBuffer is in the program's hands, or was detached or put aside to be used again. */
napi_value lendOwn(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const auto found = call.door->own.find(call.uint32(0));
  bool lent = false;
  napi_get_value_bool(env, call.values[1], &lent);
  if (found == call.door->own.end()) return nullptr;
  found->second->lent = lent;
  if (lent && !call.gone()) found->second->epoch = call.door->holder->epoch;
  return nullptr;
}

napi_value isLent(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto found = call.door->own.find(call.uint32(0));
  napi_value result = nullptr;
  napi_get_boolean(env, found != call.door->own.end() && found->second->lent, &result);
  return result;
}

/* ---- Sharing -------------------------------------------------------------------------------- */

using CreateShared = napi_status (*)(napi_env, void *, size_t, void (*)(void *, void *), void *, napi_value *);

/* Newer than the interface that the addon is built for. */
CreateShared createShared() {
  static const CreateShared function =
      reinterpret_cast<CreateShared>(dlsym(RTLD_DEFAULT, "node_api_create_external_sharedarraybuffer"));
  return function;
}

/* One user of a shared block. */
struct User {
  struct pool *pool;
  struct region *region;
  uint64_t handle;
  bool gone;    /* the block is not its any more, though the region is open */
  int references; /* the ArrayBuffer, and its memory */
  Door *door;   /* of a plain ArrayBuffer */
  uint32_t number;
};

void leaveBlock(User *user) {
  if (!user->gone) pool_leave_shared(user->pool, user->handle);
  user->gone = true;
}

/* The SharedArrayBuffer is garbage, in the last of the threads that had it. Runs in any thread. */
void leaveShared(void *, void *hint) {
  User *user = static_cast<User *>(hint);
  leaveBlock(user);
  pool_close_region(user->pool, user->region);
  delete user;
}

void dropUser(User *user) {
  if (--user->references > 0) return;
  user->door->users.erase(user->number);
  release(user->door);
  leaveShared(nullptr, user);
}

void leavePlainObject(napi_env, void *data, void *) { dropUser(static_cast<User *>(data)); }

void leavePlainMemory(napi_env, void *, void *hint) { dropUser(static_cast<User *>(hint)); }

/* The memory as a SharedArrayBuffer, or as an ArrayBuffer where `plain` is asked for or this Node cannot make one. The user
 * is gone when the buffer is garbage everywhere. The second result is the user's number, or 0 for a SharedArrayBuffer. */
napi_value wrapShared(const Call<2> &call, uint32_t place, size_t size, uint64_t handle, bool plain) {
  napi_env env = call.env;
  Door *door = call.door;
  napi_value buffer = nullptr;
  size_t bytes = 0;
  void *memory = pool_memory(door->pool, place, &bytes);
  struct region *region = pool_open_region(door->pool, place >> pool_unit_bits(door->pool));
  User *user = new User{door->pool, region, handle, false, 2, door, 0};
  if (memory != nullptr && region != nullptr && size <= bytes) {
    setSecond(door, 0);
    if (!plain && createShared() != nullptr && createShared()(env, memory, size, leaveShared, user, &buffer) == napi_ok)
      return buffer;
    if (napi_create_external_arraybuffer(env, memory, size, leavePlainMemory, user, &buffer) == napi_ok) {
      if (napi_add_finalizer(env, buffer, user, leavePlainObject, nullptr, nullptr) != napi_ok) --user->references;
      user->number = ++door->lastUser;
      door->users[user->number] = user;
      ++door->references;
      setSecond(door, user->number);
      return buffer;
    }
  }
  leaveBlock(user);
  if (region != nullptr) pool_close_region(user->pool, region);
  delete user;
  return call.failure(POOL_NO_MEMORY);
}

/* (place, size): the handle, or a status below 0. Its first user is counted, and is to be taken on by useShared(). */
napi_value share(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  uint64_t handle = 0;
  const enum pool_status status = pool_share(call.door->holder, call.uint32(0), call.size(1), &handle);
  return status == POOL_OK ? call.number(static_cast<double>(handle), true) : call.failure(status);
}

/* (handle, plain): the buffer of a further user, or a status below 0. */
napi_value useShared(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  const double handle = call.number(0);
  uint32_t place = 0;
  size_t size = 0;
  bool plain = false;
  napi_get_value_bool(env, call.values[1], &plain);
  if (!(handle >= 1 && handle < 9007199254740992.0)) return call.failure(POOL_STALE);
  const enum pool_status status = pool_use_shared(call.door->pool, static_cast<uint64_t>(handle), &place, &size);
  if (status != POOL_OK) return call.failure(status);
  return wrapShared(call, place, size, static_cast<uint64_t>(handle), plain);
}

/* (number): the user's plain ArrayBuffer was detached, and the block is not its any more. */
napi_value releaseShared(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto found = call.door->users.find(call.uint32(0));
  if (found != call.door->users.end()) leaveBlock(found->second);
  return nullptr;
}

/* (handle): a user that has no buffer is gone. */
napi_value leaveSharedNow(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  if (!call.gone()) pool_leave_shared(call.door->pool, static_cast<uint64_t>(call.number(0)));
  return nullptr;
}

napi_value reclaim(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.number(call.gone() ? 0.0 : static_cast<double>(pool_reclaim(call.door->pool, call.uint32(0))), true);
}

/* ---- Handover ------------------------------------------------------------------------------- */

napi_value handover(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  uint64_t handle = 0;
  const enum pool_status status = pool_handover(call.door->holder, call.uint32(0), call.size(1), &handle);
  return status == POOL_OK ? call.number(static_cast<double>(handle), true) : call.failure(status);
}

napi_value adopt(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  uint32_t place = 0;
  size_t size = 0;
  const double handle = call.number(0);
  const bool possible = handle >= 1 && handle < 9007199254740992.0;
  const enum pool_status status =
      possible ? pool_adopt(call.door->holder, static_cast<uint64_t>(handle), &place, &size) : POOL_STALE;
  if (status != POOL_OK) return call.failure(status);
  setSecond(call.door, size);
  return call.integer(static_cast<int32_t>(place));
}

/* For a runtime without external ArrayBuffers: the block's bytes in and out. */
napi_value copyIn(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  size_t bytes = 0;
  size_t length = 0;
  void *source = nullptr;
  void *memory = call.gone() ? nullptr : pool_memory(call.door->pool, call.uint32(0), &bytes);
  if (memory != nullptr && napi_get_arraybuffer_info(env, call.values[1], &source, &length) == napi_ok && source != nullptr)
    std::memcpy(memory, source, length < bytes ? length : bytes);
  return nullptr;
}

napi_value copyOut(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  size_t bytes = 0;
  size_t length = 0;
  void *target = nullptr;
  void *memory = call.gone() ? nullptr : pool_memory(call.door->pool, call.uint32(0), &bytes);
  if (memory != nullptr && napi_get_arraybuffer_info(env, call.values[1], &target, &length) == napi_ok && target != nullptr)
    std::memcpy(target, memory, length < bytes ? length : bytes);
  return nullptr;
}

/* ---- Waiting -------------------------------------------------------------------------------- */

napi_value wait(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  struct pool_stats stats;
  pool_stats(call.door->pool, &stats);
  /* Only another thread can free anything once this one has nothing left to do. */
  if (stats.holders > 1) napi_ref_threadsafe_function(env, call.door->notify);
  return call.failure(pool_wait(call.door->holder, call.number(0), call.size(1), call.size(2)));
}

napi_value cancel(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.integer(call.gone() ? 0 : pool_cancel(call.door->holder, call.number(0)));
}

/* The id of the oldest answer, or undefined; its place, or status below 0, is the second result. */
napi_value granted(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  double id = 0;
  uint32_t place = 0;
  enum pool_status status = POOL_OK;
  if (call.gone() || !pool_granted(call.door->holder, &id, &place, &status)) return nullptr;
  setSecond(call.door, status == POOL_OK ? place : static_cast<size_t>(-static_cast<int64_t>(status)));
  return call.number(id, true);
}

/* Nothing is being waited for: the event loop may end. */
napi_value idle(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (!call.gone()) napi_unref_threadsafe_function(env, call.door->notify);
  return nullptr;
}

/* ---- Everything at once --------------------------------------------------------------------- */

napi_value reset(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (!call.gone()) pool_reset(call.door->pool);
  return nullptr;
}

napi_value trim(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return call.number(call.gone() ? 0.0 : static_cast<double>(pool_trim(call.door->holder)), true);
}

napi_value destroy(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return nullptr;
  Registry &all = registry();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.pools.find(call.door->name);
    if (found != all.pools.end() && found->second.pool == call.door->pool) all.pools.erase(found);
    pool_destroy(call.door->pool);
  }
  return nullptr;
}

napi_value leaveNow(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return nullptr;
  napi_remove_env_cleanup_hook(env, leaveAtExit, call.door);
  leave(call.door);
  return nullptr;
}

/* ---- Looking -------------------------------------------------------------------------------- */

napi_value stats(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return nullptr;
  struct pool_stats figures;
  pool_stats(call.door->pool, &figures);
  const std::pair<const char *, uint64_t> rows[] = {
      {"limit", figures.limit},
      {"mappedBytes", figures.mapped_bytes},
      {"metadataBytes", figures.meta_bytes},
      {"doomedBytes", figures.doomed_bytes},
      {"usedBytes", figures.used_bytes},
      {"usedBlocks", figures.used_blocks},
      {"stockedBytes", figures.stocked_bytes},
      {"stockedBlocks", figures.stocked_blocks},
      {"regions", figures.regions},
      {"threads", figures.holders},
      {"handedOver", figures.transit_blocks},
      {"shared", figures.shared_blocks},
      {"waiting", figures.waiting},
      {"purgedBytes", figures.purged_bytes},
      {"resets", figures.epoch},
      {"forgotten", call.door->forgotten},
  };
  Napi::Object result = Napi::Object::New(env);
  for (const auto &row : rows) define(result, row.first, Napi::Number::New(env, static_cast<double>(row.second)));
  return result;
}

struct Numbers {
  std::vector<double> values;
  const struct holder *holder;
};

/* place, bytes, owner (0 nobody, 1 this thread, 2 another, 3 shared), stocked; for each block. */
napi_value blocks(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return nullptr;
  Numbers numbers{{}, call.door->holder};
  pool_walk(
      call.door->pool,
      [](const struct pool_block *block, void *context) {
        Numbers *all = static_cast<Numbers *>(context);
        const int owner = block->owner == OWNER_NOBODY           ? 0
                          : block->owner == all->holder->number ? 1
                          : block->owner == OWNER_SHARED         ? 3
                                                                 : 2;
        all->values.insert(all->values.end(), {static_cast<double>(block->place), static_cast<double>(block->bytes),
                                               static_cast<double>(owner), static_cast<double>(block->stocked)});
      },
      &numbers);
  Napi::Float64Array result = Napi::Float64Array::New(env, numbers.values.size());
  if (!numbers.values.empty()) std::memcpy(result.Data(), numbers.values.data(), numbers.values.size() * sizeof(double));
  return result;
}

/* number, bytes, used bytes, used blocks, whether it holds one large block; for each region. */
napi_value regions(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return nullptr;
  Numbers numbers{{}, nullptr};
  pool_walk_regions(
      call.door->pool,
      [](const struct region *region, void *context) {
        Numbers *all = static_cast<Numbers *>(context);
        all->values.insert(all->values.end(),
                           {static_cast<double>(region->number), static_cast<double>(region->bytes),
                            static_cast<double>(region->used_bytes), static_cast<double>(region->used_blocks),
                            static_cast<double>(region->alone)});
      },
      &numbers);
  Napi::Float64Array result = Napi::Float64Array::New(env, numbers.values.size());
  if (!numbers.values.empty()) std::memcpy(result.Data(), numbers.values.data(), numbers.values.size() * sizeof(double));
  return result;
}

napi_value check(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return call.integer(call.gone() ? 0 : pool_check(call.door->pool));
}

const std::pair<const char *, napi_callback> kFunctions[] = {
    {"take", take},           {"give", give},         {"resize", resize},     {"stock", stock},
    {"unstock", unstock},     {"sync", sync},         {"flush", flush},       {"usable", usable},
    {"zero", zero},           {"openRegion", openRegion}, {"openOwn", openOwn}, {"lendOwn", lendOwn},     {"isLent", isLent},
    {"handover", handover},   {"adopt", adopt},       {"copyIn", copyIn},     {"copyOut", copyOut},
    {"share", share},         {"useShared", useShared}, {"leaveShared", leaveSharedNow},
    {"releaseShared", releaseShared}, {"reclaim", reclaim},
    {"wait", wait},           {"cancel", cancel},     {"granted", granted},   {"idle", idle},         {"second", second},
    {"reset", reset},         {"trim", trim},         {"destroy", destroy},   {"leave", leaveNow},
    {"stats", stats},         {"blocks", blocks},     {"regions", regions},   {"check", check},
};

/* The door's object is garbage, and with it its functions, which nothing else holds. */
void closeDoor(napi_env env, void *data, void *) {
  Door *door = static_cast<Door *>(data);
  if (door->holder != nullptr) {
    napi_remove_env_cleanup_hook(env, leaveAtExit, door);
    leave(door);
  }
  release(door);
}

struct holder *join(Door *door, const std::string &config, const struct pool_options &options, bool mayCreate, bool *created) {
  Registry &all = registry();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto found = all.pools.find(door->name);
  struct pool *pool = found == all.pools.end() ? nullptr : found->second.pool;
  *created = pool == nullptr;
  if (pool == nullptr) pool = mayCreate ? pool_create(&options) : nullptr;
  struct holder *holder = pool == nullptr ? nullptr : pool_join(pool, notify, door->notify);
  if (holder == nullptr && *created && pool != nullptr) pool_discard(pool);
  if (holder != nullptr && *created && !door->name.empty()) all.pools[door->name] = {pool, config};
  door->pool = pool;
  return holder;
}

} // namespace

Napi::Value poolOpen(const Napi::CallbackInfo &info) {
  const Napi::Env env = info.Env();
  const std::string config = info[1].As<Napi::String>().Utf8Value();
  struct pool_options options = {};
  options.limit = static_cast<size_t>(info[2].As<Napi::Number>().DoubleValue());
  options.region_order = info[3].As<Napi::Number>().Uint32Value();
  options.alignment = static_cast<size_t>(info[4].As<Napi::Number>().DoubleValue());
  options.keeps_own = info[7].ToBoolean().Value();
  Door *door = new Door;
  door->name = info[0].As<Napi::String>().Utf8Value();
  door->env = env;
  napi_create_threadsafe_function(env, info[6], nullptr, Napi::String::New(env, "buddymalloc"), 0, 1, nullptr, nullptr,
                                  nullptr, nullptr, &door->notify);
  napi_unref_threadsafe_function(env, door->notify);
  bool created = false;
  door->holder = join(door, config, options, info[5].ToBoolean().Value(), &created);
  if (door->holder == nullptr) {
    napi_release_threadsafe_function(door->notify, napi_tsfn_abort);
    delete door;
    return env.Undefined();
  }
  napi_add_env_cleanup_hook(env, leaveAtExit, door);
  ++door->references; /* the holder's, and the object's */

  Napi::Object result = Napi::Object::New(env);
  for (const auto &entry : kFunctions) {
    napi_value function = nullptr;
    napi_create_function(env, entry.first, NAPI_AUTO_LENGTH, entry.second, door, &function);
    define(result, entry.first, function);
  }
  {
    Registry &all = registry();
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.pools.find(door->name);
    define(result, "config", Napi::String::New(env, found == all.pools.end() ? config : found->second.config));
  }
  define(result, "created", Napi::Boolean::New(env, created));
  define(result, "unitBits", Napi::Number::New(env, pool_unit_bits(door->pool)));
  define(result, "firstAlone", Napi::Number::New(env, pool_first_alone(door->pool)));
  define(result, "sharesAtomically", Napi::Boolean::New(env, createShared() != nullptr));
  Napi::Array classes = Napi::Array::New(env);
  for (unsigned index = 0; index < STOCK_CLASSES; index++)
    classes.Set(index, Napi::Number::New(env, static_cast<double>(pool_class_bytes(index))));
  define(result, "classes", classes);
  napi_value stockBuffer = nullptr;
  if (napi_create_external_arraybuffer(env, door->holder->stock, STOCK_WORDS * sizeof(int32_t), nothing, nullptr,
                                       &stockBuffer) != napi_ok)
    napi_get_null(env, &stockBuffer);
  define(result, "stockBuffer", stockBuffer);
  napi_wrap(env, result, door, closeDoor, nullptr, nullptr);
  return result;
}
