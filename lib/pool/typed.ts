import { codedError } from '../errors.ts';
import { bufferBlock, extentOf, stampBlock } from './block.ts';
import type { Inside } from './inside.ts';
import { MAX_BLOCK } from './options.ts';
import { toBytes } from './sizes.ts';

/** A constructor of typed arrays. */
export interface TypedArrayConstructor<T extends object> {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
  /** Bytes of each element. */
  readonly BYTES_PER_ELEMENT: number;
}

const notTyped = () => codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'Class must be a constructor of typed arrays');

/** For {@link Pool.typed}. */
export function typedBlock<T extends NodeJS.ArrayBufferView<ArrayBuffer>>(
  inside: Inside,
  Class: TypedArrayConstructor<T>,
  length: number,
): T {
  const element = typeof Class === 'function' ? Class.BYTES_PER_ELEMENT : 0;
  if (element !== 1 && element !== 2 && element !== 4 && element !== 8) throw notTyped();
  const count = toBytes(length, 'length', Math.floor(MAX_BLOCK / element));
  const bytes = count * element;
  const place = inside.takeOrThrow(bytes, 0);
  inside.prepare(place, bytes);
  const home = inside.homes.of(bytes, place);
  const { memory, offset } = inside.open(place, bytes, home);
  let block: T;
  try {
    block = stampBlock(new Class(memory, offset, count), home, place);
    const extent = extentOf(block);
    if (extent.memory !== memory || extent.offset !== offset || extent.bytes !== bytes) throw notTyped();
  } catch (error) {
    // A class of the program's own may throw, or make something else.
    inside.pool.free(bufferBlock(memory, offset, bytes, home, place));
    throw error;
  }
  return inside.keep(block);
}
