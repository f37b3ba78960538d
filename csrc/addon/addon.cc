/* addon.cc: the addon's entry: one BlockTable for each environment, and the functions. */
#include <napi.h>

#include "arguments.h"
#include "block-table.h"
#include "blocks.h"
#include "errors.h"
#include "handover.h"
#include "objects.h"
#include "pools.h"
#include "stats.h"

namespace {

/* onBacklog(callback): called once when many blocks were made without a turn of the event loop; it should see to it that
 * turned() is called from the event loop. */
void onBacklog(const Napi::CallbackInfo &info) {
  Napi::FunctionReference &callback = tableOf(info.Env()).onBacklog();
  if (callback.IsEmpty()) callback = Napi::Persistent(info[0].As<Napi::Function>());
}

void turned(const Napi::CallbackInfo &info) { tableOf(info.Env()).turned(); }

/* forbidExternal(forbidden): behave as a runtime that forbids native blocks, or no longer; for tests. */
void forbidExternal(const Napi::CallbackInfo &info) {
  napi_get_value_bool(info.Env(), info[0], &tableOf(info.Env()).externalForbidden);
}

Napi::Value externalForbidden(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), tableOf(info.Env()).externalForbidden);
}

/* detachWith(transfer): ArrayBuffers are to be detached by ArrayBuffer.prototype.transfer. */
void detachWith(const Napi::CallbackInfo &info) {
  MoveWatch &moves = tableOf(info.Env()).moves();
  if (moves.transfer == nullptr) napi_create_reference(info.Env(), info[0], 1, &moves.transfer);
}

/* What lib/binding.ts expects of the addon; to be raised there as well whenever a function is added, or its call changes. */
constexpr int kInterface = 3;

void closeTable(napi_env, void *data, void *) { static_cast<BlockTable *>(data)->close(); }

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  if (napi_set_instance_data(env, new BlockTable(env), closeTable, nullptr) != napi_ok) return exports;
  defineFunction<allocate>(env, exports, "malloc");
  defineFunction<allocateZeroed>(env, exports, "calloc");
  defineFunction<allocateAligned>(env, exports, "alignedAlloc");
  defineFunction<reallocate>(env, exports, "realloc");
  defineFunction<reallocateArray>(env, exports, "reallocArray");
  defineFunction<release>(env, exports, "free");
  defineFunction<usableSize>(env, exports, "usableSize");
  defineFunction<detach>(env, exports, "detach");
  defineFunction<handover>(env, exports, "handover");
  defineFunction<handoverCopy>(env, exports, "handoverCopy");
  defineFunction<adopt>(env, exports, "adopt");
  defineFunction<handoversWaiting>(env, exports, "handoversWaiting");
  defineFunction<mallinfo>(env, exports, "mallinfo");
  defineFunction<mallocStats>(env, exports, "mallocStats");
  defineFunction<mallocInfo>(env, exports, "mallocInfo");
  defineFunction<mallocTrim>(env, exports, "mallocTrim");
  defineFunction<mallocCheck>(env, exports, "mallocCheck");
  defineFunction<poolOpen>(env, exports, "poolOpen");
  defineFunction<errorCodes>(env, exports, "errorCodes");
  defineFunction<registerErrorClass>(env, exports, "registerErrorClass");
  defineFunction<setMaxSize>(env, exports, "setMaxSize");
  defineFunction<onBacklog>(env, exports, "onBacklog");
  defineFunction<forbidExternal>(env, exports, "forbidExternal");
  defineFunction<externalForbidden>(env, exports, "externalForbidden");
  defineFunction<detachWith>(env, exports, "detachWith");
  defineFunction<turned>(env, exports, "turned");
  define(env, exports, "interface", Napi::Number::New(env, kInterface));
  return exports;
}

} // namespace

NODE_API_MODULE(buddymalloc, initialize)
