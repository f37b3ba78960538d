# The compiler's and the linker's flags, each in one place.

include(CheckCCompilerFlag)

set(BUDDYMALLOC_WARNINGS
  -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wcast-qual -Wvla)
# libc's headers declare its names with types of their own, and C's none of C++'s: these define them without.
set_source_files_properties(csrc/preload.c csrc/preload_cxx.c PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes)
# The tests have the linker lead its calls elsewhere (--wrap), which gcc's link-time optimisation does not see.
if(BUDDYMALLOC_TESTS)
  set_source_files_properties(csrc/sys.c PROPERTIES COMPILE_OPTIONS -fno-lto)
endif()
if(BUDDYMALLOC_WERROR)
  list(APPEND BUDDYMALLOC_WARNINGS -Werror)
endif()

# The compiler must not take the allocator's functions, or the calls that test them, for libc's.
set(BUDDYMALLOC_NO_BUILTIN
  -fno-builtin-malloc -fno-builtin-free -fno-builtin-calloc -fno-builtin-realloc
  -fno-builtin-reallocarray -fno-builtin-memalign -fno-builtin-aligned_alloc
  -fno-builtin-posix_memalign -fno-builtin-valloc -fno-builtin-pvalloc)

if(BUDDYMALLOC_SANITIZE)
  add_compile_options(-fsanitize=${BUDDYMALLOC_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${BUDDYMALLOC_SANITIZE})
  if(BUDDYMALLOC_SANITIZE MATCHES undefined)
    add_compile_options(-fno-sanitize-recover=all)
  endif()
endif()

# -O2 whatever the kind of release build: the figures of the documentation are measured with it.
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")

function(buddymalloc_flags target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11
    C_STANDARD_REQUIRED ON
    C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden
    POSITION_INDEPENDENT_CODE ON)
  # initial-exec: one load finds the thread's arena, and a preloaded library is there at the start.
  target_compile_options(${target} PRIVATE ${BUDDYMALLOC_WARNINGS} ${BUDDYMALLOC_NO_BUILTIN}
    -ftls-model=initial-exec)
  # The tests offer what the build has, so they must know its variant.
  target_compile_definitions(${target} PUBLIC
    "$<BUILD_INTERFACE:BM_PLAIN_BUDDY=$<BOOL:${BUDDYMALLOC_PLAIN_BUDDY}>>")
endfunction()

# nodelete: a thread may still end after dlclose(), and its arena with it.
# Bsymbolic-functions: a call inside the library takes no detour through the PLT.
# gc-sections: the pool is the addon's; what the library does not call takes none of its pages.
function(buddymalloc_link_flags target)
  target_compile_options(${target} PRIVATE -fno-semantic-interposition -fno-plt
    -ffunction-sections -fdata-sections)
  target_link_options(${target} PRIVATE LINKER:-z,relro,-z,now,-z,noexecstack,-z,nodelete
    LINKER:-Bsymbolic-functions,--gc-sections LINKER:--as-needed
    # See csrc/preload.c.
    LINKER:--defsym=malloc=bm_malloc,--defsym=free=bm_free)
  if(NOT BUDDYMALLOC_SANITIZE)
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
endfunction()
