// Each sentence of docs/pool.md about what a guard level does and does not protect from.
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createPool, type Guard, type Pool, type PoolBuffer } from '../../lib/index.ts';
import { expectError } from '../package/expect-error.ts';
import { runNode } from '../package/run-node.ts';

const GUARDS: Guard[] = ['detach', 'check', 'off'];
const withPool = (guard: Guard, body: (pool: Pool) => void) => {
  const pool = createPool({ guard });
  body(pool);
  expect(pool.check()).toBe(0);
  pool.destroy();
};

describe("guard 'check'", () => {
  it('refuses a block that was freed, resized, handed over or shared, wherever it enters the pool', () => {
    withPool('check', (pool) => {
      const freed = pool.alloc(100);
      pool.free(freed);
      const resized = pool.alloc(100);
      pool.realloc(resized, 100_000);
      const moved = pool.alloc(100);
      pool.handle(moved);
      const shared = pool.alloc(100);
      pool.share(shared);
      const codes = [
        [freed, 'ERR_DOUBLE_FREE', 'ERR_USE_AFTER_FREE'],
        [resized, 'ERR_DOUBLE_FREE', 'ERR_USE_AFTER_FREE'],
        [moved, 'ERR_BLOCK_MOVED', 'ERR_BLOCK_MOVED'],
        [shared, 'ERR_BLOCK_MOVED', 'ERR_BLOCK_MOVED'],
      ] as const;
      for (const [block, onFree, otherwise] of codes) {
        expectError(() => pool.free(block), 'BuddyMallocError', onFree);
        expectError(() => pool.realloc(block, 10), 'BuddyMallocError', otherwise);
        expectError(() => pool.handle(block), 'BuddyMallocError', otherwise);
        expectError(() => pool.share(block), 'BuddyMallocError', otherwise);
      }
    });
  });

  it('still refuses it when its memory serves another block', () => {
    withPool('check', (pool) => {
      const stale = pool.alloc(100);
      pool.free(stale);
      const next = pool.alloc(100);
      expect(next.byteOffset).toBe(stale.byteOffset);
      expectError(() => pool.free(stale), 'BuddyMallocError', 'ERR_DOUBLE_FREE');
      pool.free(next);
    });
  });

  it('refuses every block from before a reset', () => {
    withPool('check', (pool) => {
      const blocks = [pool.alloc(64), pool.alloc(100_000)];
      pool.reset();
      for (const block of blocks) expectError(() => pool.free(block), 'BuddyMallocError', 'ERR_DOUBLE_FREE');
    });
  });

  it('fills freed memory with 0xDB, with the option poison', () => {
    const pool = createPool({ poison: true });
    for (const size of [100, 100_000]) {
      const block = pool.alloc(size).fill(1);
      pool.free(block);
      expect(block.every((byte) => byte === 0xdb)).toBe(true);
    }
    pool.destroy();
  });

  it('zeroes freed memory, or what is allocated, with the options for that', () => {
    const onFree = createPool({ zeroOnFree: true });
    const block = onFree.alloc(100).fill(1);
    onFree.free(block);
    expect(block.every((byte) => byte === 0)).toBe(true);
    onFree.destroy();
    const onAlloc = createPool({ zeroOnAlloc: true });
    for (const size of [100, 5000, 200_000]) {
      onAlloc.free(onAlloc.alloc(size).fill(1));
      const fresh = onAlloc.realloc(onAlloc.alloc(size / 2).fill(2), size);
      expect(fresh.every((byte, i) => byte === (i < size / 2 ? 2 : 0))).toBe(true);
      const array = onAlloc.typed(Uint8Array, size);
      expect(array.every((byte) => byte === 0)).toBe(true);
      onAlloc.free(array.fill(1));
    }
    onAlloc.destroy();
  });
});

/** Every way in which a block comes to its end but free(), each of a block of 1000 bytes that was filled with 1. */
const ENDS: [string, (pool: Pool, block: PoolBuffer) => unknown][] = [
  ['reset()', (pool) => pool.reset()],
  [
    'reclaim() of a block that was handed over',
    (pool, block) => {
      pool.handle(block);
      pool.reclaim();
    },
  ],
  ['the last release() of a shared block', (pool, block) => pool.share(block, { plain: true }).release()],
  ['realloc() to another place', (pool, block) => pool.realloc(block, 100_000)],
  ['realloc() to less', (pool, block) => pool.realloc(block, 10)],
  [
    'the end of an inbox that it was sent to',
    (pool, block) => {
      const inbox = pool.receive(() => {});
      pool.send(block, inbox.address);
      inbox.close();
    },
  ],
];

