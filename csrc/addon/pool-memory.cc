/* pool-memory.cc: ArrayBuffers over a pool's memory.
 *
 * Invariant: D2  a region is open as long as an ArrayBuffer over it is reachable, detached or not: an operation that the
 *                system has under way may still write to it. */
#include "pool-door.h"

namespace pools {

/* What may still reach a region's memory: an ArrayBuffer, and its memory, which JavaScript may have moved to another. */
struct Opening {
  Door *door;
  struct region *region;
  uint32_t number;
  int references;
  Watched watched;
};

static bool isDetached(napi_env env, napi_value buffer) {
  bool detached = true;
  napi_is_detached_arraybuffer(env, buffer, &detached);
  return detached;
}

static void dropOpening(Opening *opening) {
  if (--opening->references > 0) return;
  Door *door = opening->door;
  const auto found = door->openings.find(opening->number);
  if (found != door->openings.end() && found->second == opening) door->openings.erase(found);
  pool_close_region(door->pool, opening->region);
  release(door);
  delete opening;
}

static void closeRegionObject(napi_env, void *data, void *) { dropOpening(static_cast<Opening *>(data)); }

static void closeRegionMemory(napi_env, void *, void *hint) {
  Opening *opening = static_cast<Opening *>(hint);
  MoveWatch::end(opening->watched);
  /* Whoever has the memory now keeps the opening, which is never dropped. */
  if (opening->watched.moved) pool_strand_region(opening->door->pool);
  else dropOpening(opening);
}

napi_value openRegion(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  napi_value buffer = nullptr;
  if (call.gone()) return nullptr;
  const uint32_t number = call.uint32(0);
  struct region *region = pool_open_region(call.door->pool, number);
  if (region == nullptr) return nullptr;
  Opening *opening = new Opening{call.door, region, number, 2, {}};
  ++call.door->references;
  call.door->openings[number] = opening;
  if (napi_create_external_arraybuffer(env, region->base, region->bytes, closeRegionMemory, opening, &buffer) != napi_ok) {
    opening->references = 1;
    dropOpening(opening);
    napi_get_null(env, &buffer);
    return buffer;
  }
  if (napi_add_finalizer(env, buffer, opening, closeRegionObject, nullptr, nullptr) != napi_ok) dropOpening(opening);
  call.door->moves->begin(opening->watched, buffer);
  return buffer;
}

napi_value closeRegion(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const auto found = call.door->openings.find(call.uint32(0));
  if (isDetached(env, call.values[1])) return nullptr;
  napi_value latest = nullptr;
  bool same = false;
  if (found != call.door->openings.end() && found->second->watched.watch != nullptr &&
      napi_get_reference_value(env, found->second->watched.buffer, &latest) == napi_ok && latest != nullptr)
    napi_strict_equals(env, latest, call.values[1], &same);
  if (detachBuffer(env, call.values[1]) && same) MoveWatch::end(found->second->watched);
  return nullptr;
}

/* The program has lost the block, or it is at an end itself. What it has moved elsewhere stays allocated, as a block that was
 * handed over and that nobody can adopt. */
static void giveLost(const OwnBuffer *own) {
  Door *door = own->door;
  uint64_t handle = 0;
  pool_sync(door->holder);
  /* Everything may have been freed at once, and the place serve another block. */
  if (own->epoch != door->holder->epoch && !pool_keeps_own(door->pool)) return;
  if (own->watched.moved) pool_handover(door->holder, own->place, 0, &handle);
  else if (pool_give_lost(door->holder, own->place) == POOL_OK) ++door->forgotten;
}

/* Runs in the environment's thread, some time after the ArrayBuffer was detached or became garbage, or at the end. */
static void endOwn(napi_env, void *, void *hint) {
  OwnBuffer *own = static_cast<OwnBuffer *>(hint);
  Door *door = own->door;
  MoveWatch::end(own->watched);
  const auto found = door->own.find(own->place);
  if (found != door->own.end() && found->second == own) door->own.erase(found);
  if (own->lent && door->holder != nullptr) giveLost(own);
  if (own->watched.moved) pool_strand_region(door->pool);
  else pool_close_region(door->pool, own->region);
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
  OwnBuffer *own = new OwnBuffer{call.door, region, place, call.door->holder->epoch, true, {}};
  ++call.door->references;
  call.door->own[place] = own;
  if (napi_create_external_arraybuffer(env, memory, size < bytes ? size : bytes, endOwn, own, &buffer) == napi_ok) {
    call.door->moves->begin(own->watched, buffer);
    return buffer;
  }
  own->lent = false;
  endOwn(env, memory, own);
  napi_get_null(env, &buffer);
  return buffer;
}

static void lend(OwnBuffer *own, bool lent, napi_value buffer) {
  MoveWatch::end(own->watched);
  own->lent = lent;
  if (!lent) return;
  own->door->moves->begin(own->watched, buffer);
  if (own->door->holder != nullptr) own->epoch = own->door->holder->epoch;
}

napi_value lendOwn(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const auto found = call.door->own.find(call.uint32(0));
  bool lent = false;
  napi_get_value_bool(env, call.values[1], &lent);
  if (found != call.door->own.end()) lend(found->second, lent, call.values[2]);
  return nullptr;
}

napi_value closeOwn(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const auto found = call.door->own.find(call.uint32(0));
  napi_value result = nullptr;
  const bool moved = found != call.door->own.end() && found->second->lent && isDetached(env, call.values[1]);
  const bool closed = !moved && detachBuffer(env, call.values[1]);
  if (closed && found != call.door->own.end()) lend(found->second, false, nullptr);
  napi_get_boolean(env, closed, &result);
  return result;
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
