import { expect } from 'vitest';
import type { ErrorCode } from '../../lib/index.ts';

/** Expects `action` to throw an error of this class and code. */
export function expectError(action: () => unknown, name: string, code: ErrorCode): void {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Error);
  expect({ name: (thrown as Error).name, code: (thrown as { code?: string }).code }).toEqual({ name, code });
}
