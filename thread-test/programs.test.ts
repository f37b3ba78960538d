import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OUT } from '../test/build/project.ts';

const LIBRARY = join(OUT, 'Release/libbuddymalloc.so');
const HARDENED = join(OUT, 'Release/libbuddymalloc-hardened.so');

/**
 * The scale (blocks, steps, threads, forks, rounds, thousands of steps) that takes a few seconds at most, and the one for
 * which there is time on demand: with TEST_FULL set.
 */
const PROGRAMS = [
  { name: 'producer-consumer', scale: 50_000, full: 5_000_000 },
  { name: 'strangers', scale: 50_000, full: 5_000_000 },
  { name: 'thread-churn', scale: 100_000, full: 1_000_000 },
  { name: 'fork-storm', scale: 500, full: 10_000 },
  { name: 'owner-ended', scale: 30, full: 1000 },
  { name: 'long-run', scale: 3000, full: 300_000 },
].map(({ name, scale, full }) => ({ name, scale: process.env['TEST_FULL'] ? full : scale }));

const MS = process.env['TEST_FULL'] ? 3600_000 : 120_000;

const DOORS = [
  { door: 'the static library', suffix: 'static', env: {} },
  { door: 'the static library, the heap grown by mmap', suffix: 'static', env: { BUDDYMALLOC_SBRK: '0' } },
  { door: 'LD_PRELOAD', suffix: 'libc', env: { LD_PRELOAD: LIBRARY } },
  { door: 'LD_PRELOAD of the hardened library', suffix: 'libc', env: { LD_PRELOAD: HARDENED } },
];

function expectToEndWell(name: string, suffix: string, args: string[], env: NodeJS.ProcessEnv): void {
  const { status, stdout, stderr } = spawnSync(join(OUT, 'thread-test', `${name}-${suffix}`), args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(new RegExp(`^${name}: \\d+ blocks, .*all free again\\n$`));
}

describe.each(DOORS)('through $door', ({ suffix, env }) => {
  test.each(PROGRAMS)(
    '$name loses no block and leaves a heap that the walker accepts',
    ({ name, scale }) => expectToEndWell(name, suffix, [String(scale)], env),
    MS,
  );
});

test.each(DOORS.slice(2))(
  'a program of small blocks forks 10,000 times while its threads allocate, through $door',
  ({ suffix, env }) => expectToEndWell('fork-storm', suffix, ['10000', 'small'], env),
  300_000,
);
