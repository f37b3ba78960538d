/* pools.h: the pools of the process, as JavaScript opens them. */
#ifndef BM_ADDON_POOLS_H
#define BM_ADDON_POOLS_H

#include <napi.h>

/* poolOpen(name, config, limit, regionOrder, alignment, mayCreate, notify, keepsOwn, freedAs): an object with the functions of one pool
 * for this environment, or undefined if there is none of this name and none may be made, or there is no memory for one. `freedAs` is the
 * byte that freed memory is filled with, or below 0. */
Napi::Value poolOpen(const Napi::CallbackInfo &info);

#endif
