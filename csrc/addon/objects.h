/* objects.h: JavaScript objects filled, and functions made, through Node-API itself.
 *
 * A thread that is being terminated can run no JavaScript any more, from one call to the next, so that much of Node-API fails.
 * node-addon-api answers every failure with an Error object, and ends the process if it cannot make one. So what may fail is
 * called here without it, and a failure passed over: nobody is left to see the result. */
#ifndef BM_ADDON_OBJECTS_H
#define BM_ADDON_OBJECTS_H

#include <napi.h>

/* As an own property, whatever setters the program has put on Object.prototype. */
inline void define(napi_env env, napi_value object, const char *name, napi_value value) {
  const napi_property_descriptor descriptor = {name,    nullptr, nullptr, nullptr,
                                               nullptr, value,   napi_default_jsproperty, nullptr};
  napi_define_properties(env, object, 1, &descriptor);
}

inline void call(void (*function)(const Napi::CallbackInfo &), const Napi::CallbackInfo &info, napi_value *) {
  function(info);
}

inline void call(Napi::Value (*function)(const Napi::CallbackInfo &), const Napi::CallbackInfo &info, napi_value *result) {
  *result = function(info);
}

template <auto function> napi_value callback(napi_env env, napi_callback_info raw) {
  const Napi::CallbackInfo info(env, raw);
  napi_value result = nullptr;
  call(function, info, &result);
  return result;
}

template <auto function> void defineFunction(napi_env env, napi_value object, const char *name) {
  napi_value value = nullptr;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback<function>, nullptr, &value) == napi_ok)
    define(env, object, name, value);
}

#endif
