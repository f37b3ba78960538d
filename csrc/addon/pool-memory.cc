/* pool-memory.cc: ArrayBuffers over a pool's memory.
 *
 * Invariant: D2  a region is open as long as an ArrayBuffer over it is reachable, detached or not: an operation that the
 *                system has under way may still write to it. */
#include "pool-door.h"

namespace pools {

/* What may still reach a region's memory: an ArrayBuffer, and its memory, which JavaScript may have moved to another. */
struct Opening {
  struct pool *pool;
  struct region *region;
  int references;
};

static void dropOpening(Opening *opening) {
  if (--opening->references > 0) return;
  pool_close_region(opening->pool, opening->region);
  delete opening;
}

static void closeRegionObject(napi_env, void *data, void *) { dropOpening(static_cast<Opening *>(data)); }

static void closeRegionMemory(napi_env, void *, void *hint) { dropOpening(static_cast<Opening *>(hint)); }

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
static void closeOwn(napi_env, void *, void *hint) {
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

/* The block's bytes, and those of the ArrayBuffer, copied one way. */
template <bool in> napi_value copy(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  size_t bytes = 0;
  size_t length = 0;
  void *buffer = nullptr;
  void *memory = call.gone() ? nullptr : pool_memory(call.door->pool, call.uint32(0), &bytes);
  if (memory == nullptr || napi_get_arraybuffer_info(env, call.values[1], &buffer, &length) != napi_ok || buffer == nullptr)
    return nullptr;
  std::memcpy(in ? memory : buffer, in ? buffer : memory, length < bytes ? length : bytes);
  return nullptr;
}

napi_value copyIn(napi_env env, napi_callback_info info) { return copy<true>(env, info); }

napi_value copyOut(napi_env env, napi_callback_info info) { return copy<false>(env, info); }

} // namespace pools
