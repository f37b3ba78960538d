/* handover.cc: blocks on their way from one environment to another.
 *
 * Owner:     the process; `mutex` guards everything here.
 * Invariant: H1  a place is on `vacant` if and only if its memory is NULL.
 *            H2  a handle is a place and the tag that this use of the place was given; the tag is drawn at random, so
 *                that a handle cannot be guessed and a stale one not be taken for its successor. */
#include "handover.h"

#include <sys/random.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <vector>

#include "arguments.h"
#include "block-table.h"
#include "buddymalloc.h"
#include "errors.h"

namespace {

/* A handle is an integer below 2^53: the tag above, the place below. */
constexpr unsigned kPlaceBits = 21;
constexpr uint64_t kMostPlaces = uint64_t{1} << kPlaceBits;

struct Place {
  void *memory; /* NULL if vacant */
  size_t size;
  uint32_t tag;
};

struct HandoverTable {
  std::mutex mutex;
  std::vector<Place> places;
  std::vector<uint32_t> vacant;
};

/* Never destroyed: workers may still hand blocks over while the process exits. */
HandoverTable &table() {
  static HandoverTable *const instance = new HandoverTable;
  return *instance;
}

uint32_t randomTag() {
  uint32_t tag = 0;
  /* Without the system's randomness a counter still tells a stale handle. */
  static uint32_t counter = 0;
  if (getrandom(&tag, sizeof tag, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof tag)) tag = ++counter;
  return tag;
}

/* The handle, or 0 if every place is taken. */
uint64_t deposit(void *memory, size_t size) {
  HandoverTable &handovers = table();
  const std::lock_guard<std::mutex> lock(handovers.mutex);
  if (handovers.vacant.empty()) {
    if (handovers.places.size() == kMostPlaces - 1) return 0;
    handovers.places.push_back({nullptr, 0, 0});
    handovers.vacant.push_back(static_cast<uint32_t>(handovers.places.size() - 1));
  }
  const uint32_t index = handovers.vacant.back();
  handovers.vacant.pop_back();
  handovers.places[index] = {memory, size, randomTag()};
  return (uint64_t{handovers.places[index].tag} << kPlaceBits) | (index + 1);
}

/* The memory, or NULL if the handle is stale or was never given. */
void *collect(uint64_t handle, size_t *size) {
  const uint64_t index = (handle & (kMostPlaces - 1)) - 1;
  HandoverTable &handovers = table();
  const std::lock_guard<std::mutex> lock(handovers.mutex);
  if (index >= handovers.places.size()) return nullptr;
  Place &place = handovers.places[index];
  if (place.memory == nullptr || place.tag != handle >> kPlaceBits) return nullptr;
  void *memory = place.memory;
  *size = place.size;
  place.memory = nullptr;
  handovers.vacant.push_back(static_cast<uint32_t>(index));
  return memory;
}

Napi::Value tooMany(Napi::Env env) {
  throwError(env, ErrorCode::ERR_OUT_OF_MEMORY, "too many blocks handed over are waiting to be adopted");
  return {};
}

} // namespace

Napi::Value handover(const Napi::CallbackInfo &info) {
  BlockTable::Entry *block = nullptr;
  napi_value buffer = nullptr;
  if (!toBlock(info.Env(), info[0], ErrorCode::ERR_USE_AFTER_FREE, &block, &buffer)) return {};
  const uint64_t handle = deposit(block->memory, block->size);
  if (handle == 0) return tooMany(info.Env());
  /* Nobody knows the handle before this function returns, so detaching after the deposit is early enough. */
  if (!detachBlock(info.Env(), buffer)) {
    size_t size = 0;
    collect(handle, &size);
    return {};
  }
  tableOf(info.Env()).release(block);
  return Napi::Number::New(info.Env(), static_cast<double>(handle));
}

Napi::Value handoverCopy(const Napi::CallbackInfo &info) {
  if (!requireNative(info.Env())) return {};
  void *bytes = nullptr;
  size_t size = 0;
  napi_get_arraybuffer_info(info.Env(), info[0], &bytes, &size);
  void *memory = bm_malloc(size);
  if (memory == nullptr) {
    throwError(info.Env(), ErrorCode::ERR_OUT_OF_MEMORY, "no memory for the block to hand over");
    return {};
  }
  if (size > 0) std::memcpy(memory, bytes, size);
  const uint64_t handle = deposit(memory, size);
  if (handle != 0) return Napi::Number::New(info.Env(), static_cast<double>(handle));
  bm_free(memory);
  return tooMany(info.Env());
}

Napi::Value adopt(const Napi::CallbackInfo &info) {
  double handle = 0;
  if (napi_get_value_double(info.Env(), info[0], &handle) != napi_ok) {
    throwError(info.Env(), ErrorCode::ERR_INVALID_ARG_TYPE, "handle must be a number");
    return {};
  }
  if (!requireNative(info.Env())) return {};
  size_t size = 0;
  const bool possible = handle >= 1 && handle < 9007199254740992.0 && std::floor(handle) == handle;
  void *memory = possible ? collect(static_cast<uint64_t>(handle), &size) : nullptr;
  if (memory == nullptr) {
    throwError(info.Env(), ErrorCode::ERR_STALE_HANDLE, "no block waits under this handle");
    return {};
  }
  napi_value buffer = tableOf(info.Env()).wrap(memory, size);
  return buffer == nullptr ? info.Env().Undefined() : Napi::Value(info.Env(), buffer);
}

Napi::Value handoversWaiting(const Napi::CallbackInfo &info) {
  HandoverTable &handovers = table();
  const std::lock_guard<std::mutex> lock(handovers.mutex);
  return Napi::Number::New(info.Env(), static_cast<double>(handovers.places.size() - handovers.vacant.size()));
}
