import { describe, expect, it } from 'vitest';
import {
  alignedAlloc,
  calloc,
  free,
  MAX_SIZE,
  mallinfo,
  malloc,
  mallocCheck,
  mallocInfo,
  mallocStats,
  mallocTrim,
  realloc,
  reallocArray,
  usableSize,
} from '../../lib/index.ts';

const bytesOf = (block: ArrayBuffer) => new Uint8Array(block);

describe('malloc', () => {
  it.each([0, 1, 16, 200, 4096, 65_537, 3 << 20])('returns an ArrayBuffer of exactly %i bytes', (size) => {
    const block = malloc(size);
    expect(block).toBeInstanceOf(ArrayBuffer);
    expect(block.byteLength).toBe(size);
    free(block);
  });

  it('serves 200 bytes with a block of 256', () => {
    const block = malloc(200);
    expect(usableSize(block)).toBe(256);
    free(block);
  });

  it('gives every block memory of its own', () => {
    const blocks = Array.from({ length: 1000 }, (_, i) => {
      const block = malloc(48);
      bytesOf(block).fill(i & 0xff);
      return block;
    });
    blocks.forEach((block, i) => {
      expect(bytesOf(block).every((byte) => byte === (i & 0xff))).toBe(true);
      free(block);
    });
  });

  it('exports the largest size that an ArrayBuffer can have as MAX_SIZE', () => {
    expect(MAX_SIZE).toBeGreaterThanOrEqual(2 ** 32);
  });
});

describe('calloc', () => {
  it('returns count * size bytes that are all 0, also in memory used before', () => {
    const used = malloc(4000);
    bytesOf(used).fill(255);
    free(used);
    const block = calloc(1000, 4);
    expect(block.byteLength).toBe(4000);
    expect(bytesOf(block).every((byte) => byte === 0)).toBe(true);
    free(block);
  });
});

describe('alignedAlloc', () => {
  it.each([1, 16, 64, 4096, 65_536])('returns a block aligned to %i bytes', (alignment) => {
    const block = alignedAlloc(alignment, 100);
    expect(block.byteLength).toBe(100);
    expect(usableSize(block)).toBeGreaterThanOrEqual(100);
    free(block);
  });
});

describe('realloc', () => {
  it.each([
    [100, 100_000],
    [100_000, 100],
    [5 << 20, 9 << 20],
  ])('keeps the contents from %i to %i bytes', (before, after) => {
    const block = malloc(before);
    bytesOf(block).forEach((_, i, bytes) => {
      bytes[i] = i % 251;
    });
    const resized = realloc(block, after);
    expect(resized.byteLength).toBe(after);
    const kept = bytesOf(resized).subarray(0, Math.min(before, after));
    expect(kept.every((byte, i) => byte === i % 251)).toBe(true);
    free(resized);
  });

  it('detaches the old ArrayBuffer and every view of it', () => {
    const block = malloc(100);
    const view = new Uint8Array(block, 10, 20);
    const resized = realloc(block, 200);
    expect([block.byteLength, view.length]).toEqual([0, 0]);
    free(resized);
  });

  it('takes a view for its block', () => {
    const resized = realloc(new Float64Array(malloc(80)), 160);
    expect(resized.byteLength).toBe(160);
    free(resized);
  });

  it('makes a block of 0 bytes, which can be resized and freed', () => {
    const empty = realloc(malloc(100), 0);
    expect(empty.byteLength).toBe(0);
    const block = realloc(empty, 10);
    expect(block.byteLength).toBe(10);
    free(block);
  });

  it('has a sibling for arrays', () => {
    const block = reallocArray(calloc(10, 8), 20, 8);
    expect(block.byteLength).toBe(160);
    free(block);
  });
});

describe('free', () => {
  it('detaches: the block and every view of it read length 0', () => {
    const block = malloc(100);
    const views = [new Uint8Array(block), new DataView(block, 8), Buffer.from(block)];
    free(block);
    expect([block.byteLength, ...views.slice(0, 1).map((view) => view.byteLength)]).toEqual([0, 0]);
    expect((views[0] as Uint8Array)[0]).toBeUndefined();
    expect(() => (views[1] as DataView).getInt8(0)).toThrow(TypeError);
    expect((views[2] as Buffer).length).toBe(0);
  });

  it.each([
    ['a Buffer', (block: ArrayBuffer) => Buffer.from(block)],
    ['a DataView', (block: ArrayBuffer) => new DataView(block)],
    ['a view of a part', (block: ArrayBuffer) => new Uint16Array(block, 16, 4)],
    ['a view of no bytes', (block: ArrayBuffer) => new Uint8Array(block, 8, 0)],
  ])('takes %s for its block', (_, view) => {
    const block = malloc(64);
    free(view(block));
    expect(block.byteLength).toBe(0);
  });

  it('takes the ArrayBuffer that transfer() made of a block, where Node has it', () => {
    const block = malloc(64) as ArrayBuffer & { transfer?: () => ArrayBuffer };
    const before = mallinfo().threadBlocks;
    free(block.transfer?.() ?? block);
    expect([block.byteLength, mallinfo().threadBlocks]).toEqual([0, before - 1]);
  });

  it('gives the memory back at once', () => {
    const before = mallinfo().threadBytes;
    const block = malloc(1 << 20);
    expect(mallinfo().threadBytes - before).toBe(1 << 20);
    free(block);
    expect(mallinfo().threadBytes).toBe(before);
  });
});

describe('the figures', () => {
  it('count requests and blocks', () => {
    const before = mallinfo();
    const blocks = [malloc(100), malloc(5 << 20)];
    const between = mallinfo();
    for (const block of blocks) free(block);
    const after = mallinfo();
    expect(between.allocRequests - before.allocRequests).toBe(2);
    expect(between.mmappedRegions - before.mmappedRegions).toBe(1);
    expect(between.allocatedBytes - before.allocatedBytes).toBeGreaterThanOrEqual(100 + (5 << 20));
    expect(after.freeRequests - before.freeRequests).toBe(2);
    expect(after.threadBlocks).toBe(before.threadBlocks);
  });

  it('are printed by mallocStats as libc prints them, to standard error, when asked to', () => {
    const written: string[] = [];
    const { write } = process.stderr;
    process.stderr.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
    try {
      expect(mallocStats()).toContain('Total allocation requests');
      expect(written).toEqual([]);
      const text = mallocStats({ print: true });
      expect(written.join('')).toBe(text);
    } finally {
      process.stderr.write = write;
    }
  });

  it('are XML in mallocInfo', () => {
    expect(mallocInfo()).toMatch(/^<malloc version="1">[\s\S]*<\/malloc>\s*$/);
  });
});

describe('the heap', () => {
  it('gives free memory back on mallocTrim', () => {
    const block = malloc(1 << 20);
    bytesOf(block).fill(1);
    free(block);
    expect(mallocTrim()).toBe(true);
  });

  it('keeps its invariants', () => {
    expect(mallocCheck()).toBe(0);
  });
});
