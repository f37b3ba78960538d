# Builds whose blocks a tool knows: see csrc/client.h.

set(BUDDYMALLOC_CLIENT_SOURCES)
if(BUDDYMALLOC_VALGRIND OR BUDDYMALLOC_ASAN)
  if(BUDDYMALLOC_ASAN AND BUDDYMALLOC_SANITIZE)
    message(FATAL_ERROR "BUDDYMALLOC_ASAN is for programs: the library itself must not be built with a sanitizer.")
  endif()
  if(BUDDYMALLOC_VALGRIND)
    include(CheckIncludeFile)
    check_include_file(valgrind/memcheck.h BUDDYMALLOC_HAS_MEMCHECK_H)
    if(NOT BUDDYMALLOC_HAS_MEMCHECK_H)
      message(FATAL_ERROR "BUDDYMALLOC_VALGRIND needs <valgrind/memcheck.h>; Debian's package: valgrind")
    endif()
  endif()
  set(BUDDYMALLOC_CLIENT_SOURCES csrc/client.c)
  add_compile_definitions(BM_VALGRIND=$<BOOL:${BUDDYMALLOC_VALGRIND}> BM_ASAN=$<BOOL:${BUDDYMALLOC_ASAN}>)
  # The core's verbs get names of their own.
  set_source_files_properties(${BUDDYMALLOC_SOURCES} PROPERTIES
    COMPILE_OPTIONS "-include;${PROJECT_SOURCE_DIR}/csrc/client.h")
endif()
