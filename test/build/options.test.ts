import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './project.ts';

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

interface Row {
  variable: string;
  option: string;
  number: number;
  default: number;
  least: number;
  most: number;
}

/** The options as the code has them: their rows, the initial values, and the numbers of the header. */
function rowsOfCode(): Row[] {
  const code = read('csrc/options.c');
  const header = read('csrc/include/buddymalloc.h');
  const [, initial = ''] = /struct options options = \{([^}]*)\}/.exec(code) ?? [];
  const limit = (text: string) => (text === 'INT_MAX' ? 2 ** 31 - 1 : Number(text));
  return [...code.matchAll(/\{(BM_OPT_\w+), "(\w+)", &options\.(\w+), ([-\w]+), ([-\w]+)\}/g)].map(
    ([, option = '', variable = '', field = '', least = '', most = '']) => ({
      variable,
      option,
      number: Number(new RegExp(`${option} = (\\d+)`).exec(header)?.[1]),
      default: Number(new RegExp(`\\.${field} = (-?\\d+)`).exec(initial)?.[1] ?? 0),
      least: limit(least),
      most: limit(most),
    }),
  );
}

/** The table of docs/options.md: `| variable | option | number | default | least | most | meaning |`. */
function rowsOfDocumentation(): Row[] {
  return [...read('docs/options.md').matchAll(/^\| `(BUDDYMALLOC_\w+)` \|(.*)\|$/gm)].map(
    ([, variable = '', rest = '']) => {
      const [option = '', number, initial, least, most] = rest
        .split('|')
        .map((cell) => cell.trim().replaceAll('`', ''));
      return {
        variable,
        option,
        number: Number(number),
        default: Number(initial),
        least: Number(least),
        most: Number(most),
      };
    },
  );
}

test('docs/options.md lists every option with the variable, number, default and limits that the code has', () => {
  expect(rowsOfCode().length).toBeGreaterThan(0);
  expect(rowsOfDocumentation()).toEqual(rowsOfCode());
});
