import { codedError } from '../errors.ts';
import { bufferBlock, extentOf, homeOf, isTypedArray, stampBlock } from './block.ts';
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

/** Whether it is a typed array over exactly these bytes, and not a block already: it may be one that the program has kept. */
function isOver(array: object, memory: ArrayBuffer, offset: number, bytes: number): boolean {
  if (!isTypedArray(array) || homeOf(array) !== undefined) return false;
  const extent = extentOf(array);
  return extent.memory === memory && extent.offset === offset && extent.bytes === bytes;
}

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
    const array = new Class(memory, offset, count);
    if (!isOver(array, memory, offset, bytes)) throw notTyped();
    block = stampBlock(array, home, place);
  } catch (error) {
    // A class of the program's own may throw, or make something else.
    inside.pool.free(bufferBlock(memory, offset, bytes, home, place));
    throw error;
  }
  return inside.keep(block);
}