describe.each([
  ['zeroOnFree', 0],
  ['poison', 0xdb],
] as const)('the option %s', (option, byte) => {
  it.each(ENDS)('counts for %s too', (_, end) => {
    const pool = createPool({ [option]: true, limit: '1 MiB' });
    pool.alloc(1000); // where it would be, it could grow in place
    const block = pool.alloc(1000).fill(1) as PoolBuffer;
    const memory = new Uint8Array(block.buffer, block.byteOffset, 1000);
    const kept = end === ENDS[4]?.[1] ? 10 : 0;
    end(pool, block);
    expect([...new Set(memory.subarray(kept))]).toEqual([byte]);
    expect(pool.check()).toBe(0);
    pool.destroy();
  });

  it('counts for the blocks of a thread that ends, and for those that the garbage collector finds', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { once } from 'node:events';
       import { setImmediate as turn } from 'node:timers/promises';
       import { Worker } from 'node:worker_threads';
       const pool = createPool({ name: 'p', ${option}: true });
       const region = new Uint8Array(pool.alloc(64).fill(${byte}).buffer);
       const worker = new Worker(\`const pool = require('buddymalloc').openPool('p');
         globalThis.kept = [pool.alloc(1000).fill(1), pool.alloc(100_000).fill(1)];\`, { eval: true, execArgv: [] });
       await once(worker, 'exit');
       const afterThread = region.includes(1);
       (() => new Uint8Array(pool.allocArrayBuffer(1000)).fill(1))();
       for (let i = 0; i < 1000 && pool.stats().forgotten < 1; i++) { gc(); await turn(); }
       console.log(afterThread, region.includes(1), pool.stats().usedBlocks, pool.check());`,
      ['--expose-gc'],
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'false false 1 0', stderr: '' });
  });
});

