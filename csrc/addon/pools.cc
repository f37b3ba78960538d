/* pools.cc: the pools of the process by name, how an environment enters and leaves one, and what it does with blocks.
 *
 * Owner:     `registry` belongs to the process, under its mutex. */
#include "pools.h"

#include <map>
#include <mutex>
#include <string>

#include "block-table.h"
#include "pool-door.h"

using namespace pools;

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

/* The word that the thread has taken notice of. */
napi_value sync(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return call.integer(WORD_DEAD);
  pool_sync(call.door->holder);
  return call.integer(__atomic_load_n(&call.door->holder->stock[HEAD_WORD], __ATOMIC_RELAXED));
}

napi_value flush(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (!call.gone()) pool_flush(call.door->holder);
  return nullptr;
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

void nothing(napi_env, void *, void *) {}

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

/* ---- Waiting -------------------------------------------------------------------------------- */

/* The event loop goes on for a request that waits, if another thread may free something: this one has nothing left to do. */
void stayToWait(const Door *door) {
  struct pool_stats stats;
  pool_stats(door->pool, &stats);
  if (stats.holders > 1) napi_ref_threadsafe_function(door->env, door->notify);
}

napi_value wait(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  stayToWait(call.door);
  return call.failure(pool_wait(call.door->holder, call.number(0), call.size(1), call.size(2)));
}

napi_value hoard(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (!call.gone()) pool_hoard(call.door->holder);
  return nullptr;
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

/* (stays, waits): whether the event loop goes on in any case, or for requests that wait. */
napi_value stay(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  bool stays = false;
  bool waits = false;
  napi_get_value_bool(env, call.values[0], &stays);
  napi_get_value_bool(env, call.values[1], &waits);
  if (call.gone()) return nullptr;
  if (stays) {
    napi_ref_threadsafe_function(env, call.door->notify);
    return nullptr;
  }
  napi_unref_threadsafe_function(env, call.door->notify);
  if (waits) stayToWait(call.door);
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

const std::pair<const char *, napi_callback> kFunctions[] = {
    {"take", take},           {"give", give},         {"resize", resize},     {"stock", stock},
    {"unstock", unstock},     {"sync", sync},         {"flush", flush},       {"usable", usable},
    {"zero", zero},           {"openRegion", openRegion}, {"openOwn", openOwn}, {"lendOwn", lendOwn},     {"isLent", isLent},
    {"closeRegion", closeRegion}, {"closeOwn", closeOwn},
    {"handover", handover},   {"adopt", adopt},       {"copyIn", copyIn},     {"copyOut", copyOut},
    {"share", share},         {"useShared", useShared}, {"leaveShared", leaveSharedNow},
    {"releaseShared", releaseShared}, {"reclaim", reclaim},
    {"openInbox", openInbox}, {"closeInbox", closeInbox}, {"send", send}, {"receive", receive}, {"third", third}, {"stay", stay},
    {"wait", wait},           {"hoard", hoard},         {"cancel", cancel},     {"granted", granted},           {"second", second},
    {"reset", reset},         {"trim", trim},         {"destroy", destroy},
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
  bool mayCreate = false;
  bool keepsOwn = false;
  napi_get_value_bool(env, info[5], &mayCreate);
  napi_get_value_bool(env, info[7], &keepsOwn);
  options.keeps_own = keepsOwn;
  const int32_t freedAs = info[8].As<Napi::Number>().Int32Value();
  options.fills_freed = freedAs >= 0;
  options.freed_byte = static_cast<unsigned char>(freedAs);
  Door *door = new Door;
  door->name = info[0].As<Napi::String>().Utf8Value();
  door->env = env;
  door->moves = &tableOf(env).moves();
  if (napi_create_threadsafe_function(env, info[6], nullptr, Napi::String::New(env, "buddymalloc"), 0, 1, nullptr, nullptr,
                                      nullptr, nullptr, &door->notify) != napi_ok) {
    delete door;
    return env.Undefined();
  }
  napi_unref_threadsafe_function(env, door->notify);
  bool created = false;
  door->holder = join(door, config, options, mayCreate, &created);
  if (door->holder == nullptr) {
    napi_release_threadsafe_function(door->notify, napi_tsfn_abort);
    delete door;
    return env.Undefined();
  }
  napi_add_env_cleanup_hook(env, leaveAtExit, door);
  ++door->references; /* the holder's, and the object's */

  const Napi::Object result = Napi::Object::New(env);
  for (const auto &entry : kFunctions) {
    napi_value function = nullptr;
    napi_create_function(env, entry.first, NAPI_AUTO_LENGTH, entry.second, door, &function);
    define(env, result, entry.first, function);
  }
  {
    Registry &all = registry();
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.pools.find(door->name);
    define(env, result, "config", Napi::String::New(env, found == all.pools.end() ? config : found->second.config));
  }
  define(env, result, "created", Napi::Boolean::New(env, created));
  define(env, result, "unitBits", Napi::Number::New(env, pool_unit_bits(door->pool)));
  define(env, result, "firstAlone", Napi::Number::New(env, pool_first_alone(door->pool)));
  define(env, result, "sharesAtomically", Napi::Boolean::New(env, sharesAtomically()));
  const Napi::Array classes = Napi::Array::New(env);
  for (unsigned index = 0; index < STOCK_CLASSES; index++)
    napi_set_element(env, classes, index, Napi::Number::New(env, static_cast<double>(pool_class_bytes(index))));
  define(env, result, "classes", classes);
  napi_value stockBuffer = nullptr;
  if (tableOf(env).externalForbidden ||
      napi_create_external_arraybuffer(env, door->holder->stock, STOCK_WORDS * sizeof(int32_t), nothing, nullptr,
                                       &stockBuffer) != napi_ok)
    napi_get_null(env, &stockBuffer);
  define(env, result, "stockBuffer", stockBuffer);
  napi_wrap(env, result, door, closeDoor, nullptr, nullptr);
  return result;
}
