// What every function with options asks of them.
import { codedError } from './errors.ts';

export const wrongType = (message: string) => codedError(TypeError, 'ERR_INVALID_ARG_TYPE', message);
export const wrongValue = (message: string) => codedError(TypeError, 'ERR_INVALID_ARG_VALUE', message);

export function requireObject(options: unknown): void {
  if (typeof options !== 'object' || options === null) throw wrongType('options must be an object');
}

/** An option that there is not may be one misspelt. */
export function refuseUnknown(options: object, names: readonly string[]): void {
  const unknown = Object.keys(options).find((key) => !names.includes(key));
  if (unknown !== undefined) throw wrongValue(`there is no option ${unknown}: the options are ${names.join(', ')}`);
}

export function checkFlag(value: unknown, name: string): asserts value is boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean') throw wrongType(`${name} must be a boolean`);
}

/** The flag of this name; false if it is not given. */
export function toFlag<Name extends string>(options: { [name in Name]?: boolean }, name: Name): boolean {
  requireObject(options);
  const value: unknown = options[name];
  checkFlag(value, name);
  return value === true;
}

const getterOf = (name: keyof AbortSignal) =>
  (Object.getOwnPropertyDescriptor(AbortSignal.prototype, name) as PropertyDescriptor).get;
const abortedGetter = getterOf('aborted');
const reasonGetter = getterOf('reason');

/** Whether a signal is aborted, whatever properties the program has given it. */
export function isAborted(signal: AbortSignal): boolean {
  try {
    return abortedGetter?.call(signal);
  } catch {
    throw wrongType('signal must be an AbortSignal');
  }
}

/** Why it is aborted, in the same way. */
export const reasonOf = (signal: AbortSignal): unknown => reasonGetter?.call(signal);
