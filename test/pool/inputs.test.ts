// Whatever a program passes: each function takes it, or throws with a code of the table, or what the program's own code threw.
import { Readable } from 'node:stream';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import * as buddymalloc from '../../lib/index.ts';
import {
  createPool,
  createPooledReadStream,
  ERROR_CLASSES,
  mallocCheck,
  openPool,
  type Pool,
} from '../../lib/index.ts';
import { expectError } from '../package/expect-error.ts';
import { runNode } from '../package/run-node.ts';

class Own extends Error {}
const raise = () => {
  throw new Own();
};
const any = (value: unknown) => value as never;
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};
const signalWith = (properties: PropertyDescriptorMap) =>
  Object.defineProperties(new AbortController().signal, properties);

const SIZES: unknown[] = [
  undefined,
  null,
  true,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -0,
  -1,
  0.5,
  1e-300,
  2 ** 31,
  2 ** 32 + 1,
  2 ** 53,
  1e308,
  -(2 ** 31),
  10n,
  2n ** 70n,
  Symbol('size'),
  Symbol.iterator,
  '',
  ' ',
  '64 kib',
  '64KiB',
  ' 1 KiB ',
  '1e3',
  '0x10',
  '-1 KiB',
  'NaN',
  'Infinity',
  'Infinity MiB',
  '1.0000001 MiB',
  '9'.repeat(400),
  '1 KiB\0',
  '١ KiB',
  '1 EB',
  'KiB',
  '1,5 MiB',
  {},
  [],
  [64],
  () => 64,
  new Number(64),
  new String('64'),
  new Date(0),
  { valueOf: () => 64 },
  { valueOf: raise },
  { toString: raise },
  { [Symbol.toPrimitive]: raise },
  new Proxy({}, { get: raise }),
  revoked(),
  Object.create(null),
  new Uint8Array(8),
  new ArrayBuffer(8),
  new SharedArrayBuffer(8),
];

const OPTIONS: unknown[] = [
  ...SIZES,
  { signal: {} },
  { signal: null },
  { signal: 'abort' },
  { signal: new EventTarget() },
  { signal: Object.create(AbortSignal.prototype) },
  { signal: new Proxy(new AbortController().signal, {}) },
  {
    get signal() {
      return raise();
    },
  },
  { signal: AbortSignal.abort(new Own()) },
  {
    signal: signalWith({
      aborted: { get: raise },
      addEventListener: { value: raise },
      removeEventListener: { value: raise },
    }),
  },
  { plain: 1 },
  { print: 1 },
  { plain: 'yes' },
  {
    get plain() {
      return raise();
    },
  },
  { start: {} },
  { start: 5n },
  { start: -1 },
  { end: 'x' },
  { end: Number.NaN },
  { start: 10, end: 5 },
  { highWaterMark: 'much' },
  { highWaterMark: -5 },
  { highWaterMark: Number.NaN },
  { start: Symbol('start') },
  { limit: Symbol('limit') },
  { limit: 10n },
  { limit: 'much' },
  { regionSize: 'x' },
  { alignment: 3 },
  { guard: 'strict' },
  { guard: {} },
  { guard: { toString: () => 'check' } },
  { name: {} },
  { name: '' },
  { name: Symbol('name') },
  { poison: 1 },
  { trace: 'true' },
  { zeroOnAlloc: null },
  { limt: '1 MiB' },
  {
    get limit() {
      return raise();
    },
  },
  { hardened: 'yes' },
  { hardened: Symbol('yes') },
];

const PLACES: unknown[] = [
  ...SIZES,
  1,
  2 ** 21 + 1,
  2 ** 52 + 1,
  Buffer.alloc(8),
  new DataView(new ArrayBuffer(8)),
  new Float64Array(2),
  new Uint8Array(new SharedArrayBuffer(8)),
  new Proxy(Buffer.alloc(8), {}),
  Object.create(Buffer.prototype),
  Object.create(Uint8Array.prototype),
  Object.create(ArrayBuffer.prototype),
  runInNewContext('new ArrayBuffer(8)'),
  new Proxy(new ArrayBuffer(8), { get: raise }),
  globalThis,
  process,
  class {},
];

/** Each of the package's functions, given one value in the place of each of its arguments. */
function callsWith(pool: Pool, value: never): (() => unknown)[] {
  const block = () => pool.alloc(64);
  const fixed = pool.fixed(64);
  const { adopt, handover, libraryPath, mallocStats, openPool, writeAndFree } = buddymalloc;
  const { alignedAlloc, calloc, free, malloc, realloc, reallocArray, usableSize } = buddymalloc;
  return [
    () => pool.alloc(value),
    () => pool.allocZeroed(value),
    () => pool.allocAligned(value, 64),
    () => pool.allocAligned(64, value),
    () => pool.tryAlloc(value),
    () => pool.allocAsync(value),
    () => pool.allocAsync(64, value),
    () => pool.allocArrayBuffer(value),
    () => pool.typed(value, 8),
    () => pool.typed(Float64Array, value),
    () => pool.realloc(value, 64),
    () => pool.realloc(block(), value),
    () => pool.free(value),
    () => pool.scope(value),
    () =>
      pool.scope(({ keep }) => {
        keep(value);
      }),
    () => pool.fixed(value),
    () => fixed.release(value),
    () => pool.handle(value),
    () => pool.adopt(value),
    () => pool.send(value, 1),
    () => pool.send(block(), value),
    () => pool.send(block(), 1, value),
    () => pool.receive(value).close(),
    () => pool.share(value),
    () => pool.share(block(), value),
    () => pool.openShared(value),
    () => pool.openShared(1, value),
    () => pool.reclaim(value),
    () => createPool(value),
    () => openPool(value),
    () => createPooledReadStream('package.json', pool, value).destroy(),
    () => createPooledReadStream('package.json', value).destroy(),
    () => createPooledReadStream(value, pool).destroy(),
    () => writeAndFree(value, block()),
    () => writeAndFree(process.stderr, value),
    () => malloc(value),
    () => calloc(value, 8),
    () => calloc(8, value),
    () => alignedAlloc(value, 64),
    () => alignedAlloc(64, value),
    () => realloc(value, 8),
    () => realloc(malloc(8), value),
    () => reallocArray(value, 8, 8),
    () => reallocArray(malloc(8), value, 8),
    () => free(value),
    () => usableSize(value),
    () => mallocStats(value),
    () => handover(value),
    () => adopt(value),
    () => libraryPath(value),
  ];
}

