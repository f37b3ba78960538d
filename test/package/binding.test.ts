import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { INTERFACE } from '../../lib/binding.ts';
import { PACKAGE_ROOT } from '../../lib/root.ts';
import { runNode } from './run-node.ts';

/** The number of the interface, and what its description comes to: raise the one, here and in csrc/addon/addon.cc, with the other. */
const DESCRIBED = { number: 3, digest: '260eb5ad85fa3cc7' };

describe('the interface between the package and its addon', () => {
  it('has another number when its description in lib/binding.ts changes', () => {
    const text = readFileSync(join(PACKAGE_ROOT, 'lib/binding.ts'), 'utf8');
    const described = text.match(/^(export )?interface (Pool)?Binding \{.*?^\}/gms) ?? [];
    const words = described
      .join('\n')
      .replace(/\/\*\*.*?\*\//gs, '')
      .replace(/\s+/g, ' ');
    const digest = createHash('sha256').update(words).digest('hex').slice(0, 16);
    expect({ number: INTERFACE, digest }).toEqual(DESCRIBED);
    expect(described).toHaveLength(2);
  });

  it.each([
    ['of before there was a number', '{}'],
    ['of another number', '{ interface: 1000 }'],
  ])('is compared when the package is loaded: an addon %s is refused in words', async (_, addon) => {
    const { stdout, stderr } = await runNode(
      `import { createRequire } from 'node:module';
         const require = createRequire(import.meta.url);
         const path = require('node-gyp-build').resolve(process.cwd());
         require.cache[path] = { id: path, filename: path, loaded: true, exports: ${addon} };
         try { require('buddymalloc'); } catch ({ name, code, message }) { console.log([name, code, message].join('\\n')); }`,
    );
    expect(stderr).toBe('');
    expect(stdout).toMatch(
      /^BuddyMallocError\nERR_NOT_BUILT\nThe addon was built for another version .*npm rebuild buddymalloc/,
    );
  });
});
