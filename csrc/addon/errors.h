/* errors.h: JavaScript exceptions with a code from the one table, errors.def. */
#ifndef BM_ADDON_ERRORS_H
#define BM_ADDON_ERRORS_H

#include <napi.h>

#include <string>

enum class ErrorCode {
#define BM_ERROR(code, kind) code,
#include "errors.def"
#undef BM_ERROR
};

/* Leave an exception pending in `env`; the caller returns at once. */
void throwError(Napi::Env env, ErrorCode code, const std::string &message);

/* The names of all codes, in the order of the table. */
Napi::Value errorCodes(const Napi::CallbackInfo &info);

/* registerErrorClass(constructor): the class of BuddyMallocError, from lib/errors.ts. The first one of an environment
 * stays and is returned, so that the ESM and the CommonJS copy of the package throw the same class. */
Napi::Value registerErrorClass(const Napi::CallbackInfo &info);

#endif
