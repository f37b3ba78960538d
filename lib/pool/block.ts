import { Buffer } from 'node:buffer';
import { disposeBy } from './dispose.ts';
import type { Home } from './home.ts';

/** A block of a pool, as {@link Pool.alloc} returns it: a Buffer that `using` frees at the end of its scope. */
export interface PoolBuffer extends Buffer<ArrayBuffer>, Disposable {}

/** What the functions of a pool take for a block: what one of its allocating functions has returned. */
export type PoolBlock = PoolBuffer | ArrayBuffer | NodeJS.ArrayBufferView<ArrayBuffer>;

/** What stands in a block's place once it has none. */
export const FREED = -1;
export const MOVED = -2;
export const SHARED = -3;

/** The place of a block that a recycler keeps, as it stands in the block, and back: below every word above. */
export const idlePlace = (place: number): number => -place - 16;

/** Adds private fields to an object that exists already: a base class whose constructor returns its argument. */
const Same = function same(this: unknown, object: object) {
  return object;
} as unknown as new (
  object: object,
) => object;

/** Ownership of an object of another class: an ArrayBuffer or a typed array. */
class Stamp extends Same {
  #home: Home;
  #place: number;

  constructor(object: object, home: Home, place: number) {
    super(object);
    this.#home = home;
    this.#place = place;
  }

  static homeOf(object: object): Home | undefined {
    return #home in object ? object.#home : undefined;
  }

  static placeOf(object: object): number {
    return (object as Stamp).#place;
  }

  static setPlace(object: object, place: number): void {
    (object as Stamp).#place = place;
  }
}

/**
 * The class of a pool's Buffers. Whose a block is and where it lies are private fields of the view itself, so that a
 * slice, a copy or any other view of the same memory is not the block.
 */
class View extends Uint8Array<ArrayBuffer> {
  #home: Home;
  #place: number;

  constructor(memory: ArrayBuffer, offset: number, length: number, home: Home, place: number) {
    super(memory, offset, length);
    this.#home = home;
    this.#place = place;
  }

  static homeOf(object: object): Home | undefined {
    return #home in object ? object.#home : undefined;
  }

  static placeOf(object: object): number {
    return (object as View).#place;
  }

  static setPlace(object: object, place: number): void {
    (object as View).#place = place;
  }
}

// A method of Buffer or of Uint8Array that makes a new array asks `constructor` for its class: a plain Buffer, not a block.
Reflect.deleteProperty(View.prototype, 'constructor');
Object.setPrototypeOf(View.prototype, Buffer.prototype);
disposeBy(View.prototype as object, (block) => {
  const home = View.homeOf(block);
  if (home === undefined || View.placeOf(block) < 0 || home.pool.isDestroyed || home.era.stale) return;
  home.pool.free(block as PoolBuffer);
});

/** What must stay reachable as long as an ArrayBuffer is. */
class Anchor extends Same {
  readonly #anchor: object;

  constructor(object: object, to: object) {
    super(object);
    this.#anchor = to;
  }

  static isHeld(object: Anchor): boolean {
    return object.#anchor !== undefined;
  }
}

/** Keeps `to` reachable as long as `buffer` is. */
export function anchor(buffer: ArrayBuffer, to: object): ArrayBuffer {
  return new Anchor(buffer, to) as unknown as ArrayBuffer;
}

/** A block as a Buffer. */
export function bufferBlock(
  memory: ArrayBuffer,
  offset: number,
  length: number,
  home: Home,
  place: number,
): PoolBuffer {
  return new View(memory, offset, length, home, place) as unknown as PoolBuffer;
}

/** Makes a block of an ArrayBuffer or a typed array. */
export function stampBlock<T extends object>(object: T, home: Home, place: number): T {
  return new Stamp(object, home, place) as T;
}

/** Where a block belongs; undefined if it is none. */
export function homeOf(block: object): Home | undefined {
  return View.homeOf(block) ?? Stamp.homeOf(block);
}

/** Where a Buffer belongs; undefined if it is no block. The quick half of {@link homeOf}. */
export const homeOfBuffer: (block: object) => Home | undefined = View.homeOf;
export const placeOfBuffer: (block: object) => number = View.placeOf;
export const setPlaceOfBuffer: (block: object, place: number) => void = View.setPlace;

const { get: bufferGetter } = typedArrayProperty('buffer');
const { get: offsetGetter } = typedArrayProperty('byteOffset');
const { get: lengthGetter } = typedArrayProperty('byteLength');
const { get: tagGetter } = typedArrayProperty(Symbol.toStringTag);

function typedArrayProperty(name: PropertyKey): PropertyDescriptor {
  return Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), name) as PropertyDescriptor;
}

/** Whether it is one, of whatever context and class. */
export const isTypedArray = (value: object): boolean => tagGetter?.call(value) !== undefined;

/** Where a block's bytes are, whatever properties of these names the program has given it. */
export function extentOf(block: object): { memory: ArrayBuffer; offset: number; bytes: number } {
  if (!ArrayBuffer.isView(block)) return { memory: block as ArrayBuffer, offset: 0, bytes: byteLengthOf(block) };
  return { memory: bufferGetter?.call(block), offset: offsetGetter?.call(block), bytes: lengthGetter?.call(block) };
}

/** Bytes of a typed array; 0 once its memory is gone. */
export const lengthOfBuffer = (block: object): number => lengthGetter?.call(block);

const { get: bufferLengthGetter } = Object.getOwnPropertyDescriptor(
  ArrayBuffer.prototype,
  'byteLength',
) as PropertyDescriptor;

/** Bytes of an ArrayBuffer; 0 once it is detached. */
export const byteLengthOf = (buffer: object): number => bufferLengthGetter?.call(buffer);

/** A block's place, or one of the words above. */
export function placeOf(block: object): number {
  return View.homeOf(block) === undefined ? Stamp.placeOf(block) : View.placeOf(block);
}

export function setPlace(block: object, place: number): void {
  if (View.homeOf(block) === undefined) Stamp.setPlace(block, place);
  else View.setPlace(block, place);
}
