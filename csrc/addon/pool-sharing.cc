/* pool-sharing.cc: blocks that several threads see at once, and their users. */
#include "pool-door.h"

#include <dlfcn.h>

namespace pools {

using CreateShared = napi_status (*)(napi_env, void *, size_t, void (*)(void *, void *), void *, napi_value *);

/* Newer than the interface that the addon is built for. */
static CreateShared createShared() {
  static const CreateShared function =
      reinterpret_cast<CreateShared>(dlsym(RTLD_DEFAULT, "node_api_create_external_sharedarraybuffer"));
  return function;
}

bool sharesAtomically() { return createShared() != nullptr; }

/* One user of a shared block. */
struct User {
  struct pool *pool;
  struct region *region;
  uint64_t handle;
  bool gone;    /* the block is not its any more, though the region is open */
  int references; /* the ArrayBuffer, and its memory */
  Door *door;   /* of a plain ArrayBuffer */
  uint32_t number;
  Watched watched;
};

static void leaveBlock(User *user) {
  if (!user->gone) pool_leave_shared(user->pool, user->handle);
  user->gone = true;
}

/* The SharedArrayBuffer is garbage, in the last of the threads that had it. Runs in any thread. */
static void leaveShared(void *, void *hint) {
  User *user = static_cast<User *>(hint);
  leaveBlock(user);
  pool_close_region(user->pool, user->region);
  delete user;
}

static void dropUser(User *user) {
  if (--user->references > 0) return;
  user->door->users.erase(user->number);
  release(user->door);
  leaveShared(nullptr, user);
}

static void leavePlainObject(napi_env, void *data, void *) { dropUser(static_cast<User *>(data)); }

static void leavePlainMemory(napi_env, void *, void *hint) {
  User *user = static_cast<User *>(hint);
  MoveWatch::end(user->watched);
  /* Whoever has the memory now is the user, and nobody will say when it is gone. */
  if (user->watched.moved) pool_strand_region(user->pool);
  else dropUser(user);
}

/* The memory as a SharedArrayBuffer, or as an ArrayBuffer where `plain` is asked for or this Node cannot make one. The user
 * is gone when the buffer is garbage everywhere. The second result is the user's number, or 0 for a SharedArrayBuffer. */
static napi_value wrapShared(const Call<2> &call, uint32_t place, size_t size, uint64_t handle, bool plain) {
  napi_env env = call.env;
  Door *door = call.door;
  napi_value buffer = nullptr;
  size_t bytes = 0;
  void *memory = pool_memory(door->pool, place, &bytes);
  struct region *region = pool_open_region(door->pool, place >> pool_unit_bits(door->pool));
  User *user = new User{door->pool, region, handle, false, 2, door, 0, {}};
  if (memory != nullptr && region != nullptr && size <= bytes) {
    setSecond(door, 0);
    if (!plain && sharesAtomically() && createShared()(env, memory, size, leaveShared, user, &buffer) == napi_ok)
      return buffer;
    if (napi_create_external_arraybuffer(env, memory, size, leavePlainMemory, user, &buffer) == napi_ok) {
      if (napi_add_finalizer(env, buffer, user, leavePlainObject, nullptr, nullptr) != napi_ok) --user->references;
      user->number = ++door->lastUser;
      door->users[user->number] = user;
      ++door->references;
      setSecond(door, user->number);
      door->moves->begin(user->watched, buffer);
      return buffer;
    }
  }
  leaveBlock(user);
  if (region != nullptr) pool_close_region(user->pool, region);
  delete user;
  return call.failure(POOL_NO_MEMORY);
}

napi_value share(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  uint64_t handle = 0;
  const enum pool_status status = pool_share(call.door->holder, call.uint32(0), call.size(1), &handle);
  return status == POOL_OK ? call.number(static_cast<double>(handle), true) : call.failure(status);
}

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

napi_value releaseShared(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const auto found = call.door->users.find(call.uint32(0));
  bool moved = false;
  napi_is_detached_arraybuffer(env, call.values[1], &moved);
  if (moved || found == call.door->users.end()) return nullptr;
  if (!detachBuffer(env, call.values[1])) return nullptr;
  MoveWatch::end(found->second->watched);
  leaveBlock(found->second);
  return nullptr;
}

napi_value leaveSharedNow(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  if (!call.gone()) pool_leave_shared(call.door->pool, static_cast<uint64_t>(call.number(0)));
  return nullptr;
}

} // namespace pools
