/* handover.h: blocks on their way from one environment to another. */
#ifndef BM_ADDON_HANDOVER_H
#define BM_ADDON_HANDOVER_H

#include <napi.h>

/* handover(block): take the block out of this environment and return its handle, a number that postMessage carries. */
Napi::Value handover(const Napi::CallbackInfo &info);
/* handoverCopy(arrayBuffer): the same for a block in JavaScript's own memory, which the caller frees. */
Napi::Value handoverCopy(const Napi::CallbackInfo &info);
/* adopt(handle): the block as an ArrayBuffer of this environment, undefined if it has no bytes. A handle works
 * once. */
Napi::Value adopt(const Napi::CallbackInfo &info);
/* handoversWaiting(): handles that nobody has adopted yet. */
Napi::Value handoversWaiting(const Napi::CallbackInfo &info);

#endif
