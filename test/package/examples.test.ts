import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as buddymalloc from '../../lib/index.ts';
import { PACKAGE_ROOT } from '../../lib/root.ts';

/** The comment before each exported function of lib/, by the function's name. */
function documented(): Map<string, string> {
  const sources = readdirSync(join(PACKAGE_ROOT, 'lib'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  const found = new Map<string, string>();
  for (const source of sources) {
    const text = readFileSync(join(PACKAGE_ROOT, 'lib', source), 'utf8');
    for (const [, comment = '', name = ''] of text.matchAll(
      /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport (?:async )?function (\w+)/g,
    )) {
      found.set(name, comment.replaceAll(/^ *\* ?/gm, ''));
    }
  }
  return found;
}

/** The code of the example; a line `expression; // value` becomes a check. */
function exampleOf(comment: string): string | undefined {
  const [, example] = /@example\n([\s\S]*?)(?=\n@|$)/.exec(comment) ?? [];
  return example?.replaceAll(/^(.+); \/\/ (\d+|true|false|'.*')$/gm, 'expect($1).toEqual($2);');
}

const comments = documented();
const functions = Object.entries(buddymalloc)
  .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
  .map(([name]) => name);

describe.each(functions)('the documentation of %s', (name) => {
  it('has an example that runs', async () => {
    const example = exampleOf(comments.get(name) ?? '');
    expect(example).toBeDefined();
    const AsyncFunction = (async () => {}).constructor as new (...text: string[]) => (...args: unknown[]) => unknown;
    const run = new AsyncFunction('expect', ...Object.keys(buddymalloc), `"use strict";\n${example}`);
    await run(expect, ...Object.values(buddymalloc));
  });
});
