/* addon.cc: the addon's entry: one BlockTable for each environment, and the functions. */
#include <napi.h>

#include "arguments.h"
#include "block-table.h"
#include "blocks.h"
#include "errors.h"
#include "handover.h"
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
  tableOf(info.Env()).externalForbidden = info[0].ToBoolean().Value();
}

Napi::Value externalForbidden(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), tableOf(info.Env()).externalForbidden);
}

void closeTable(napi_env, void *data, void *) { static_cast<BlockTable *>(data)->close(); }

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  if (napi_set_instance_data(env, new BlockTable(env), closeTable, nullptr) != napi_ok) return exports;
  exports.Set("malloc", Napi::Function::New<allocate>(env));
  exports.Set("calloc", Napi::Function::New<allocateZeroed>(env));
  exports.Set("alignedAlloc", Napi::Function::New<allocateAligned>(env));
  exports.Set("realloc", Napi::Function::New<reallocate>(env));
  exports.Set("reallocArray", Napi::Function::New<reallocateArray>(env));
  exports.Set("free", Napi::Function::New<release>(env));
  exports.Set("usableSize", Napi::Function::New<usableSize>(env));
  exports.Set("detach", Napi::Function::New<detach>(env));
  exports.Set("handover", Napi::Function::New<handover>(env));
  exports.Set("handoverCopy", Napi::Function::New<handoverCopy>(env));
  exports.Set("adopt", Napi::Function::New<adopt>(env));
  exports.Set("handoversWaiting", Napi::Function::New<handoversWaiting>(env));
  exports.Set("mallinfo", Napi::Function::New<mallinfo>(env));
  exports.Set("mallocStats", Napi::Function::New<mallocStats>(env));
  exports.Set("mallocInfo", Napi::Function::New<mallocInfo>(env));
  exports.Set("mallocTrim", Napi::Function::New<mallocTrim>(env));
  exports.Set("mallocCheck", Napi::Function::New<mallocCheck>(env));
  exports.Set("poolOpen", Napi::Function::New<poolOpen>(env));
  exports.Set("errorCodes", Napi::Function::New<errorCodes>(env));
  exports.Set("registerErrorClass", Napi::Function::New<registerErrorClass>(env));
  exports.Set("setMaxSize", Napi::Function::New<setMaxSize>(env));
  exports.Set("onBacklog", Napi::Function::New<onBacklog>(env));
  exports.Set("forbidExternal", Napi::Function::New<forbidExternal>(env));
  exports.Set("externalForbidden", Napi::Function::New<externalForbidden>(env));
  exports.Set("turned", Napi::Function::New<turned>(env));
  return exports;
}

} // namespace

NODE_API_MODULE(buddymalloc, initialize)
