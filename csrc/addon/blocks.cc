/* blocks.cc: malloc and its siblings, as JavaScript calls them. */
#include "blocks.h"

#include <cstring>

#include "arguments.h"
#include "block-table.h"
#include "buddymalloc.h"
#include "errors.h"

namespace {

Napi::Value outOfMemory(Napi::Env env, size_t size) {
  throwError(env, ErrorCode::ERR_OUT_OF_MEMORY, "no memory for a block of " + std::to_string(size) + " bytes");
  return {};
}

/* An ArrayBuffer over `memory`, the answer of the allocator to a request of `size` bytes. */
Napi::Value wrapOrThrow(Napi::Env env, void *memory, size_t size) {
  if (memory == nullptr) return outOfMemory(env, size);
  napi_value buffer = tableOf(env).wrap(memory, size);
  return buffer == nullptr ? env.Undefined() : Napi::Value(env, buffer);
}

/* False if this block should come from JavaScript's own memory. */
bool mayBeNative(Napi::Env env, size_t size) {
  BlockTable &table = tableOf(env);
  if (!table.externalForbidden && table.roomForMore(size)) return true;
  ++table.counters().onHeap;
  return false;
}

/* Where it is not known beforehand that the old one can be detached, it must be allocated until it is. */
Napi::Value resizeByCopy(Napi::Env env, BlockTable::Entry *block, napi_value buffer, size_t size) {
  void *memory = bm_malloc(size);
  if (memory == nullptr) return outOfMemory(env, size);
  std::memcpy(memory, block->memory, size < block->size ? size : block->size);
  if (!detachBlock(env, buffer)) {
    bm_free(memory);
    return {};
  }
  bm_free(tableOf(env).release(block));
  return wrapOrThrow(env, memory, size);
}

Napi::Value resize(Napi::Env env, napi_value value, size_t size) {
  BlockTable::Entry *block = nullptr;
  napi_value buffer = nullptr;
  if (!toBlock(env, value, ErrorCode::ERR_USE_AFTER_FREE, &block, &buffer)) return {};
  if (mayRefuseToDetach(env)) return resizeByCopy(env, block, buffer, size);
  /* One byte for none: bm_realloc(p, 0) would free. */
  void *memory = bm_realloc(block->memory, size == 0 ? 1 : size);
  if (memory == nullptr) return outOfMemory(env, size);
  tableOf(env).release(block);
  /* Nothing can be undone here: memory that a view may still reach stays allocated. */
  if (!detachBlock(env, buffer)) return {};
  return wrapOrThrow(env, memory, size);
}

} // namespace

Napi::Value allocate(const Napi::CallbackInfo &info) {
  size_t size = 0;
  if (!toSize(info.Env(), info[0], "size", &size)) return {};
  if (!mayBeNative(info.Env(), size)) return info.Env().Undefined();
  return wrapOrThrow(info.Env(), bm_malloc(size), size);
}

Napi::Value allocateZeroed(const Napi::CallbackInfo &info) {
  size_t size = 0;
  if (!toProduct(info.Env(), info[0], info[1], &size)) return {};
  if (!mayBeNative(info.Env(), size)) return info.Env().Undefined();
  return wrapOrThrow(info.Env(), bm_calloc(1, size), size);
}

Napi::Value allocateAligned(const Napi::CallbackInfo &info) {
  size_t alignment = 0;
  size_t size = 0;
  if (!toAlignment(info.Env(), info[0], &alignment) || !toSize(info.Env(), info[1], "size", &size)) return {};
  if (!requireNative(info.Env())) return {};
  /* JavaScript's own memory cannot be aligned, so this one may go over the bound. */
  tableOf(info.Env()).roomForMore(size);
  return wrapOrThrow(info.Env(), bm_memalign(alignment, size), size);
}

Napi::Value reallocate(const Napi::CallbackInfo &info) {
  size_t size = 0;
  if (!toSize(info.Env(), info[1], "size", &size)) return {};
  return resize(info.Env(), info[0], size);
}

Napi::Value reallocateArray(const Napi::CallbackInfo &info) {
  size_t size = 0;
  if (!toProduct(info.Env(), info[1], info[2], &size)) return {};
  return resize(info.Env(), info[0], size);
}

void release(const Napi::CallbackInfo &info) {
  BlockTable::Entry *block = nullptr;
  napi_value buffer = nullptr;
  if (!toBlock(info.Env(), info[0], ErrorCode::ERR_DOUBLE_FREE, &block, &buffer)) return;
  /* Detach first: no view may reach the memory once the allocator has it. */
  if (detachBlock(info.Env(), buffer)) bm_free(tableOf(info.Env()).release(block));
}

Napi::Value usableSize(const Napi::CallbackInfo &info) {
  BlockTable::Entry *block = nullptr;
  napi_value buffer = nullptr;
  if (!toBlock(info.Env(), info[0], ErrorCode::ERR_USE_AFTER_FREE, &block, &buffer)) return {};
  return Napi::Number::New(info.Env(), static_cast<double>(bm_malloc_usable_size(block->memory)));
}

void detach(const Napi::CallbackInfo &info) { detachBuffer(info.Env(), info[0]); }
