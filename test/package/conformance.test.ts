/** The C suite's tables (test/c/*_test.c) through the addon: the same sizes, alignments and paths of realloc. */
import { afterAll, describe, expect, it } from 'vitest';
import {
  adopt,
  alignedAlloc,
  calloc,
  free,
  handover,
  MAX_SIZE,
  malloc,
  mallocCheck,
  mallocTrim,
  realloc,
  reallocArray,
  usableSize,
} from '../../lib/index.ts';

const MIB = 1 << 20;

/** Every size from 0 to 4 MiB at the steps around class boundaries: eighths and sixteenths of powers of two. */
function* sizes(): Generator<number> {
  for (let size = 0; size <= 130; size++) yield size;
  for (let power = 128; power <= 2 * MIB; power *= 2)
    for (let sixteenths = 17; sixteenths <= 32; sixteenths++)
      for (const around of [-16, -1, 0, 1]) yield (power / 16) * sixteenths + around;
}
const SIZES = [...sizes()].filter((size) => size <= 4 * MIB);

/** The table of test/c/realloc_test.c: in the block, larger, smaller, moved, between small, large and huge. */
const PATH_SIZES = [
  0, 1, 16, 17, 64, 65, 100, 256, 257, 600, 1024, 1025, 2048, 4096, 5000, 10_000, 32_768, 32_769, 65_537, 131_072,
  500_000, 1_000_000, 2_097_152, 2_097_153, 3_000_000, 5_000_000, 9_000_000,
];

/** One period of a prime length, so that a block that is displaced by any power of two shows. */
const PATTERN = Buffer.from(Array.from({ length: 251 }, (_, i) => i));

function fill(block: ArrayBuffer, seed: number): void {
  Buffer.from(block).fill(PATTERN);
  const bytes = new Uint8Array(block);
  if (bytes.length > 0) bytes[0] = seed;
  if (bytes.length > 0) bytes[bytes.length - 1] = seed;
}

/** Whether the first `size` bytes are those that fill() wrote into a block of `whole`. */
function isFilled(block: ArrayBuffer, seed: number, size = block.byteLength, whole = size): boolean {
  const expected = new ArrayBuffer(whole);
  fill(expected, seed);
  return Buffer.from(block, 0, size).equals(Buffer.from(expected, 0, size));
}

const isZero = (block: ArrayBuffer) => Buffer.from(block).equals(Buffer.alloc(block.byteLength));

/** Lets Node run its finalizers now and then: blocks are native ones only while it does. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

afterAll(() => {
  expect(mallocCheck()).toBe(0);
});

describe('through the addon', () => {
  it('malloc() of every size up to 4 MiB around a class boundary gives a block of that size that keeps its contents', async () => {
    const wrong: number[] = [];
    for (const [i, size] of SIZES.entries()) {
      const block = malloc(size);
      fill(block, i % 256);
      if (block.byteLength !== size || usableSize(block) < size || !isFilled(block, i % 256)) wrong.push(size);
      free(block);
      if (i % 50 === 0) await turn();
    }
    expect(wrong).toEqual([]);
  });

  it('blocks of every such size that live at the same time do not overlap', () => {
    const blocks = SIZES.filter((size) => size <= 200_000).map((size) => malloc(size));
    for (const [i, block] of blocks.entries()) fill(block, i % 256);
    expect(blocks.findIndex((block, i) => !isFilled(block, i % 256))).toBe(-1);
    for (const block of blocks) free(block);
  });

  it('calloc() gives zeroes, in memory used before and after it went back to the system', async () => {
    const wrong: number[] = [];
    for (const [i, size] of SIZES.entries()) {
      const used = malloc(size);
      fill(used, 255);
      free(used);
      if (i % 50 === 0) await turn();
      if (i % 100 === 0) mallocTrim();
      const block = calloc(size, 1);
      if (block.byteLength !== size || !isZero(block)) wrong.push(size);
      free(block);
    }
    expect(wrong).toEqual([]);
  });

  it('realloc() keeps the contents from every size to every other', async () => {
    const wrong: [number, number][] = [];
    for (const from of PATH_SIZES) {
      for (const to of PATH_SIZES) {
        const block = malloc(from);
        fill(block, 7);
        const moved = realloc(block, to);
        if (moved.byteLength !== to || !isFilled(moved, 7, Math.min(from, to), from)) wrong.push([from, to]);
        free(moved);
      }
      await turn();
    }
    expect(wrong).toEqual([]);
  });

  it('reallocArray() resizes to the product and keeps the contents', () => {
    let block = malloc(1000);
    fill(block, 3);
    block = reallocArray(block, 500, 300);
    expect(block.byteLength).toBe(150_000);
    expect(isFilled(block, 3, 1000)).toBe(true);
    free(block);
  });

  it('alignedAlloc() takes every alignment from 1 byte to 1 GiB, and its blocks do not overlap', () => {
    const blocks = Array.from({ length: 31 }, (_, order) => alignedAlloc(2 ** order, 1000 + order));
    for (const [i, block] of blocks.entries()) fill(block, i);
    expect(blocks.map((block) => block.byteLength)).toEqual(blocks.map((_, order) => 1000 + order));
    expect(blocks.findIndex((block, i) => !isFilled(block, i))).toBe(-1);
    for (const block of blocks) free(block);
  });

  it('sizes, products and alignments that overflow are refused, and the block stays as it was', () => {
    const block = malloc(100);
    fill(block, 9);
    const beyond = [MAX_SIZE + 1, 2 ** 53, 2 ** 63, 2 ** 64, Number.MAX_VALUE, Infinity, -1, 0.5, NaN];
    for (const size of beyond) {
      expect(() => malloc(size), `${size}`).toThrow(RangeError);
      expect(() => calloc(size, 1), `${size}`).toThrow(RangeError);
      expect(() => calloc(2 ** 32, size), `${size}`).toThrow(RangeError);
      expect(() => realloc(block, size), `${size}`).toThrow(RangeError);
      expect(() => reallocArray(block, 2 ** 32, size), `${size}`).toThrow(RangeError);
      expect(() => alignedAlloc(size, 100), `${size}`).toThrow(RangeError);
    }
    expect(() => calloc(2 ** 32, 2 ** 32)).toThrow(RangeError);
    expect(() => calloc(2 ** 52, 2 ** 52)).toThrow(RangeError);
    expect(isFilled(block, 9)).toBe(true);
    free(block);
  });

  it('usableSize() holds what is asked for after every step of growing and shrinking', () => {
    let block = malloc(1);
    for (const size of [...PATH_SIZES, ...[...PATH_SIZES].reverse()]) {
      block = realloc(block, size);
      expect(usableSize(block)).toBeGreaterThanOrEqual(size);
    }
    free(block);
  });

  it('a block that was handed over and adopted keeps its contents, whatever its size', async () => {
    const wrong: number[] = [];
    for (const size of PATH_SIZES) {
      const block = malloc(size);
      fill(block, 5);
      const adopted = adopt(handover(block));
      if (block.byteLength !== 0 || adopted.byteLength !== size || !isFilled(adopted, 5)) wrong.push(size);
      free(adopted);
      await turn();
    }
    expect(wrong).toEqual([]);
  });
});
