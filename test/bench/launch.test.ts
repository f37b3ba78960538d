import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build } from '../../bench/build.ts';
import { figuresOf, launch, preloadFault } from '../../bench/launch.ts';
import { type Allocator, OURS } from '../../bench/model.ts';
import { LIBRARY, PATTERNS_PROGRAM } from '../../bench/places.ts';

const ours: Allocator = { name: OURS, library: LIBRARY };
const glibc: Allocator = { name: 'glibc' };
const shell = (script: string) => ({ program: '/bin/sh', args: ['-c', script] });
const figure = (name: string) => `echo "{\\"${name}\\": $${name}}"`;

beforeAll(build);

describe('the launcher', () => {
  test('reports what a program costs, and the figures that it printed', async () => {
    const sample = await launch(ours, { program: PATTERNS_PROGRAM, args: ['pair', 'count=1000'] });
    expect(sample.wallSeconds).toBeGreaterThan(0);
    expect(sample.minorFaults).toBeGreaterThan(0);
    expect(sample.figures['operations']).toBe(1000);
  });

  test('the peak of a small program is not its parent’s', async () => {
    const sample = await launch(glibc, { program: PATTERNS_PROGRAM, args: ['start'] });
    expect(process.memoryUsage.rss()).toBeGreaterThan(20 * 2 ** 20);
    expect(sample.rssPeakBytes).toBeLessThan(10 * 2 ** 20);
  });

  test('the library is preloaded in the program', async () => {
    const { figures } = await launch(ours, shell(`n=$(grep -c libbuddymalloc /proc/$$/maps); ${figure('n')}`));
    expect(figures['n']).toBeGreaterThan(0);
  });

  test('the system’s allocator runs with nothing preloaded', async () => {
    const { figures } = await launch(glibc, shell(`n=\${#LD_PRELOAD}; ${figure('n')}`));
    expect(figures['n']).toBe(0);
  });

  test('settings reach the program', async () => {
    const { figures } = await launch(glibc, { ...shell(figure('ANSWER')), settings: { ANSWER: '42' } });
    expect(figures['ANSWER']).toBe(42);
  });

  test('a repeated program runs as often as asked, and reports the mean', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'launch-'));
    const once = await launch(glibc, shell('true'));
    const often = await launch(glibc, { ...shell('echo >> runs'), folder, repeat: 3 });
    expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('\n\n\n');
    expect(often.minorFaults).toBeLessThan(2 * once.minorFaults);
    rmSync(folder, { recursive: true });
  });

  test('a program that fails is an error with its exit code', async () => {
    await expect(launch(glibc, shell('echo sad >&2; exit 3'))).rejects.toThrow('exit code 3: sad');
  });

  test('a program that a signal ends is an error, 128 and the signal', async () => {
    await expect(launch(glibc, shell('kill -ABRT $$'))).rejects.toThrow('exit code 134');
  });

  test('a program that does not exist is an error that names it', async () => {
    await expect(launch(glibc, { program: '/no/such/program', args: [] })).rejects.toThrow('/no/such/program');
  });

  test('a library that cannot be preloaded is an error, not a measurement of something else', async () => {
    await expect(
      launch({ name: 'x', library: '/no/such.so' }, { program: PATTERNS_PROGRAM, args: ['start'] }),
    ).rejects.toThrow('cannot be preloaded');
    expect(preloadFault('all is well')).toBeUndefined();
  });
});

describe('the figures of a program', () => {
  test('are in its last line that is an object', () => {
    expect(figuresOf('{"a":1}\nhello\n{"a":2}\nbye\n')).toEqual({ a: 2 });
  });

  test('are none if it prints no object', () => {
    expect(figuresOf('hello')).toEqual({});
    expect(figuresOf('{not json')).toEqual({});
  });
});
