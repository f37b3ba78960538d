// Everything that one can do wrong with a pool, by the code of its error.
import { describe, expect, it } from 'vitest';
import { createPool, type ErrorCode, openPool, type Pool } from '../../lib/index.ts';
import { expectError } from '../package/expect-error.ts';

type Wrong = [what: string, name: string, code: ErrorCode, action: (pool: Pool) => unknown];
const BUDDY = 'BuddyMallocError';
const any = (value: unknown) => value as never;

const WRONG: Wrong[] = [
  ['a size that is none', 'TypeError', 'ERR_INVALID_ARG_TYPE', (pool) => pool.alloc(any({}))],
  ['a size in words', 'TypeError', 'ERR_INVALID_ARG_VALUE', (pool) => pool.alloc('much')],
  ['half a byte', 'RangeError', 'ERR_OUT_OF_RANGE', (pool) => pool.alloc(0.5)],
  ['a negative size', 'RangeError', 'ERR_OUT_OF_RANGE', (pool) => pool.tryAlloc(-1)],
  ['a size beyond every ArrayBuffer', 'RangeError', 'ERR_OUT_OF_RANGE', (pool) => pool.alloc(2 ** 53)],
  ['no number', 'RangeError', 'ERR_OUT_OF_RANGE', (pool) => pool.allocZeroed(Number.NaN)],
  ['an alignment that is no power of two', 'RangeError', 'ERR_OUT_OF_RANGE', (pool) => pool.allocAligned(8, 48)],
  ['a class that is none', 'TypeError', 'ERR_INVALID_ARG_TYPE', (pool) => pool.typed(any(Array), 8)],
  ['a negative length', 'RangeError', 'ERR_OUT_OF_RANGE', (pool) => pool.typed(Float64Array, -8)],
  ['more than the limit', BUDDY, 'ERR_POOL_FULL', (pool) => pool.alloc('5 MiB')],
  ['a block that is none', 'TypeError', 'ERR_INVALID_ARG_TYPE', (pool) => pool.free(any(undefined))],
  ['a Buffer of nobody', BUDDY, 'ERR_FOREIGN_BUFFER', (pool) => pool.free(any(Buffer.alloc(8)))],
  ['a plain object', BUDDY, 'ERR_FOREIGN_BUFFER', (pool) => pool.handle(any({ length: 8 }))],
  ['a slice of a block', BUDDY, 'ERR_FOREIGN_BUFFER', (pool) => pool.realloc(pool.alloc(8).subarray(1) as never, 9)],
  ['a block of another pool', BUDDY, 'ERR_FOREIGN_BUFFER', (pool) => createPool().free(pool.alloc(8))],
  ['a proxy of a block', BUDDY, 'ERR_FOREIGN_BUFFER', (pool) => pool.free(new Proxy(pool.alloc(8), {}))],
  ['an object made from a block', BUDDY, 'ERR_FOREIGN_BUFFER', (pool) => pool.free(Object.create(pool.alloc(8)))],
  [
    'freeing twice',
    BUDDY,
    'ERR_DOUBLE_FREE',
    (pool) => {
      const block = pool.alloc(8);
      pool.free(block);
      pool.free(block);
    },
  ],
  [
    'resizing what was freed',
    BUDDY,
    'ERR_USE_AFTER_FREE',
    (pool) => {
      const block = pool.alloc(8);
      pool.free(block);
      pool.realloc(block, 9);
    },
  ],
  [
    'freeing what was handed over',
    BUDDY,
    'ERR_BLOCK_MOVED',
    (pool) => {
      const block = pool.alloc(8);
      pool.handle(block);
      pool.free(block);
    },
  ],
  ['a handle that is none', 'TypeError', 'ERR_INVALID_ARG_TYPE', (pool) => pool.adopt(any('1'))],
  ['a forged handle', BUDDY, 'ERR_STALE_HANDLE', (pool) => pool.adopt(pool.handle(pool.alloc(8)) + 2 ** 30)],
  [
    'adopting twice',
    BUDDY,
    'ERR_STALE_HANDLE',
    (pool) => {
      const handle = pool.handle(pool.alloc(8));
      pool.adopt(handle);
      pool.adopt(handle);
    },
  ],
  [
    'adopting what is shared',
    BUDDY,
    'ERR_STALE_HANDLE',
    (pool) => pool.adopt(pool.share(pool.alloc(8), { plain: true }).handle),
  ],
  ['sharing by a forged handle', BUDDY, 'ERR_STALE_HANDLE', (pool) => pool.openShared(12_345)],
  [
    'releasing a share twice',
    BUDDY,
    'ERR_DOUBLE_FREE',
    (pool) => {
      const shared = pool.share(pool.alloc(8));
      shared.release();
      shared.release();
    },
  ],
  [
    'reading a released share',
    BUDDY,
    'ERR_USE_AFTER_FREE',
    (pool) => {
      const shared = pool.share(pool.alloc(8));
      shared.release();
      shared.bytes;
    },
  ],
  [
    'releasing to a recycler what is not its own',
    BUDDY,
    'ERR_FOREIGN_BUFFER',
    (pool) => pool.fixed(8).release(pool.alloc(8)),
  ],
  [
    'releasing to a recycler twice',
    BUDDY,
    'ERR_DOUBLE_FREE',
    (pool) => {
      const fixed = pool.fixed(8);
      const block = fixed.acquire();
      fixed.release(block);
      fixed.release(block);
    },
  ],
  [
    'a pool that was destroyed',
    BUDDY,
    'ERR_POOL_DESTROYED',
    (pool) => {
      pool.destroy();
      pool.alloc(8);
    },
  ],
  ['a name that no pool has', BUDDY, 'ERR_POOL_UNKNOWN', () => openPool('nobody')],
  ['a name that is none', 'TypeError', 'ERR_INVALID_ARG_TYPE', () => openPool(any(7))],
  [
    'a name with other options',
    BUDDY,
    'ERR_POOL_MISMATCH',
    () => {
      const pool = createPool({ name: 'taken', limit: 1e6 });
      try {
        createPool({ name: 'taken', limit: 2e6 });
      } finally {
        pool.destroy();
      }
    },
  ],
  ['options that are none', 'TypeError', 'ERR_INVALID_ARG_TYPE', () => createPool(any(5))],
  ['a flag that is none', 'TypeError', 'ERR_INVALID_ARG_TYPE', () => createPool({ poison: any('yes') })],
  ['a guard that is none', 'TypeError', 'ERR_INVALID_ARG_VALUE', () => createPool({ guard: any('strict') })],
  ['a region size that is no power of two', 'RangeError', 'ERR_OUT_OF_RANGE', () => createPool({ regionSize: 1e6 })],
];

