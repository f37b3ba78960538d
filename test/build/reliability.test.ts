import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './project.ts';

/** A test that docs/reliability.md names: its file, and its sentence if the file has more than one. */
interface Named {
  file: string;
  sentence: string;
}

/** The second column of each row of each table. */
function namedTests(): Named[] {
  const page = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8');
  return [...page.matchAll(/^\| [^|]+ \| `([^`]+)`(?: "([^"]+)")?/gm)].map(([, file = '', sentence = '']) => ({
    file,
    sentence,
  }));
}

const has = ({ file, sentence }: Named) =>
  existsSync(join(ROOT, file)) && readFileSync(join(ROOT, file), 'utf8').includes(sentence);

test('docs/reliability.md names tests that exist', () => {
  expect(namedTests().length).toBeGreaterThan(40);
  expect(namedTests().filter((named) => !has(named))).toEqual([]);
});
