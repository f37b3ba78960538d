/* arguments.cc: what JavaScript passes, checked before any of it reaches the allocator. */

#include "arguments.h"

#include <atomic>
#include <cmath>
#include <cstdio>

namespace {

/* Written by setMaxSize(), with the same value in every environment. */
std::atomic<double> maxSize{4294967296.0};

std::string describe(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", number);
  return text;
}

bool toInteger(Napi::Env env, napi_value value, const char *name, double most, double *number) {
  if (napi_get_value_double(env, value, number) != napi_ok) {
    throwError(env, ErrorCode::ERR_INVALID_ARG_TYPE, std::string(name) + " must be a number");
    return false;
  }
  if (!(*number >= 0 && *number <= most) || std::floor(*number) != *number) {
    throwError(env, ErrorCode::ERR_OUT_OF_RANGE,
               std::string(name) + " must be an integer from 0 to " + describe(most) + "; received " + describe(*number));
    return false;
  }
  return true;
}

/* The ArrayBuffer itself or the one under a view; NULL if it is neither. */
napi_value bufferOf(napi_env env, napi_value value) {
  bool is = false;
  if (napi_is_arraybuffer(env, value, &is) == napi_ok && is) return value;
  napi_value buffer = nullptr;
  if (napi_is_typedarray(env, value, &is) == napi_ok && is) {
    napi_get_typedarray_info(env, value, nullptr, nullptr, nullptr, &buffer, nullptr);
  } else if (napi_is_dataview(env, value, &is) == napi_ok && is) {
    napi_get_dataview_info(env, value, nullptr, nullptr, &buffer, nullptr);
  }
  return buffer;
}

} // namespace

void setMaxSize(const Napi::CallbackInfo &info) { maxSize = info[0].As<Napi::Number>().DoubleValue(); }

bool requireNative(Napi::Env env) {
  if (!tableOf(env).externalForbidden) return true;
  throwError(env, ErrorCode::ERR_NATIVE_FORBIDDEN, "this runtime forbids ArrayBuffers over native memory");
  return false;
}

bool toSize(Napi::Env env, napi_value value, const char *name, size_t *size) {
  double number = 0;
  if (!toInteger(env, value, name, maxSize, &number)) return false;
  *size = static_cast<size_t>(number);
  return true;
}

bool toProduct(Napi::Env env, napi_value count, napi_value size, size_t *product) {
  double countNumber = 0;
  double sizeNumber = 0;
  if (!toInteger(env, count, "count", maxSize, &countNumber)) return false;
  if (!toInteger(env, size, "size", maxSize, &sizeNumber)) return false;
  /* A product beyond 2^53 is inexact, and beyond every maxSize as well. */
  const double bytes = countNumber * sizeNumber;
  if (bytes > maxSize) {
    throwError(env, ErrorCode::ERR_OUT_OF_RANGE,
               "count * size must be at most " + describe(maxSize) + "; received " + describe(bytes));
    return false;
  }
  *product = static_cast<size_t>(bytes);
  return true;
}

bool toAlignment(Napi::Env env, napi_value value, size_t *alignment) {
  if (!toSize(env, value, "alignment", alignment)) return false;
  if (*alignment != 0 && (*alignment & (*alignment - 1)) == 0) return true;
  throwError(env, ErrorCode::ERR_OUT_OF_RANGE,
             "alignment must be a power of two; received " + std::to_string(*alignment));
  return false;
}

bool toBlock(Napi::Env env, napi_value value, ErrorCode detached, BlockTable::Entry **block, napi_value *buffer) {
  *buffer = bufferOf(env, value);
  if (*buffer == nullptr) {
    throwError(env, ErrorCode::ERR_INVALID_ARG_TYPE, "block must be an ArrayBuffer or a view of one");
    return false;
  }
  void *memory = nullptr;
  size_t length = 0;
  /* It fails for the SharedArrayBuffer under a view, which no block has. */
  if (napi_get_arraybuffer_info(env, *buffer, &memory, &length) == napi_ok) {
    BlockTable::Entry *found = memory == nullptr ? nullptr : tableOf(env).find(memory);
    if (found != nullptr && found->size == length) {
      *block = found;
      return true;
    }
    bool isDetached = false;
    if (napi_is_detached_arraybuffer(env, *buffer, &isDetached) == napi_ok && isDetached) {
      throwError(env, detached, "the block was freed, resized or handed over before");
      return false;
    }
  }
  throwError(env, ErrorCode::ERR_FOREIGN_BUFFER, "the buffer is not a block of this thread's buddymalloc");
  return false;
}

bool detachBlock(Napi::Env env, napi_value buffer) {
  if (detachBuffer(env, buffer)) return true;
  throwError(env, ErrorCode::ERR_FOREIGN_BUFFER, "the buffer cannot be detached: it was marked as untransferable");
  return false;
}
