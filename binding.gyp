{
  # The addon, and the preload library for those who install the package: node-gyp comes with npm, cmake does not.
  # The libraries of a clone are built from CMakeLists.txt; test/build compares the lists of sources.
  'variables': {
    'core_sources': [
      'csrc/aligned.c',
      'csrc/arena.c',
      'csrc/bitmap.c',
      'csrc/block.c',
      'csrc/calloc.c',
      'csrc/check.c',
      'csrc/chunk.c',
      'csrc/confine.c',
      'csrc/fatal.c',
      'csrc/fork.c',
      'csrc/free.c',
      'csrc/freelist.c',
      'csrc/heap.c',
      'csrc/huge.c',
      'csrc/large.c',
      'csrc/lock.c',
      'csrc/malloc.c',
      'csrc/options.c',
      'csrc/orphan.c',
      'csrc/os.c',
      'csrc/pool.c',
      'csrc/pool_check.c',
      'csrc/purge.c',
      'csrc/realloc.c',
      'csrc/region.c',
      'csrc/remote.c',
      'csrc/slot.c',
      'csrc/stats.c',
      'csrc/thread.c',
      'csrc/trim.c',
      'csrc/walk.c',
    ],
  },
  'target_defaults': {
    'include_dirs': ['csrc/include', 'csrc'],
    'cflags!': ['-O3'],
    # initial-exec: one load finds the thread's arena; a dlopened addon has little static TLS, and needs little.
    'cflags': ['-O2', '-fvisibility=hidden', '-ftls-model=initial-exec', '-fno-semantic-interposition', '-fno-plt'],
    'cflags_c': [
      '-std=c11',
      '-fno-builtin-malloc', '-fno-builtin-free', '-fno-builtin-calloc', '-fno-builtin-realloc',
      '-fno-builtin-reallocarray', '-fno-builtin-memalign', '-fno-builtin-aligned_alloc',
      '-fno-builtin-posix_memalign', '-fno-builtin-valloc', '-fno-builtin-pvalloc',
    ],
    # nodelete: a thread may still end after the last environment has closed the addon, and its arena with it.
    'ldflags': ['-Wl,-z,relro,-z,now,-z,noexecstack,-z,nodelete', '-Wl,-Bsymbolic-functions', '-Wl,--as-needed'],
    'libraries': ['-lpthread'],
  },
  'targets': [
    {
      'target_name': 'buddymalloc',
      'dependencies': ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api"],
      'defines': ['NAPI_VERSION=8'],
      'sources': [
        '<@(core_sources)',
        'csrc/addon/addon.cc',
        'csrc/addon/arguments.cc',
        'csrc/addon/blocks.cc',
        'csrc/addon/block-table.cc',
        'csrc/addon/errors.cc',
        'csrc/addon/handover.cc',
        'csrc/addon/pools.cc',
        'csrc/addon/stats.cc',
      ],
      # Only Node's entry points are exported, so that the functions of a preloaded libbuddymalloc.so never stand in
      # for those of this copy.
      'ldflags': ['-Wl,--version-script=<(module_root_dir)/csrc/addon/exports.map'],
    },
    {
      'target_name': 'libbuddymalloc',
      'type': 'shared_library',
      'product_prefix': 'lib',
      'product_name': 'buddymalloc',
      'sources': ['<@(core_sources)', 'csrc/preload.c'],
      # See csrc/preload.c.
      'ldflags': ['-Wl,--defsym=malloc=bm_malloc,--defsym=free=bm_free'],
    },
  ],
}
