/* preload_cxx.c: C++'s sized operators delete, in the shared library only.
 *
 * The C++ library's forget the size on their way to free(); here it is looked at first. A program may replace each operator on
 * its own, and those of the C++ library call whatever stands in place of the others. So the size is looked at as long as
 * every operator is the C++ library's, whose new calls malloc(); otherwise the call goes where it would go if this
 * library were not there. New is not replaced: its handler and its exceptions are the C++ library's.
 *
 * Owner:     `is_plain` and `places` are set at the start, or by the first call, whoever makes it; always to the same.
 * Cost:      nothing in a program without C++; else some thirty dlsym() at the start, and a branch a call. */
#define _GNU_SOURCE
#include "include/buddymalloc.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

/* Every operator that a sized delete counts on, where the linker finds it first: the program's own, if it has one. Weak:
 * most programs have none. Their types are C++'s, and none is called as what it is declared here. */
#define OPERATORS(each)                                                                                        \
  each(_Znwm) each(_Znam) each(_ZnwmRKSt9nothrow_t) each(_ZnamRKSt9nothrow_t) each(_ZnwmSt11align_val_t)       \
  each(_ZnamSt11align_val_t) each(_ZnwmSt11align_val_tRKSt9nothrow_t) each(_ZnamSt11align_val_tRKSt9nothrow_t) \
  each(_ZdlPv) each(_ZdaPv) each(_ZdlPvSt11align_val_t) each(_ZdaPvSt11align_val_t)

#define DECLARE(name) void name(void) __attribute__((weak));
OPERATORS(DECLARE)

#define ROW(name) {#name, name},
static const struct {
  const char *name;
  void (*place)(void);
} operators[] = {OPERATORS(ROW)};

enum form { ONE, ARRAY, ALIGNED, ALIGNED_ARRAY, FORMS };
static const char *const forms[FORMS] = {"_ZdlPvm", "_ZdaPvm", "_ZdlPvmSt11align_val_t", "_ZdaPvmSt11align_val_t"};

#define NOWHERE ((uintptr_t)1)
static int is_plain;            /* 1 once every operator is known to be the C++ library's */
static uintptr_t places[FORMS]; /* where the calls go otherwise; 0 before that is known, NOWHERE if there is none of them */

static uintptr_t find(void *library, const char *name) { return (uintptr_t)dlsym(library, name); }

static int is_cxx_library(struct dl_phdr_info *info, size_t bytes, void *path) {
  static const char *const names[] = {"/libstdc++.so", "/libc++.so", "/libc++abi.so"};
  (void)bytes;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strstr(info->dlpi_name, names[i]) == NULL) continue;
    *(const char **)path = info->dlpi_name;
    return 1;
  }
  return 0;
}

/* The C++ library, if it is loaded; it stays loaded from now on. */
static void *cxx_library(void) {
  const char *path;
  return dl_iterate_phdr(is_cxx_library, &path) == 0 ? NULL : dlopen(path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

static int has_all(void *library) {
  for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
    if ((uintptr_t)operators[i].place != find(library, operators[i].name)) return 0;
  for (size_t i = 0; i < FORMS; i++)
    if (find(RTLD_NEXT, forms[i]) != find(library, forms[i])) return 0;
  return 1;
}

__attribute__((constructor)) static void look_at_operators(void) {
  if (_Znwm == NULL) return; /* no C++, so far */
  void *library = cxx_library();
  /* relaxed: who does not see it yet passes the call on, which frees the block too. */
  if (library != NULL && has_all(library)) __atomic_store_n(&is_plain, 1, __ATOMIC_RELAXED);
}

static int has_plain_operators(void) { return __builtin_expect(__atomic_load_n(&is_plain, __ATOMIC_RELAXED), 1) != 0; }

/* Where a call would go without this library: to the next one's, or, in a program that loaded its C++ library late, to
 * that. */
static uintptr_t look_up(enum form form) {
  uintptr_t place = _Znwm != NULL ? find(RTLD_NEXT, forms[form]) : 0;
  void *library = place == 0 ? cxx_library() : NULL;
  if (library != NULL) place = find(library, forms[form]);
  return place != 0 ? place : NOWHERE;
}

static uintptr_t place_of(enum form form) {
  uintptr_t place = __atomic_load_n(&places[form], __ATOMIC_RELAXED);
  if (place != 0) return place;
  place = look_up(form);
  __atomic_store_n(&places[form], place, __ATOMIC_RELAXED);
  return place;
}

/* There is no sized delete but ours where the C++ library is within a program that was linked with this one, or within a library that
 * a C program has loaded. The call goes where C++'s would: to the operator without a size, of which the program's may be known, or to free(). */
typedef void (*unsized)(void *);
typedef void (*unsized_aligned)(void *, size_t);
static void forget_size(enum form form, void *block) {
  unsized place = (unsized)(form == ARRAY && _ZdaPv != NULL ? _ZdaPv : _ZdlPv);
  (place != NULL ? place : bm_free)(block);
}
static void forget_size_aligned(enum form form, void *block, size_t alignment) {
  int is_array = form == ALIGNED_ARRAY && _ZdaPvSt11align_val_t != NULL;
  unsized_aligned place = (unsized_aligned)(is_array ? _ZdaPvSt11align_val_t : _ZdlPvSt11align_val_t);
  if (place != NULL)
    place(block, alignment);
  else
    bm_free(block);
}

static __attribute__((noinline)) void pass_on(enum form form, void *block, size_t size) {
  uintptr_t place = place_of(form);
  if (place == NOWHERE)
    forget_size(form, block);
  else
    ((void (*)(void *, size_t))place)(block, size);
}
static __attribute__((noinline)) void pass_on_aligned(enum form form, void *block, size_t size, size_t alignment) {
  uintptr_t place = place_of(form);
  if (place == NOWHERE)
    forget_size_aligned(form, block, alignment);
  else
    ((void (*)(void *, size_t, size_t))place)(block, size, alignment);
}

static inline void delete_sized(enum form form, void *block, size_t size) {
  if (has_plain_operators())
    bm_delete_sized(block, size);
  else
    pass_on(form, block, size);
}
static inline void delete_aligned(enum form form, void *block, size_t size, size_t alignment) {
  if (has_plain_operators())
    bm_delete_aligned_sized(block, alignment, size);
  else
    pass_on_aligned(form, block, size, alignment);
}

BM_API void _ZdlPvm(void *block, size_t size) { delete_sized(ONE, block, size); }
BM_API void _ZdaPvm(void *block, size_t size) { delete_sized(ARRAY, block, size); }
BM_API void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment) { delete_aligned(ALIGNED, block, size, alignment); }
BM_API void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment) {
  delete_aligned(ALIGNED_ARRAY, block, size, alignment);
}