describe("guard 'detach'", () => {
  it('leaves no view of memory that was freed, resized or handed over', () => {
    withPool('detach', (pool) => {
      const end = [
        (block: ReturnType<Pool['alloc']>) => pool.free(block),
        (block: ReturnType<Pool['alloc']>) => void pool.realloc(block, 200_000),
        (block: ReturnType<Pool['alloc']>) => void pool.handle(block),
        (block: ReturnType<Pool['alloc']>) => void pool.share(block),
      ];
      for (const size of [1, 100, 100_000]) {
        for (const finish of end) {
          const block = pool.alloc(size);
          const view = new Uint8Array(block.buffer);
          const part = block.subarray(0);
          finish(block);
          expect([block.length, view.length, part.length, view.buffer.byteLength]).toEqual([0, 0, 0, 0]);
        }
      }
    });
  });

  it('lets no block reach another', () => {
    withPool('detach', (pool) => {
      const blocks = Array.from({ length: 100 }, () => pool.alloc(100));
      expect(new Set(blocks.map((block) => block.buffer)).size).toBe(100);
      for (const block of blocks) expect(block.buffer.byteLength).toBeLessThanOrEqual(128);
    });
  });

  it('refuses what check refuses', () => {
    withPool('detach', (pool) => {
      const block = pool.alloc(100);
      pool.free(block);
      expectError(() => pool.free(block), 'BuddyMallocError', 'ERR_DOUBLE_FREE');
      expectError(() => pool.handle(block), 'BuddyMallocError', 'ERR_USE_AFTER_FREE');
    });
  });

  it('keeps memory from others that a view may still reach after a reset', () => {
    withPool('detach', (pool) => {
      const old = Array.from({ length: 100 }, () => pool.alloc(100).fill(1));
      pool.reset();
      for (let i = 0; i < 200; i++) pool.alloc(100).fill(2);
      expect(old.every((block) => block.every((byte) => byte === 1))).toBe(true);
      expectError(() => pool.free(old[0] as never), 'BuddyMallocError', 'ERR_DOUBLE_FREE');
    });
  });

  it('frees a forgotten block when the garbage collector finds it, and counts it', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { setImmediate as turn } from 'node:timers/promises';
       const pool = createPool({ guard: 'detach' });
       for (let i = 0; i < 100; i++) pool.alloc(1000);
       for (let i = 0; i < 1000 && pool.stats().forgotten < 100; i++) { gc(); await turn(); }
       const { forgotten, usedBlocks } = pool.stats();
       console.log(JSON.stringify({ forgotten, usedBlocks, check: pool.check() }));`,
      ['--expose-gc'],
    );
    expect({ stdout, stderr }).toEqual({ stdout: '{"forgotten":100,"usedBlocks":0,"check":0}', stderr: '' });
  });
});

describe.each(['check', 'off'] as Guard[])('guard %s', (guard) => {
  it('does not keep a view from reaching memory that was freed, resized, handed over or shared', () => {
    const ends: ((pool: Pool, block: PoolBuffer) => Uint8Array)[] = [
      (pool, block) => {
        pool.free(block);
        return pool.alloc(100);
      },
      (pool, block) => {
        pool.alloc(100); // where it would be, it could grow in place
        pool.realloc(block, 100_000);
        return pool.alloc(100);
      },
      (pool, block) => pool.adopt(pool.handle(block)),
      (pool, block) => new Uint8Array(pool.share(block, { plain: true }).buffer),
    ];
    for (const end of ends) {
      withPool(guard, (pool) => {
        const stale = pool.alloc(100);
        const next = end(pool, stale);
        stale[0] = 77;
        expect(next[0]).toBe(77);
      });
    }
  });

  it('does not keep a view from reaching memory after a reset', () => {
    withPool(guard, (pool) => {
      const stale = pool.alloc(100);
      pool.reset();
      const next = pool.alloc(100);
      stale[0] = 77;
      expect(next[0]).toBe(77);
    });
  });

  it('does not keep a view from reaching its neighbours through its ArrayBuffer', () => {
    withPool(guard, (pool) => {
      const [one, two] = [pool.alloc(64), pool.alloc(64)];
      new Uint8Array(one.buffer)[two.byteOffset] = 5;
      expect(two[0]).toBe(5);
    });
  });
});

describe("guard 'off'", () => {
  it('does not notice a double free, which gives two requests one memory', () => {
    withPool('off', (pool) => {
      const block = pool.alloc(100);
      pool.free(block);
      pool.free(block);
      const [one, two] = [pool.alloc(100), pool.alloc(100)];
      expect(one.byteOffset).toBe(two.byteOffset);
    });
  });
});

describe('a forgotten block', () => {
  it('stays allocated at check and off, and leaks shows it', async () => {
    for (const guard of ['check', 'off'] as const) {
      const pool = createPool({ guard });
      (() => pool.alloc(1000).fill(1))();
      await turn();
      expect(pool.leaks()).toEqual([{ bytes: 1024, thread: 'this' }]);
      pool.destroy();
    }
  });
});

describe.each(GUARDS)('at guard %s', (guard) => {
  it('what is no block of the pool is refused, wherever it enters', () => {
    withPool(guard, (pool) => {
      const other = createPool();
      const block = pool.alloc(8);
      for (const buffer of [Buffer.alloc(8), Buffer.from(block), block.subarray(0), other.alloc(8)]) {
        const none = buffer as PoolBuffer;
        const { address } = pool.receive(() => {});
        for (const action of [
          () => pool.free(none),
          () => pool.realloc(none, 16),
          () => pool.handle(none),
          () => pool.send(none, address),
          () => pool.share(none),
        ]) {
          expectError(action, 'BuddyMallocError', 'ERR_FOREIGN_BUFFER');
        }
      }
      other.destroy();
    });
  });

  it('the Buffer of a recycler that was kept after its release reaches the memory', () => {
    withPool(guard, (pool) => {
      const frames = pool.fixed(100);
      const kept = frames.acquire();
      frames.release(kept);
      kept[0] = 77;
      expect(frames.acquire()[0]).toBe(77);
    });
  });

  it('blocks larger than a region, and those of allocArrayBuffer, are detached when they are freed', () => {
    const pool = createPool({ guard, regionSize: '64 KiB' });
    const [large, own] = [pool.alloc(100_000), pool.allocArrayBuffer(1000)];
    const views = [new Uint8Array(large.buffer), new Uint8Array(own)];
    expect([large.buffer.byteLength - 100_000 < 4096, own.byteLength]).toEqual([true, 1000]);
    pool.free(large);
    pool.free(own);
    expect(views.map(({ length }) => length)).toEqual([0, 0]);
    expect(pool.check()).toBe(0);
    pool.destroy();
  });

  it('a forgotten block of allocArrayBuffer is freed when the garbage collector finds it, also one of no bytes', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { setImmediate as turn } from 'node:timers/promises';
       const pool = createPool({ guard: '${guard}' });
       for (let i = 0; i < 200; i++) pool.allocArrayBuffer(i % 2 * 100);
       for (let i = 0; i < 1000 && pool.stats().forgotten < 200; i++) { gc(); await turn(); }
       const empty = pool.allocArrayBuffer(0);
       const moved = pool.adopt(pool.handle(empty));
       const { forgotten, usedBlocks } = pool.stats();
       pool.free(pool.realloc(pool.allocArrayBuffer(0), 10));
       pool.free(pool.allocArrayBuffer(0));
       pool.free(moved);
       console.log(forgotten, usedBlocks, pool.stats().usedBlocks, pool.check());`,
      ['--expose-gc'],
    );
    expect({ stdout, stderr }).toEqual({ stdout: '200 1 0 0', stderr: '' });
  });

  it('writing anything anywhere in the ArrayBuffers harms no bookkeeping', () => {
    withPool(guard, (pool) => {
      const blocks = Array.from({ length: 200 }, (_, i) => pool.alloc(i * 50));
      for (const block of blocks) new Uint8Array(block.buffer).fill(0xff);
      for (const block of blocks) pool.free(block);
      for (const block of blocks) if (block.length > 0) new Uint8Array(block.buffer).fill(0xaa);
      pool.trim();
      expect(pool.stats().usedBlocks).toBe(0);
    });
  });

  it('a block of one pool is foreign to another, and memory of one is never seen in another', () => {
    withPool(guard, (pool) => {
      pool.alloc(2 ** 20).fill(0x55);
      const other = createPool({ guard });
      const block = other.alloc(2 ** 20);
      expect(block.includes(0x55)).toBe(false);
      expectError(() => pool.free(block), 'BuddyMallocError', 'ERR_FOREIGN_BUFFER');
      other.destroy();
    });
  });
});
