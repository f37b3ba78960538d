import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { build } from '../../bench/build.ts';
import { figuresOf } from '../../bench/launch.ts';
import { NODE_PROGRAMS } from '../../bench/places.ts';
import { cSource, gitHistory, numbers, smtProblem } from '../../bench/workloads/inputs.ts';

describe('the generated inputs', () => {
  test('are the same every time', () => {
    expect(cSource(5)).toBe(cSource(5));
    expect(smtProblem(5)).toBe(smtProblem(5));
    expect(gitHistory(5)).toBe(gitHistory(5));
  });

  test('numbers stay below their limit and differ by seed', () => {
    const [one, other] = [numbers(1), numbers(2)];
    const drawn = Array.from({ length: 100 }, () => one(10));
    expect(Math.max(...drawn)).toBeLessThan(10);
    expect(drawn).not.toEqual(Array.from({ length: 100 }, () => other(10)));
  });

  test('the C source compiles', async () => {
    await execa('cc', ['-fsyntax-only', '-Wno-unused', '-x', 'c', '-'], { input: cSource(20) });
  });

  test('the history names the length of every file that it carries', () => {
    for (const [, length, text] of gitHistory(3).matchAll(/^data (\d+)\n((?:line .*\n)+)/gm)) {
      expect(text?.trimEnd().length).toBe(Number(length));
    }
  });
});

describe('the Node programs', () => {
  beforeAll(build);

  const run = (file: string, amount: number) =>
    execa(process.execPath, ['--expose-gc', `${NODE_PROGRAMS}/${file}.mjs`, String(amount)]);

  for (const [file, amount] of [
    ['http', 40],
    ['zlib', 4],
  ] as const) {
    test(`${file} does its work and ends`, async () => {
      expect((await run(file, amount)).exitCode).toBe(0);
    });
  }

  for (const [file, amount] of [
    ['workers', 2],
    ['retained-slices', 50],
    ['dropped-buffers', 1],
  ] as const) {
    test(`${file} reports its memory when idle`, async () => {
      const { stdout } = await run(file, amount);
      expect(figuresOf(stdout)['rss_idle']).toBeGreaterThan(0);
    });
  }
});
