import type Bytes from 'bytes-iec';
import { codedError } from '../errors.ts';
import { require } from '../root.ts';

const bytes: typeof Bytes = require('bytes-iec');

/** Bytes: a number, or text such as `'64 KiB'`, `'1.5 MiB'` or `'10 MB'` (kB, MB and GB are powers of 1000). */
export type Size = number | string;

/** The number of bytes that `size` says, an integer from 0 to `most`. */
export function toBytes(size: Size, name: string, most: number): number {
  let value = size;
  if (typeof value === 'string') {
    const parsed = bytes.parse(value);
    if (parsed === null) {
      throw codedError(
        TypeError,
        'ERR_INVALID_ARG_VALUE',
        `${name} must be a size such as '64 KiB'; received '${value}'`,
      );
    }
    value = parsed;
  }
  if (typeof value !== 'number') {
    throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', `${name} must be a number, or a string such as '64 KiB'`);
  }
  if (!Number.isInteger(value) || value < 0 || value > most) {
    const message = `${name} must be an integer from 0 to ${most}; received ${value}`;
    throw codedError(RangeError, 'ERR_OUT_OF_RANGE', message);
  }
  return value;
}

/** The same for an alignment. */
export function toAlignment(alignment: number, most: number): number {
  const value = toBytes(alignment, 'alignment', most);
  if (value > 0 && Number.isInteger(Math.log2(value))) return value;
  throw codedError(RangeError, 'ERR_OUT_OF_RANGE', `alignment must be a power of two; received ${value}`);
}
