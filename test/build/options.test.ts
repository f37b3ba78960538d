import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './project.ts';

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

interface Row {
  variable: string;
  option: string;
  default: number;
  least: number;
  most: number;
}

/** The options as the code has them: their rows, and the initial values. */
function rowsOfCode(): Row[] {
  const code = read('csrc/options.c');
  const [, initial = ''] = /struct options options = \{([^}]*)\}/.exec(code) ?? [];
  const limit = (text: string) => (text === 'INT_MAX' ? LARGEST : Number(text));
  return [...code.matchAll(/\{(BM_OPT_\w+), "(\w+)", &options\.(\w+), ([-\w]+), ([-\w]+)\}/g)].map(
    ([, option = '', variable = '', field = '', least = '', most = '']) => ({
      variable,
      option,
      default: Number(new RegExp(`\\.${field} = (-?\\d+)`).exec(initial)?.[1] ?? 0),
      least: limit(least),
      most: limit(most),
    }),
  );
}

const LARGEST = 2 ** 31 - 1;

/** `0 or 1`, `-1 or <unit>`, or `<unit>` for anything from 0. */
function limitsOf(values: string): { least: number; most: number } {
  if (values === '0 or 1') return { least: 0, most: 1 };
  return { least: values.startsWith('-1 or ') ? -1 : 0, most: LARGEST };
}

/** The table of docs/options.md: `| variable | option | values | default | what it does |`. */
function rowsOfDocumentation(): Row[] {
  const lines = read('docs/options.md').matchAll(/^\| `(BUDDYMALLOC_\w+)` \| `(\w+)` \| ([^|]+) \| ([^|]+) \|/gm);
  return [...lines].map(([, variable = '', option = '', values = '', initial]) => ({
    variable,
    option,
    default: Number(initial),
    ...limitsOf(values),
  }));
}

test('docs/options.md lists every option with the variable, name, default and limits that the code has', () => {
  expect(rowsOfCode().length).toBeGreaterThan(0);
  expect(rowsOfDocumentation()).toEqual(rowsOfCode());
});
