/** Fixed patterns under callgrind, the clock standing still: counts do not depend on what else the machine does. */
import { beforeAll, describe, expect, test } from 'vitest';
import { build } from '../../bench/build.ts';
import { instructionsPerOperation, PATTERNS, readCeilings } from '../../bench/instructions.ts';
import { LIBRARY } from '../../bench/places.ts';
import { canTest } from '../left-out.ts';

beforeAll(build);

describe('instructions of an operation', () => {
  const { perOperation, tolerance } = readCeilings();

  test('every fixed pattern has a ceiling', () => {
    expect(Object.keys(perOperation).sort()).toEqual([...PATTERNS].sort());
  });

  for (const pattern of canTest('valgrind', 'valgrind', 'instructions counted by callgrind') ? PATTERNS : []) {
    test(`${pattern} stays under its ceiling`, { timeout: 120_000 }, async () => {
      const count = await instructionsPerOperation(LIBRARY, pattern);
      console.log(`${pattern}: ${count.toFixed(1)} instructions, ceiling ${perOperation[pattern]}`);
      expect(count).toBeLessThanOrEqual((perOperation[pattern] ?? 0) * (1 + tolerance));
    });
  }
});
