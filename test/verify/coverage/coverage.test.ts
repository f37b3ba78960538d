/** The floor of docs/coverage.md, and its table of what is not reached. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { ROOT } from '../../build/project.ts';
import { type File, hardlyReached, measure, missing, share } from './measure.ts';

const FLOOR = 0.95;
const LINES_TO_EXPLAIN = 4;
const TIMEOUT_MS = 900_000;

/** `file function`, for each row. */
const explained = [
  ...readFileSync(join(ROOT, 'docs/coverage.md'), 'utf8').matchAll(/^\| `([^`]+)` \| `([^`]+)` \| \w/gm),
]
  .map(([, file, inside]) => `${file} ${inside}`)
  .sort();

let files: File[] = [];
beforeAll(async () => {
  files = await measure();
}, TIMEOUT_MS);

test('the C tests reach 95 % of the lines of csrc/', () => {
  const { lines } = share(files.flatMap((file) => file.lines));
  expect(lines.all).toBeGreaterThan(2000);
  const unreached = files.map(({ name, lines }) => `${name}: ${missing(lines)}`).join('\n');
  expect(lines.reached / lines.all, unreached).toBeGreaterThanOrEqual(FLOOR);
});

test('docs/coverage.md explains every function of which four lines or more are not reached', () => {
  expect(hardlyReached(files, LINES_TO_EXPLAIN).filter((name) => !explained.includes(name))).toEqual([]);
});

test('docs/coverage.md explains no function that there is not', () => {
  const all = files.flatMap(({ name, lines }) => lines.map((line) => `${name} ${line.function}`));
  expect(explained.filter((name) => !all.includes(name))).toEqual([]);
});
