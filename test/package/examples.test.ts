import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as buddymalloc from '../../lib/index.ts';
import { PACKAGE_ROOT } from '../../lib/root.ts';
import { documentedCalls } from './documented.ts';
import { runNode } from './run-node.ts';

/** A line `expression; // value` becomes a check. */
function withChecks(example: string): string {
  return example.replaceAll(/^(.+); \/\/ (-?\d+|true|false|null|'.*')$/gm, 'expect($1).toEqual($2);');
}

const calls = documentedCalls();

describe('the documentation', () => {
  it('has every function that the package exports', () => {
    const functions = Object.entries(buddymalloc).filter(([name, value]) => {
      return typeof value === 'function' && /^[a-z]/.test(name);
    });
    expect(calls.map(({ name }) => name)).toEqual(expect.arrayContaining(functions.map(([name]) => name)));
    expect(calls.map(({ name }) => name)).toContain('Pool.alloc');
  });
});

describe.each(calls)('the documentation of $name', ({ name, example }) => {
  it('has an example that calls it and runs', async () => {
    expect(example).toMatch(new RegExp(`\\b${name.split('.').at(-1)}\\(`));
    const AsyncFunction = (async () => {}).constructor as new (...text: string[]) => (...args: unknown[]) => unknown;
    const code = `"use strict";\n${withChecks(example ?? '')}`;
    const run = new AsyncFunction('expect', ...Object.keys(buddymalloc), code);
    await run(expect, ...Object.values(buddymalloc));
  });
});

/** The modules in the pages that users read. */
const modules = ['README.md', 'docs/pool.md'].flatMap((page) =>
  [...readFileSync(join(PACKAGE_ROOT, page), 'utf8').matchAll(/^```js\n([\s\S]*?)^```/gm)].map(
    ([, code = ''], index) => ({
      name: `${page}, ${index + 1}`,
      code,
    }),
  ),
);

describe('the pages', () => {
  it('have examples', () => {
    expect(modules.length).toBeGreaterThanOrEqual(3);
  });

  it.each(modules)('have an example that runs: $name', async ({ code }) => {
    const { stdout, stderr, exitCode } = await runNode(code);
    const shown = [...code.matchAll(/^console\.log\(.*\);\s+\/\/ (.*)$/gm)].map(([, text]) => text);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: shown.join('\n'), stderr: '', exitCode: 0 });
  });
});
