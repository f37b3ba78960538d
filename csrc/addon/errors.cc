/* errors.cc: JavaScript exceptions with a code from the one table. */
#include "errors.h"

#include "block-table.h"

namespace {

enum class ErrorClass { TypeError, RangeError, BuddyMallocError };

struct Entry {
  const char *code;
  ErrorClass kind;
};

constexpr Entry kEntries[] = {
#define BM_ERROR(code, kind) {#code, ErrorClass::kind},
#include "errors.def"
#undef BM_ERROR
};

} // namespace

void throwError(Napi::Env env, ErrorCode code, const std::string &message) {
  const Entry &entry = kEntries[static_cast<size_t>(code)];
  switch (entry.kind) {
  case ErrorClass::TypeError:
    napi_throw_type_error(env, entry.code, message.c_str());
    return;
  case ErrorClass::RangeError:
    napi_throw_range_error(env, entry.code, message.c_str());
    return;
  case ErrorClass::BuddyMallocError:
    break;
  }
  Napi::FunctionReference &constructor = tableOf(env).errorClass();
  if (constructor.IsEmpty()) {
    napi_throw_error(env, entry.code, message.c_str());
    return;
  }
  const napi_value words[] = {Napi::String::New(env, entry.code), Napi::String::New(env, message)};
  napi_value error = nullptr;
  /* Where it cannot be made, for want of stack or because the thread is being terminated, another exception is pending. */
  if (napi_new_instance(env, constructor.Value(), 2, words, &error) == napi_ok) napi_throw(env, error);
}

Napi::Value errorCodes(const Napi::CallbackInfo &info) {
  const Napi::Array codes = Napi::Array::New(info.Env());
  uint32_t index = 0;
  for (const Entry &entry : kEntries) napi_set_element(info.Env(), codes, index++, Napi::String::New(info.Env(), entry.code));
  return codes;
}

Napi::Value registerErrorClass(const Napi::CallbackInfo &info) {
  Napi::FunctionReference &constructor = tableOf(info.Env()).errorClass();
  if (constructor.IsEmpty()) constructor = Napi::Persistent(info[0].As<Napi::Function>());
  return constructor.Value();
}
