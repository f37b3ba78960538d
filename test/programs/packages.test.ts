import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PACKAGE_OF } from './packages.js';

test('packages.txt lists the Debian package of every program, sorted, one a line', () => {
  const listed = readFileSync(join(import.meta.dirname, 'packages.txt'), 'utf8')
    .trimEnd()
    .split('\n');
  expect(listed).toEqual([...new Set(Object.values(PACKAGE_OF))].sort());
});
