/** Other compilers, another C library, another machine: built with warnings as errors, and run. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../build/project.ts';
import { canTest, canUse } from '../left-out.ts';
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

const LIBCXX = ['-stdlib=libc++', '-fsyntax-only', '-include', 'new', '-x', 'c++', '/dev/null'];
const hasLibcxx = run(['clang++', ...LIBCXX]).status === 0;
if (canUse(hasLibcxx, 'libc++', 'libc++-dev', 'C++ programs with the C++ library of clang'))
  describe('with the C++ library of clang', () => {
    const REPLACED = ['nothing', 'new-and-delete', 'delete-alone', 'new-alone', 'arrays', 'aligned', 'every-sized'];
    const programs = [...REPLACED, 'host', 'library'].map((name) => `replaced-${name}`);
    const LIBRARIES = ['libbuddymalloc.so', 'libbuddymalloc-hardened.so'];
    let folder = '';
    beforeAll(() => {
      folder = build('libcxx', ['test-libc', 'buddymalloc_shared', 'buddymalloc_hardened', ...programs], {
        CMAKE_C_COMPILER: 'clang',
        CMAKE_CXX_COMPILER: 'clang++',
        CMAKE_CXX_FLAGS: '-stdlib=libc++',
      });
    }, SECONDS);
    const runReplaced = (name: string, env: NodeJS.ProcessEnv, ...args: string[]) =>
      run([join(folder, `tests/replaced-${name}`), ...args], env);

    test('the tests of operators and of loaded libraries pass with libc’s own malloc, which shows a wrong test', () => {
      expect(failures([join(folder, 'tests/test-libc')], ['operators_test', 'library_test'])).toEqual([]);
    });

    describe.each(LIBRARIES)('and %s', (library) => {
      const env = () => ({ LD_PRELOAD: join(folder, library) });

      test('the tests of operators and of loaded libraries pass', () => {
        expect(failures([join(folder, 'tests/test-libc')], ['operators_test', 'library_test'], env())).toEqual([]);
      });
      test.each(REPLACED)('a program that replaces %s ends as it does with libc’s own malloc', (name) => {
        const expected = runReplaced(name, {});
        expect(expected.status).toBe(0);
        expect(runReplaced(name, env())).toEqual(expected);
      });
      test('a wrong size ends a program that replaces nothing, and no other', () => {
        expect(runReplaced('nothing', env(), 'wrong').text).toMatch(/^buddymalloc: wrong size: 0x[0-9a-f]+$/m);
        for (const name of REPLACED.slice(1)) expect(runReplaced(name, env(), 'wrong').status).toBe(0);
      });
      test('a C++ library that a C program loads gets each of its blocks back', () => {
        const text = runWell([join(folder, 'tests/replaced-host'), join(folder, 'tests/replaced-library.so')], env());
        expect(text).toMatch(/^\d+ made and deleted\n$/);
      });
    });
  });

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
