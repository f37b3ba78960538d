/** Tests that need a program which is not part of the tool chain: they run where it is, and say so where it is not. */
import { isOnPath } from '../bench/workloads/all.ts';

/**
 * True if the tests of `program` are to be registered. Where it is missing a line says what is left out and which
 * Debian package has it; with CI set they are registered all the same, and fail.
 */
export function canTest(program: string, debianPackage: string, what: string): boolean {
  return canUse(isOnPath(program), program, debianPackage, what);
}

/** The same for something that is no program. */
export function canUse(isThere: boolean, name: string, debianPackage: string, what: string): boolean {
  if (isThere || process.env['CI']) return true;
  console.log(`left out: ${what} (${name} is not on this machine; it comes with package ${debianPackage})`);
  return false;
}
