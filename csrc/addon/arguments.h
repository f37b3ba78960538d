/* arguments.h: what JavaScript passes, checked before any of it reaches the allocator. */
#ifndef BM_ADDON_ARGUMENTS_H
#define BM_ADDON_ARGUMENTS_H

#include <napi.h>

#include "block-table.h"
#include "errors.h"

/* setMaxSize(bytes): the largest ArrayBuffer that this Node can make. */
void setMaxSize(const Napi::CallbackInfo &info);

/* Each returns false with an exception pending if the argument is not what it should be. */
bool toSize(Napi::Env env, napi_value value, const char *name, size_t *size);
/* True if this runtime allows native blocks, which the caller cannot do without. */
bool requireNative(Napi::Env env);
/* A count and a size whose product is a size. */
bool toProduct(Napi::Env env, napi_value count, napi_value size, size_t *product);
bool toAlignment(Napi::Env env, napi_value value, size_t *alignment);
/* A live block of this environment, given as its ArrayBuffer or any view of that; `buffer` is the ArrayBuffer.
 * `detached` is the error if the ArrayBuffer has been detached. */
bool toBlock(Napi::Env env, napi_value value, ErrorCode detached, BlockTable::Entry **block,
             napi_value *buffer);
/* Detach a block's ArrayBuffer: every view of it reads length 0 from here on. */
bool detachBlock(Napi::Env env, napi_value buffer);

#endif
