import { describe, expect, it } from 'vitest';
import * as buddymalloc from '../../lib/index.ts';
import { documentedCalls } from './documented.ts';

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
