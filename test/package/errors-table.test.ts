import { cpSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import * as buddymalloc from '../../lib/index.ts';
import { PACKAGE_ROOT } from '../../lib/root.ts';
import { newFolder } from './tarball.ts';

interface Row {
  mistake: string;
  kind: string;
  code: string;
  example: string;
}

/** The table of docs/errors.md. */
const rows: Row[] = [
  ...readFileSync(join(PACKAGE_ROOT, 'docs/errors.md'), 'utf8').matchAll(
    /^\| (.+) \| (\w+) \| (ERR_\w+) \| `(.+)` \|$/gm,
  ),
].map(([, mistake = '', kind = '', code = '', example = '']) => ({ mistake, kind, code, example }));

/** A function's body that returns what the last statement threw; those before it must pass. */
function bodyOf(example: string): string {
  const end = example.lastIndexOf('; ') + 1;
  return `${example.slice(0, end)}
    try { ${example.slice(end)} } catch ({ name, code }) { return [name, code]; }
    return 'nothing was thrown';`;
}

const names = Object.keys(buddymalloc);
const AsyncFunction = (async () => {}).constructor as new (...text: string[]) => (...args: unknown[]) => unknown;

/** Runs the example in a Node of its own, whose working directory decides which package it finds. */
async function runApart(example: string, folder: string, before: string, ...starter: string[]): Promise<unknown> {
  const script = `${before} console.log(JSON.stringify(await (async () => { ${bodyOf(example)} })()));`;
  const [file = '', ...args] = [...starter, process.execPath, '--input-type=module', '--eval', script];
  const { stdout } = await execa(file, args, { cwd: folder });
  return JSON.parse(stdout);
}

const imports = `import { ${names.join(', ')} } from 'buddymalloc';`;
const forbid = `import { createRequire } from 'node:module';
  createRequire(import.meta.url)('node-gyp-build')(process.cwd()).forbidExternal(true);`;
/** Bytes of addresses: what Node itself takes, and not as many as the largest block of any of its versions. */
const FEW_ADDRESSES = 4 * 2 ** 30;

/** The package without its addon. */
async function withoutAddon(example: string): Promise<unknown> {
  const folder = newFolder();
  try {
    for (const part of ['package.json', 'dist'])
      cpSync(join(PACKAGE_ROOT, part), join(folder, part), { recursive: true });
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(folder, 'node_modules'));
    return await runApart(example, folder, '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What it takes to make these mistakes. */
const CONDITIONS: Record<string, (example: string) => Promise<unknown>> = {
  ERR_OUT_OF_MEMORY: (example) => runApart(example, PACKAGE_ROOT, imports, 'prlimit', `--as=${FEW_ADDRESSES}`),
  ERR_NATIVE_FORBIDDEN: (example) => runApart(example, PACKAGE_ROOT, imports + forbid),
  ERR_NOT_BUILT: withoutAddon,
};

async function runHere(example: string): Promise<unknown> {
  const run = new AsyncFunction(...names, `"use strict"; ${bodyOf(example)}`);
  return await run(...Object.values(buddymalloc));
}

describe('the table of what can go wrong', () => {
  it('has a row for every code, and each code with its class', () => {
    const { ERROR_CLASSES } = buddymalloc;
    expect([...new Set(rows.map(({ code }) => code))].sort()).toEqual(Object.keys(ERROR_CLASSES).sort());
    for (const { code, kind } of rows)
      expect([code, kind]).toEqual([code, ERROR_CLASSES[code as keyof typeof ERROR_CLASSES]]);
  });

  it.each(rows)('tells the truth: $mistake', async ({ kind, code, example }) => {
    expect(await (CONDITIONS[code] ?? runHere)(example)).toEqual([kind, code]);
  });
});