/** Why an error is not one of those that the documentation promises. */
function unexpected(call: () => unknown, value: unknown, error: unknown): string[] {
  if (error instanceof Own) return [];
  // So does the language itself, of what the program has passed.
  if (/revoked|Class constructor/.test((error as Error).message)) return [];
  const { code, name } = error as { code?: keyof typeof ERROR_CLASSES; name?: string };
  if (code !== undefined && ERROR_CLASSES[code] === name) return [];
  const kind = Object.prototype.toString.call(typeof value === 'object' ? {} : value);
  return [`${call} with ${typeof value} ${kind}: ${name} ${code} ${(error as Error).message}`];
}

describe('any value in the place of any argument', () => {
  it.each([
    ['sizes', SIZES],
    ['options', OPTIONS],
    ['blocks and handles', PLACES],
  ])('is taken, or refused with a code: %s', async (_, values) => {
    const wrong: string[] = [];
    for (const value of values) {
      const pool = createPool({ limit: '64 MiB' });
      for (const call of callsWith(pool, value as never)) {
        try {
          const result = call();
          if (result instanceof Readable) result.on('error', () => {});
          // What is promised may wait for room for ever.
          if (result instanceof Promise) await Promise.race([result, new Promise((resolve) => setImmediate(resolve))]);
        } catch (error) {
          wrong.push(...unexpected(call, value, error));
        }
      }
      expect(pool.check()).toBe(0);
      pool.destroy();
    }
    expect([...new Set(wrong)]).toEqual([]);
    expect(mallocCheck()).toBe(0);
  });
});

describe('allocAsync()', () => {
  it('refuses a signal that is none, with a code, and waits for nothing', async () => {
    const pool = createPool({ limit: '64 KiB' });
    const block = pool.alloc('64 KiB');
    for (const signal of [{}, null, 1, 'abort', { aborted: false, addEventListener() {} }, new EventTarget()]) {
      await expect(pool.allocAsync(1, { signal: any(signal) })).rejects.toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
    await expect(pool.allocAsync(1, any(null))).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(pool.stats().waiting).toBe(0);
    pool.free(block);
    pool.destroy();
  });

  it('listens to a signal whatever methods the program has given it', async () => {
    const pool = createPool({ limit: '64 KiB' });
    const block = pool.alloc('64 KiB');
    const controller = new AbortController();
    for (const name of ['addEventListener', 'removeEventListener', 'throwIfAborted']) {
      Object.defineProperty(controller.signal, name, { value: raise });
    }
    Object.defineProperty(controller.signal, 'reason', { get: raise });
    const waiting = pool.allocAsync(1, { signal: controller.signal });
    controller.abort(new Own());
    await expect(waiting).rejects.toBeInstanceOf(Own);
    const served = pool.allocAsync(1, { signal: new AbortController().signal });
    pool.free(block);
    pool.free(await served);
    expect(pool.stats()).toMatchObject({ waiting: 0, usedBlocks: 0 });
    pool.destroy();
  });
});

describe('allocAsync() without memory', () => {
  it('says so, also after a wait', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool, free, malloc, mallocTrim } from 'buddymalloc';
       const pool = createPool({ limit: '1536 MiB' });
       const first = pool.alloc('1 GiB');
       const waiting = pool.allocAsync('1280 MiB');
       // Most addresses are taken while it waits; Node gets some for itself.
       const [reserve, others] = [malloc(2 ** 28), []];
       try { for (;;) others.push(createPool().alloc(2 ** 28)); } catch {}
       free(reserve);
       mallocTrim();
       pool.free(first);
       console.log(await waiting.catch(({ code }) => code), others.length > 0);`,
      [],
      {},
      [],
      ['prlimit', `--as=${6 * 2 ** 30}`],
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'ERR_OUT_OF_MEMORY true', stderr: '' });
  });
});

describe('createPool()', () => {
  it('refuses an option that there is not, which may be one misspelt', () => {
    expectError(() => createPool(any({ limt: '1 MiB' })), 'TypeError', 'ERR_INVALID_ARG_VALUE');
    expectError(() => createPool(any({ [Symbol('limit')]: 1, Limit: 1 })), 'TypeError', 'ERR_INVALID_ARG_VALUE');
  });

  it('reads each option once', () => {
    const reads = new Map<PropertyKey, number>();
    const options = new Proxy(
      { limit: '1 MiB', guard: 'check', name: 'read once' },
      {
        get(target, key) {
          reads.set(key, (reads.get(key) ?? 0) + 1);
          return Reflect.get(target, key);
        },
      },
    );
    const pool = createPool(any(options));
    expect(openPool('read once')).toBe(pool);
    expect([...reads.values()].every((count) => count === 1)).toBe(true);
    pool.destroy();
  });
});
