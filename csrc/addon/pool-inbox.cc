/* pool-inbox.cc: blocks that one thread sends to another. */
#include "pool-door.h"

namespace pools {

static uint64_t addressAt(const Call<1> &call) { return static_cast<uint64_t>(call.number(0)); }

napi_value openInbox(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  const uint64_t address = pool_open_inbox(call.door->holder);
  return address == 0 ? call.failure(POOL_NO_MEMORY) : call.number(static_cast<double>(address), true);
}

napi_value closeInbox(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  if (!call.gone()) pool_close_inbox(call.door->holder, addressAt(call));
  return nullptr;
}

napi_value send(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  const double address = call.number(3);
  const bool possible = address >= 1 && address < 9007199254740992.0;
  return call.failure(possible ? pool_send(call.door->holder, call.uint32(0), call.size(1), call.number(2),
                                           static_cast<uint64_t>(address))
                               : POOL_STALE);
}

napi_value receive(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  if (call.gone()) return call.failure(POOL_DEAD);
  uint32_t place = 0;
  size_t size = 0;
  double note = 0;
  const enum pool_status status = pool_receive(call.door->holder, addressAt(call), &place, &size, &note);
  if (status != POOL_OK) return call.failure(status);
  setSecond(call.door, size);
  std::memcpy(call.door->holder->stock + HEAD_THIRD, &note, sizeof note);
  return call.integer(static_cast<int32_t>(place));
}

napi_value third(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  double value = 0;
  if (!call.gone()) std::memcpy(&value, call.door->holder->stock + HEAD_THIRD, sizeof value);
  return call.number(value, true);
}

} // namespace pools