const errorOf = (action: () => unknown): { code?: string } => {
  try {
    action();
  } catch (error) {
    return error as { code?: string };
  }
  return {};
};

describe.each(WRONG)('%s', (_, name, code, action) => {
  it(`is ${code}, and harms nothing`, () => {
    const pool = createPool({ limit: '4 MiB' });
    expectError(() => action(pool), name, code);
    expect(pool.check()).toBe(0);
    pool.destroy();
  });
});

describe('every function of a destroyed pool but destroy, check and isDestroyed', () => {
  const calls: [string, (pool: Pool) => unknown][] = [
    ['alloc', (pool) => pool.alloc(1)],
    ['alloc of a large block', (pool) => pool.alloc(1e6)],
    ['allocZeroed', (pool) => pool.allocZeroed(1)],
    ['allocAligned', (pool) => pool.allocAligned(1, 64)],
    ['tryAlloc', (pool) => pool.tryAlloc(1)],
    ['typed', (pool) => pool.typed(Uint8Array, 1)],
    ['allocArrayBuffer', (pool) => pool.allocArrayBuffer(1)],
    ['fixed', (pool) => pool.fixed(1)],
    ['adopt', (pool) => pool.adopt(1)],
    ['openShared', (pool) => pool.openShared(1)],
    ['reclaim', (pool) => pool.reclaim()],
    ['receive', (pool) => pool.receive(() => {})],
    ['reset', (pool) => pool.reset()],
    ['trim', (pool) => pool.trim()],
    ['stats', (pool) => pool.stats()],
    ['map', (pool) => pool.map()],
    ['leaks', (pool) => pool.leaks()],
  ];
  it.each(calls)('%s throws ERR_POOL_DESTROYED', (_, call) => {
    const pool = createPool();
    pool.free(pool.alloc(1));
    pool.destroy();
    expect(errorOf(() => call(pool)).code).toBe('ERR_POOL_DESTROYED');
    expect(pool.check()).toBe(0);
  });
});
