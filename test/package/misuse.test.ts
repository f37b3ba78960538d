import { describe, expect, it } from 'vitest';
import {
  adopt,
  alignedAlloc,
  type Block,
  calloc,
  free,
  handover,
  MAX_SIZE,
  malloc,
  mallocCheck,
  realloc,
  reallocArray,
  usableSize,
} from '../../lib/index.ts';
import { expectError } from './expect-error.ts';

/** Every function that takes a block, called with something else than one. */
const TAKERS: [string, (block: never) => unknown][] = [
  ['free', (block) => free(block)],
  ['realloc', (block) => realloc(block, 10)],
  ['reallocArray', (block) => reallocArray(block, 10, 10)],
  ['usableSize', (block) => usableSize(block)],
  ['handover', (block) => handover(block)],
];

describe.each(TAKERS)('%s', (name, take) => {
  const wrong: [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['a number', 42],
    ['a string', 'block'],
    ['an object', {}],
    ['an array', [1, 2]],
    ['a proxy of a block', new Proxy(new ArrayBuffer(8), {})],
    ['an object that pretends to be an ArrayBuffer', Object.create(ArrayBuffer.prototype)],
    ['a SharedArrayBuffer', new SharedArrayBuffer(8)],
  ];
  it.each(wrong)('says that %s is no ArrayBuffer', (_, value) => {
    expectError(() => take(value as never), 'TypeError', 'ERR_INVALID_ARG_TYPE');
  });

  const foreign: [string, () => unknown][] = [
    ['an ArrayBuffer that JavaScript made', () => new ArrayBuffer(64)],
    ['an empty ArrayBuffer', () => new ArrayBuffer(0)],
    ['a Buffer from the pool of Node', () => Buffer.from('text')],
    ['a view of a SharedArrayBuffer', () => new Uint8Array(new SharedArrayBuffer(8))],
    ['the memory of WebAssembly', () => wasmMemory()],
    ['a copy of a block', () => copyOfBlock()],
  ];
  it.each(foreign)('refuses %s', (_, make) => {
    expectError(() => take(make() as never), 'BuddyMallocError', 'ERR_FOREIGN_BUFFER');
  });

  it('refuses a block that was freed', () => {
    const block = malloc(64);
    free(block);
    const code = name === 'free' ? 'ERR_DOUBLE_FREE' : 'ERR_USE_AFTER_FREE';
    expectError(() => take(block as never), 'BuddyMallocError', code);
  });

  it('refuses a view of a block that was freed', () => {
    const view = new Uint8Array(malloc(64));
    free(view);
    const code = name === 'free' ? 'ERR_DOUBLE_FREE' : 'ERR_USE_AFTER_FREE';
    expectError(() => take(view as never), 'BuddyMallocError', code);
  });

  it('refuses a block that was freed although its memory is in use again', () => {
    const stale = malloc(64);
    free(stale);
    const next = malloc(64);
    const code = name === 'free' ? 'ERR_DOUBLE_FREE' : 'ERR_USE_AFTER_FREE';
    expectError(() => take(stale as never), 'BuddyMallocError', code);
    expect(next.byteLength).toBe(64);
    free(next);
  });

  it('refuses a block that was resized', () => {
    const block = malloc(64);
    const resized = realloc(block, 100);
    const code = name === 'free' ? 'ERR_DOUBLE_FREE' : 'ERR_USE_AFTER_FREE';
    expectError(() => take(block as never), 'BuddyMallocError', code);
    free(resized);
  });
});

function wasmMemory(): Block {
  const { Memory } = (
    globalThis as unknown as { WebAssembly: { Memory: new (limits: object) => { buffer: ArrayBuffer } } }
  ).WebAssembly;
  return new Memory({ initial: 1 }).buffer;
}

function copyOfBlock(): Block {
  const block = malloc(64);
  const copy = block.slice(0);
  free(block);
  return copy;
}

/** Every argument that is a number of bytes or elements. */
const SIZES: [string, (size: never) => unknown][] = [
  ['malloc(size)', (size) => malloc(size)],
  ['calloc(count)', (count) => calloc(count, 1)],
  ['calloc(size)', (size) => calloc(1, size)],
  ['alignedAlloc(size)', (size) => alignedAlloc(16, size)],
  ['realloc(size)', (size) => withBlock((block) => realloc(block, size))],
  ['reallocArray(count)', (count) => withBlock((block) => reallocArray(block, count, 1))],
  ['reallocArray(size)', (size) => withBlock((block) => reallocArray(block, 1, size))],
];

/** Calls `use` with a block and frees the block after it, which shows that a failure has left it as it was. */
function withBlock(use: (block: ArrayBuffer) => unknown): void {
  const block = malloc(32);
  new Uint8Array(block).fill(9);
  try {
    use(block);
  } finally {
    expect(new Uint8Array(block).every((byte) => byte === 9)).toBe(true);
    free(block);
  }
}

describe.each(SIZES)('%s', (_, call) => {
  it.each([
    ['undefined', undefined],
    ['a string', '64'],
    ['a BigInt', 64n],
    ['an object', { valueOf: (): number => 64 }],
  ])('says that %s is no number', (__, value) => {
    expectError(() => call(value as never), 'TypeError', 'ERR_INVALID_ARG_TYPE');
  });

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, -0.1, MAX_SIZE + 2, 2 ** 64])(
    'says that %d is out of range',
    (size) => {
      expectError(() => call(size as never), 'RangeError', 'ERR_OUT_OF_RANGE');
    },
  );
});

describe('a product', () => {
  it.each([
    [2 ** 32, 2 ** 32],
    [MAX_SIZE, 2],
  ])('of %d and %d is out of range', (count, size) => {
    expectError(() => calloc(count, size), 'RangeError', 'ERR_OUT_OF_RANGE');
    withBlock((block) => expectError(() => reallocArray(block, count, size), 'RangeError', 'ERR_OUT_OF_RANGE'));
  });
});

describe('alignedAlloc(alignment)', () => {
  it.each([0, 3, 24, 4095, -16, 0.5])('says that %d is no power of two', (alignment) => {
    expectError(() => alignedAlloc(alignment, 16), 'RangeError', 'ERR_OUT_OF_RANGE');
  });
});

describe('adopt', () => {
  it.each([
    ['a string', '1'],
    ['undefined', undefined],
    ['a BigInt', 1n],
  ])('says that %s is no handle', (_, value) => {
    expectError(() => adopt(value as never), 'TypeError', 'ERR_INVALID_ARG_TYPE');
  });

  it.each([0, -1, 1, 0.5, 2 ** 53, Number.NaN, Number.MAX_SAFE_INTEGER])('finds no block under %d', (handle) => {
    expectError(() => adopt(handle), 'BuddyMallocError', 'ERR_STALE_HANDLE');
  });
});

describe('after all of this', () => {
  it('the heap keeps its invariants', () => {
    expect(mallocCheck()).toBe(0);
  });
});
