import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OUT, ROOT } from './project.ts';

/** The functions that the library to preload exports, as the dynamic linker sees them. */
function exported(): string[] {
  const lines = execFileSync('nm', ['-D', '--defined-only', join(OUT, 'Release/libbuddymalloc.so')], {
    encoding: 'utf8',
  });
  return [...lines.matchAll(/ [TW] (\w+)$/gm)].map(([, name = '']) => name).sort();
}

const tests = readdirSync(join(ROOT, 'test/c'))
  .filter((file) => /_test\.cc?$|^door\.[ch]$/.test(file))
  .map((file) => readFileSync(join(ROOT, 'test/c', file), 'utf8'))
  .join('\n');

test('every function that the library exports is called by a C test', () => {
  const names = exported();
  expect(names).toContain('malloc');
  /* bm_ functions are called by libc's names where libc has them, through test/c/door.h. */
  const isCalled = (name: string) => new RegExp(`(\\b${name}\\b|"${name}")`).test(tests);
  expect(names.filter((name) => !isCalled(name) && !isCalled(name.replace(/^bm_/, '')))).toEqual([]);
});
