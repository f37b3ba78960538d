/** What valgrind and ASan see: of a default build, and of one whose blocks they know. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUT } from '../build/project.ts';
import { canTest } from '../left-out.ts';
import { build, FIXTURES, failures, INCLUDE, run, runWell } from './build.ts';

const SECONDS = 300_000;
const VALGRIND = ['valgrind', '--quiet', '--error-exitcode=9'];

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'buddymalloc-clients-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The fixture, linked with the static library of a build. */
function program(name: string, library: string, ...flags: string[]): string {
  const path = join(folder, name);
  const source = join(FIXTURES, 'client.c');
  runWell([
    ...['gcc', '-g', '-O1', '-fno-builtin', ...flags, `-I${INCLUDE}`, source],
    ...[join(library, 'libbuddymalloc.a'), '-pthread', '-o', path],
  ]);
  return path;
}

if (canTest('valgrind', 'valgrind', 'what valgrind sees of the blocks')) {
  test(
    'memcheck finds nothing in the static library’s tests, in a default build without any setting',
    () => {
      const words = [
        'free_test',
        'chunk_test',
        'orphan_test',
        'random steps',
        'smallest block',
        'wander',
        'realloc() of',
      ];
      expect(failures([...VALGRIND, join(OUT, 'tests/test-static')], words, { TEST_INSTRUMENTED: '1' })).toEqual([]);
    },
    SECONDS,
  );

  describe('memcheck, of a build with BUDDYMALLOC_VALGRIND,', () => {
    let path = '';
    beforeAll(() => {
      const settings = { BUDDYMALLOC_VALGRIND: 'ON', BUDDYMALLOC_TESTS: 'OFF' };
      path = program('memcheck', build('memcheck', ['buddymalloc_static'], settings));
    }, SECONDS);

    test('reports nothing of a program without fault, and the program runs without valgrind too', () => {
      expect(run([...VALGRIND, '--leak-check=full', path, 'nothing'])).toEqual({ status: 0, text: '' });
      expect(run([path, 'nothing'])).toEqual({ status: 0, text: '' });
    });

    test.each([
      ['behind-small', 'Invalid read of size 1', '0 bytes after a block of size 100 alloc'],
      ['behind-exact', 'Invalid read of size 1', '0 bytes after a block of size 256 alloc'],
      ['behind-large', 'Invalid read of size 1', '0 bytes after a block of size 100,000 alloc'],
      ['behind-huge', 'Invalid read of size 1', '0 bytes after a block of size 5,000,000 alloc'],
      ['behind-resized', 'Invalid read of size 1', '0 bytes after a block of size 100 alloc'],
      ['before', 'Invalid read of size 1', '1 bytes before a block of size 100 alloc'],
      ['write-behind', 'Invalid write of size 1', '0 bytes after a block of size 100 alloc'],
      ['freed-small', 'Invalid read of size 1', '50 bytes inside a block of size 100 free'],
      ['freed-large', 'Invalid read of size 1', '50,000 bytes inside a block of size 100,000 free'],
      ['freed-link', 'Invalid read of size 1', '0 bytes inside a block of size 100 free'],
      ['freed-by-realloc', 'Invalid read of size 1', '1 bytes inside a block of size 100 free'],
      ['uninitialised', 'depends on uninitialised value', 'uninitialised (client.c:'],
      ['leak-small', '100 bytes in 1 blocks are definitely lost', 'leak_small (client.c:'],
      // A stale word in a register or on the stack may point into so large a block: 'definitely' or 'possibly' lost.
      ['leak-huge', '5,000,000 bytes in 1 blocks are', 'leak_huge (client.c:'],
      ['double-free', 'Invalid free()', 'buddymalloc: double free: 0x'],
    ])('reports %s as “%s”, “%s”', (fault, sentence, detail) => {
      const { text } = run([...VALGRIND, '--leak-check=full', path, fault]);
      expect(text).toContain(sentence);
      expect(text).toContain(detail);
    });
  });
}

describe('ASan, in a program with a library built with BUDDYMALLOC_ASAN,', () => {
  let path = '';
  let plain = '';
  beforeAll(() => {
    const library = build('asan', ['buddymalloc_static'], { BUDDYMALLOC_ASAN: 'ON', BUDDYMALLOC_TESTS: 'OFF' });
    path = program('asan', library, '-fsanitize=address');
    plain = program('plain', library);
  }, SECONDS);

  test('reports nothing of a program without fault, and the library works in a program without ASan', () => {
    expect(run([path, 'nothing'])).toEqual({ status: 0, text: '' });
    expect(run([plain, 'nothing'])).toEqual({ status: 0, text: '' });
  });

  const FAULTS = 'behind-small behind-exact behind-large behind-huge behind-resized before write-behind';
  test.each(`${FAULTS} freed-small freed-large freed-link freed-by-realloc`.split(' '))(
    'reports %s as use-after-poison',
    (fault) => {
      const { status, text } = run([path, fault]);
      expect(text).toMatch(/ERROR: AddressSanitizer: use-after-poison/);
      expect(status).not.toBe(0);
    },
  );

  test.each(['libc-block-in-ours', 'libc-block-in-huge'])('finds ASan’s own block through ours: %s', (fault) => {
    expect(run([path, fault])).toEqual({ status: 0, text: '' });
  });

  test.each([
    ['double-free', 'double free'],
    ['wrong-size', 'wrong size'],
  ])('leaves %s to the library’s own line', (fault, words) => {
    expect(run([path, fault]).text).toMatch(new RegExp(`^buddymalloc: ${words}: 0x`, 'm'));
  });
});
