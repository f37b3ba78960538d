/* blocks.h: malloc and its siblings, as JavaScript calls them. Each allocating function returns an ArrayBuffer, or undefined
 * if the block should come from JavaScript's own memory (see BlockTable::wrap and BlockTable::roomForMore). */
#ifndef BM_ADDON_BLOCKS_H
#define BM_ADDON_BLOCKS_H

#include <napi.h>

Napi::Value allocate(const Napi::CallbackInfo &info);        /* (size) */
Napi::Value allocateZeroed(const Napi::CallbackInfo &info);  /* (count, size) */
Napi::Value allocateAligned(const Napi::CallbackInfo &info); /* (alignment, size) */
Napi::Value reallocate(const Napi::CallbackInfo &info);      /* (block, size) */
Napi::Value reallocateArray(const Napi::CallbackInfo &info); /* (block, count, size) */
void release(const Napi::CallbackInfo &info);                /* (block) */
Napi::Value usableSize(const Napi::CallbackInfo &info);      /* (block) */

/* detach(arrayBuffer): for blocks in JavaScript's own memory. */
void detach(const Napi::CallbackInfo &info);

#endif
