/** Other compilers, another C library, another machine: built with warnings as errors, and run. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../build/project.ts';
import { canTest } from '../left-out.ts';
import { build, failures, run, runWell, threadFailures } from './build.ts';

const SECONDS = 300_000;
const QUICK = ['aligned_test', 'block_test', 'calloc_test', 'chunk_test', 'free_test', 'malloc_test', 'orphan_test'];
const STATIC_TARGETS = ['test-static', 'producer-consumer-static', 'strangers-static', 'thread-churn-static'];
const TARGETS = [...STATIC_TARGETS, 'owner-ended-static', 'buddymalloc_shared', 'producer-consumer-libc'];
const PRELOADED = /^producer-consumer: \d+ blocks, .*all free again\n$/;

/** Two of the ends of `npm run matrix`; gcc with -O2 is what all other tests run. */
const COMPILERS = [
  { compiler: 'gcc', cxx: 'g++', debian: 'gcc', flags: '-O0' },
  { compiler: 'clang', cxx: 'clang++', debian: 'clang', flags: '-O3 -flto' },
];
for (const { compiler, cxx, debian, flags } of COMPILERS) {
  if (!canTest(compiler, debian, `the C tests built by ${compiler}`)) continue;
  test(
    `the C tests pass as ${compiler} ${flags} builds them`,
    () => {
      const folder = build(compiler, ['test-static'], {
        CMAKE_C_COMPILER: compiler,
        CMAKE_CXX_COMPILER: cxx,
        CMAKE_BUILD_TYPE: 'None',
        CMAKE_C_FLAGS: flags,
        CMAKE_CXX_FLAGS: flags,
        ...(flags.includes('lto') ? { CMAKE_EXE_LINKER_FLAGS: '-fuse-ld=lld' } : {}),
      });
      expect(failures([join(folder, 'tests/test-static')], [...QUICK, 'wander'])).toEqual([]);
    },
    SECONDS,
  );
}

if (canTest('musl-gcc', 'musl-tools', 'the library on musl'))
  describe('on musl', () => {
    let folder = '';
    beforeAll(() => {
      // Debian's compiler for musl finds no kernel headers of its own.
      const kernel = runWell(['gcc', '-print-multiarch']).trim();
      folder = build('musl', TARGETS, {
        CMAKE_C_COMPILER: 'musl-gcc',
        CMAKE_C_FLAGS: `-idirafter /usr/include -idirafter /usr/include/${kernel}`,
        BUDDYMALLOC_CXX: 'OFF',
      });
    }, SECONDS);

    test(
      'the C tests pass with the static library',
      () => {
        const words = [...QUICK, 'misuse_test', 'fork_test', 'stats_test', 'options_test', 'early_test', 'thread_test'];
        expect(failures([join(folder, 'tests/test-static')], words)).toEqual([]);
      },
      SECONDS,
    );
    test('the programs of threads end well', () => expect(threadFailures(folder)).toEqual([]));
    test('a program runs with the library preloaded', () => {
      const program = join(folder, 'thread-test/producer-consumer-libc');
      expect(runWell([program, '2000'], { LD_PRELOAD: join(folder, 'libbuddymalloc.so') })).toMatch(PRELOADED);
    });
  });

if (canTest('aarch64-linux-gnu-gcc', 'gcc-aarch64-linux-gnu', 'the library on aarch64'))
  if (canTest('qemu-aarch64', 'qemu-user', 'the library on aarch64'))
    describe('on aarch64, simulated by qemu', () => {
      let folder = '';
      const QEMU = ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu'];
      beforeAll(() => {
        folder = build('aarch64', TARGETS, {
          CMAKE_SYSTEM_NAME: 'Linux',
          CMAKE_SYSTEM_PROCESSOR: 'aarch64',
          CMAKE_C_COMPILER: 'aarch64-linux-gnu-gcc',
          BUDDYMALLOC_CXX: 'OFF',
        });
      }, SECONDS);

      test(
        'the C tests pass with the static library',
        () => {
          // qemu cannot limit addresses, and a simulated program cannot start itself anew.
          const words = [...QUICK, 'misuse_test', 'stats_test', 'wander', 'realloc(NULL', 'after the thread'];
          expect(failures([...QEMU, join(folder, 'tests/test-static')], words, { TEST_INSTRUMENTED: '1' })).toEqual([]);
        },
        SECONDS,
      );
      test('the programs of threads end well', () => expect(threadFailures(folder, QEMU)).toEqual([]), SECONDS);
      test('a program runs with the library preloaded', () => {
        const preload = ['-E', `LD_PRELOAD=${join(folder, 'libbuddymalloc.so')}`];
        const program = join(folder, 'thread-test/producer-consumer-libc');
        expect(runWell([...QEMU, ...preload, program, '2000'])).toMatch(PRELOADED);
      });
      test.each(['16384', '65536'])(
        'the C tests pass with pages of %s bytes',
        (bytes) => {
          const words = ['malloc_test', 'aligned_test', 'calloc_test', 'orphanage was locked', 'wander'];
          expect(failures([...QEMU, '-p', bytes, join(folder, 'tests/test-static')], words)).toEqual([]);
        },
        SECONDS,
      );
    });

describe('a build for 32 bits', () => {
  test('fails at the first line that the compiler reads, with the reason', () => {
    const { status, text } = run(['gcc', '-m32', '-fsyntax-only', '-Wfatal-errors', join(ROOT, 'csrc/block.c')]);
    expect(status).not.toBe(0);
    expect(text).toContain('buddymalloc needs 64-bit addresses: its heap is a window of them');
  });
});
