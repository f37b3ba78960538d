import { afterEach, describe, expect, it } from 'vitest';
import { createPool, openPool, type Pool, type PoolOptions } from '../../lib/index.ts';
import { expectError } from '../package/expect-error.ts';

const pools: Pool[] = [];
function make(options: PoolOptions = {}): Pool {
  const pool = createPool(options);
  pools.push(pool);
  return pool;
}

afterEach(() => {
  for (const pool of pools.splice(0)) {
    expect(pool.check()).toBe(0);
    pool.destroy();
  }
});

describe('alloc', () => {
  it.each([0, 1, 64, 100, 4096, 65_536, 65_537, 2 ** 20, 40_000_000])(
    'returns a Buffer of exactly %i bytes',
    (size) => {
      const pool = make();
      const block = pool.alloc(size);
      expect(Buffer.isBuffer(block)).toBe(true);
      expect(block.length).toBe(size);
      block.fill(7);
      pool.free(block);
      expect(pool.stats().usedBlocks).toBe(0);
    },
  );

  it('gives every block memory of its own', () => {
    const pool = make();
    const blocks = Array.from({ length: 2000 }, (_, i) => pool.alloc((i * 37) % 5000).fill(i & 0xff));
    expect(pool.check()).toBe(0);
    blocks.forEach((block, i) => {
      expect(block.every((byte) => byte === (i & 0xff))).toBe(true);
      pool.free(block);
    });
    expect(pool.stats()).toMatchObject({ usedBlocks: 0, usedBytes: 0 });
  });

  it('takes sizes as text', () => {
    expect(make().alloc('64 KiB').length).toBe(65_536);
  });
});

describe('free', () => {
  it('refuses a block that was freed before', () => {
    const pool = make();
    const block = pool.alloc(100);
    pool.free(block);
    expectError(() => pool.free(block), 'BuddyMallocError', 'ERR_DOUBLE_FREE');
  });

  it('refuses a slice, a copy and a Buffer of nobody', () => {
    const pool = make();
    const block = pool.alloc(100);
    for (const other of [block.subarray(0), Buffer.from(block), block.slice(), new Uint8Array(8), block.buffer]) {
      expectError(() => pool.free(other), 'BuddyMallocError', 'ERR_FOREIGN_BUFFER');
    }
    pool.free(block);
  });
});

describe('a named pool', () => {
  it('is one for all who open it', () => {
    const pool = make({ name: 'shared', limit: '1 MiB' });
    const other = openPool('shared');
    pool.alloc(100);
    expect(other.stats().usedBlocks).toBe(1);
    expect(other.adopt(pool.handle(pool.alloc(50).fill(3))).equals(Buffer.alloc(50, 3))).toBe(true);
  });
});

describe('allocAsync', () => {
  it('waits until there is room, in turn', async () => {
    const pool = make({ limit: '64 KiB' });
    const first = pool.alloc(65_536);
    const order: number[] = [];
    const second = pool.allocAsync(65_536).then((block) => {
      order.push(2);
      return block;
    });
    const third = pool.allocAsync(100).then((block) => {
      order.push(3);
      return block;
    });
    pool.free(first);
    pool.free(await second);
    pool.free(await third);
    expect(order).toEqual([2, 3]);
  });
});

describe('scope', () => {
  it('frees what was allocated inside, but what it keeps', async () => {
    const pool = make();
    const kept = await pool.scope(async (scope) => {
      pool.alloc(100);
      await null;
      pool.typed(Float64Array, 10);
      return scope.keep(pool.alloc(10));
    });
    expect(pool.stats().usedBlocks).toBe(1);
    pool.free(kept);
  });
});
