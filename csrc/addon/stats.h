/* stats.h: the allocator's figures for JavaScript. */
#ifndef BM_ADDON_STATS_H
#define BM_ADDON_STATS_H

#include <napi.h>

Napi::Value mallinfo(const Napi::CallbackInfo &info);    /* () -> an object of numbers */
Napi::Value mallocStats(const Napi::CallbackInfo &info); /* () -> text */
Napi::Value mallocInfo(const Napi::CallbackInfo &info);  /* () -> XML */
Napi::Value mallocTrim(const Napi::CallbackInfo &info);  /* () -> whether anything was given back */
Napi::Value mallocCheck(const Napi::CallbackInfo &info); /* () -> number of violations */

#endif
