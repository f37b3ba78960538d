import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canTest } from '../left-out.ts';
import { ROOT } from './project.ts';

const PROGRAM = `#include <buddymalloc.h>
#include <stdio.h>
#include <stdlib.h>
int main(void) {
  void *ours = bm_malloc(200);
  size_t usable = bm_malloc_usable_size(ours);
  bm_free(ours);
  void *plain = malloc(200);
  struct bm_stats stats;
  bm_stats(&stats);
  printf("%zu %d\\n", usable, (int)stats.alloc_requests > 1);
  free(plain);
  return 0;
}
`;
/** 200 bytes take a block of 256; malloc() is ours with the shared library, libc's with the static one. */
const WITH_SHARED = '256 1\n';
const WITH_STATIC = '256 0\n';

let folder = '';
let prefix = '';
/** Another prefix than the build was configured for. */
let elsewhere = '';
const run = (file: string, args: string[], env: Record<string, string> = {}) =>
  execFileSync(file, args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'buddymalloc-install-'));
  prefix = join(folder, 'prefix');
  elsewhere = join(folder, 'elsewhere');
  run('cmake', ['-S', ROOT, '-B', 'build', '-DCMAKE_INSTALL_LIBDIR=lib', `-DCMAKE_INSTALL_PREFIX=${prefix}`]);
  run('cmake', ['--build', 'build', '--parallel', '2']);
  run('cmake', ['--install', 'build']);
  run('cmake', ['--install', 'build', '--prefix', elsewhere]);
  writeFileSync(join(folder, 'program.c'), PROGRAM);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('cmake --install', () => {
  test.each([
    'include/buddymalloc.h',
    'lib/libbuddymalloc.so',
    'lib/libbuddymalloc-hardened.so',
    'lib/libbuddymalloc.a',
    'lib/pkgconfig/buddymalloc.pc',
    'lib/cmake/buddymalloc/buddymallocConfig.cmake',
    'lib/cmake/buddymalloc/buddymallocConfigVersion.cmake',
    'lib/cmake/buddymalloc/buddymallocTargets.cmake',
  ])('puts %s where C users expect it', (file) => {
    expect(existsSync(join(prefix, file))).toBe(true);
  });

  test('installs nothing of the tests and no internal header', () => {
    const files = run('find', [join(prefix, 'include'), join(prefix, 'lib'), '-name', '*.h']);
    expect(files.trim().split('\n')).toEqual([join(prefix, 'include/buddymalloc.h')]);
    expect(existsSync(join(prefix, 'bin'))).toBe(false);
  });
});

describe('a C program against the installed copy', () => {
  if (canTest('pkg-config', 'pkg-config', 'a program built with the flags of pkg-config'))
    test.each(['prefix', 'elsewhere'])('builds and runs with the flags of pkg-config, installed in %s', (name) => {
      const PKG_CONFIG_PATH = join(folder, name, 'lib/pkgconfig');
      const flags = run('pkg-config', ['--cflags', '--libs', 'buddymalloc'], { PKG_CONFIG_PATH }).trim().split(/\s+/);
      expect(flags.filter((flag) => /^-[IL]/.test(flag) && !flag.includes(join(folder, name)))).toEqual([]);
      run('cc', ['program.c', '-o', 'with-pkg-config', ...flags, `-Wl,-rpath,${join(folder, name, 'lib')}`]);
      expect(run('./with-pkg-config', [])).toBe(WITH_SHARED);
    });

  test('builds and runs with the static library', () => {
    const library = join(prefix, 'lib/libbuddymalloc.a');
    run('cc', ['program.c', '-o', 'static', `-I${prefix}/include`, library, '-pthread']);
    expect(run('./static', [])).toBe(WITH_STATIC);
  });

  test('builds and runs with find_package() of CMake, shared and static', () => {
    const project = join(folder, 'project');
    mkdirSync(project);
    writeFileSync(
      join(project, 'CMakeLists.txt'),
      `cmake_minimum_required(VERSION 3.20)
project(user C)
find_package(buddymalloc 0.1 REQUIRED)
add_executable(shared ../program.c)
target_link_libraries(shared PRIVATE buddymalloc::shared)
add_executable(static ../program.c)
target_link_libraries(static PRIVATE buddymalloc::static)
`,
    );
    run('cmake', ['-S', project, '-B', 'project-build', `-DCMAKE_PREFIX_PATH=${prefix}`]);
    run('cmake', ['--build', 'project-build']);
    expect(run('project-build/shared', [])).toBe(WITH_SHARED);
    expect(run('project-build/static', [])).toBe(WITH_STATIC);
  });
});
