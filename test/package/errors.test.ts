import { describe, expect, it } from 'vitest';
import { native } from '../../lib/binding.ts';
import { BuddyMallocError, ERROR_CLASSES } from '../../lib/index.ts';

/** The codes that only TypeScript throws: those of pools, and the one that says that there is no addon. */
const TYPESCRIPT_ALONE = [
  'ERR_NOT_BUILT',
  'ERR_INVALID_ARG_VALUE',
  'ERR_POOL_FULL',
  'ERR_POOL_DESTROYED',
  'ERR_POOL_UNKNOWN',
  'ERR_POOL_MISMATCH',
  'ERR_BLOCK_MOVED',
];

describe('the table of errors', () => {
  it('has the same codes in C++ and in TypeScript', () => {
    expect([...native.errorCodes(), ...TYPESCRIPT_ALONE].sort()).toEqual(Object.keys(ERROR_CLASSES).sort());
  });

  it('gives the errors of the addon the class that the package exports', () => {
    expect(() => native.adopt(1)).toThrow(BuddyMallocError);
  });

  it('keeps the first class when a second copy of the package registers its own', () => {
    class Other extends BuddyMallocError {}
    expect(native.registerErrorClass(Other)).toBe(BuddyMallocError);
  });
});
