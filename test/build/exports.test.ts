import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OUT, ROOT } from './project.ts';

const LIBRARIES = ['libbuddymalloc.so', 'libbuddymalloc-hardened.so'];

/** The functions that a library has for others, or wants of others, as the dynamic linker sees them. */
function functions(library: string, which: '--defined-only' | '--undefined-only'): string[] {
  const lines = execFileSync('nm', ['-D', which, join(OUT, 'Release', library)], { encoding: 'utf8' });
  return [...lines.matchAll(/ [TWUw] (\w+)(?:@.*)?$/gm)].map(([, name = '']) => name).sort();
}

const tests = readdirSync(join(ROOT, 'test/c'))
  .filter((file) => /_test\.cc?$|^door\.[ch]$/.test(file))
  .map((file) => readFileSync(join(ROOT, 'test/c', file), 'utf8'))
  .join('\n');

test('every function that the library exports is called by a C test', () => {
  const names = functions('libbuddymalloc.so', '--defined-only');
  expect(names).toContain('malloc');
  /* bm_ functions are called by libc's names where libc has them, through test/c/door.h. */
  const isCalled = (name: string) => new RegExp(`(\\b${name}\\b|"${name}")`).test(tests);
  expect(names.filter((name) => !isCalled(name) && !isCalled(name.replace(/^bm_/, '')))).toEqual([]);
});

/** Of libc's; a system call without libc would have its number in csrc/, which the next test looks for. */
const OPENING =
  /^(f?open(at|64|at64)?|freopen|fdopen|creat|tmpfile|mkstemp|mkdir|link|symlink|rename|exec|posix_spawn|system|popen|socket|connect)/;

test.each(LIBRARIES)('%s calls nothing that opens a file, or starts a program', (library) => {
  const wanted = functions(library, '--undefined-only');
  expect(wanted).toContain('write');
  expect(wanted.filter((name) => OPENING.test(name))).toEqual([]);
});

const numbers = readdirSync(join(ROOT, 'csrc'), { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.[ch]c?$/.test(file))
  .flatMap((file) => [...readFileSync(join(ROOT, 'csrc', file), 'utf8').matchAll(/\bSYS_([a-z]\w+)/g)])
  .map(([, name = '']) => name);

test('csrc/ makes no system call by number that opens a file, or starts a program', () => {
  expect(numbers).toContain('mmap');
  expect(numbers.filter((name) => OPENING.test(name))).toEqual([]);
});

/** What a thread's end takes, another name of a call, and calls that the program itself makes. */
const UNNAMED = ['exit', 'restart_syscall', 'clock_gettime64', 'unshare', 'setns'];

test('docs/reliability.md names every system call by number, for those who write filters', () => {
  const page = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8');
  const isNamed = (name: string) => UNNAMED.includes(name) || page.includes(`\`${name}()\``);
  expect(numbers.filter((name) => !isNamed(name))).toEqual([]);
});
