// Uses of a pool that must do no harm, however odd.
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { createPool } from '../../lib/index.ts';
import { expectError } from '../package/expect-error.ts';
import { runNode } from '../package/run-node.ts';

const [major = 0] = process.versions.node.split('.').map(Number);
const BUDDY = 'BuddyMallocError';

describe('a block', () => {
  it('is where it is, whatever properties of that name the program has given it', () => {
    const pool = createPool();
    const [block, neighbour] = [pool.alloc(64), pool.alloc(64).fill(1)];
    Object.defineProperties(block, { byteLength: { value: 65_536 }, buffer: { value: new ArrayBuffer(8) } });
    const adopted = pool.adopt(pool.handle(block));
    expect(adopted.length).toBe(64);
    pool.free(adopted);
    pool.alloc(65_536).fill(2);
    expect(neighbour[0]).toBe(1);
    pool.destroy();
  });

  it('with a region to itself, though small, does not come back for another of its size', () => {
    const pool = createPool({ regionSize: '64 KiB' });
    const aligned = pool.allocAligned(100, 2 ** 20);
    pool.free(aligned);
    pool.free(pool.alloc(100));
    expect([pool.stats().stockedBytes % 4096, pool.map().regions.length]).toEqual([128, 1]);
    pool.destroy();
  });

  it('larger than a region is detached by reset(), and the next one has its own memory', () => {
    const pool = createPool({ regionSize: '64 KiB' });
    const block = pool.alloc(100_000).fill(1);
    pool.reset();
    const next = pool.alloc(200_000);
    expect([block.length, next.length, pool.stats().usedBlocks]).toEqual([0, 200_000, 1]);
    pool.destroy();
  });

  it('of a recycler is stale after reset(), so that freeing it does not free what lies there now', () => {
    for (const guard of ['check', 'detach'] as const) {
      const pool = createPool({ guard });
      const old = pool.fixed(1000).acquire();
      pool.reset();
      const next = pool.alloc(1000).fill(1);
      expectError(() => pool.free(old), BUDDY, 'ERR_DOUBLE_FREE');
      pool.alloc(1000).fill(2);
      expect([next[0], pool.check()]).toEqual([1, 0]);
      pool.destroy();
    }
  });

  it('of a class that throws, or makes something else, is given back', () => {
    const pool = createPool();
    const throws = class extends Uint8Array {
      constructor() {
        super(0);
        throw new Error('no');
      }
    };
    const other = class extends Uint8Array {
      constructor() {
        super(8);
      }
    };
    expect(() => pool.typed(throws as never, 8)).toThrow('no');
    expectError(() => pool.typed(other as never, 8), 'TypeError', 'ERR_INVALID_ARG_TYPE');
    expectError(() => pool.typed({ BYTES_PER_ELEMENT: 1 } as never, 8), 'TypeError', 'ERR_INVALID_ARG_TYPE');
    expect([pool.stats().usedBlocks, pool.check()]).toEqual([0, 0]);
    pool.destroy();
  });

  it('is not made of a typed array that is none, or that was one before', () => {
    const pool = createPool();
    let array: Uint8Array = new Uint8Array(8);
    const returns = class {
      static readonly BYTES_PER_ELEMENT = 1;
      constructor() {
        // biome-ignore lint/correctness/noConstructorReturn: it is what a program may do
        return array;
      }
    };
    const made = pool.alloc(8);
    pool.free(made);
    const typed = pool.typed(Uint8Array, 8);
    pool.free(typed);
    for (array of [array, made, typed, new DataView(made.buffer, made.byteOffset, 8) as never]) {
      expectError(() => pool.typed(returns as never, 8), 'TypeError', 'ERR_INVALID_ARG_TYPE');
      // What it has returned is no block, or none any more: freed once more, two would get one memory.
      expect(() => pool.free(array as never)).toThrow();
    }
    expect([pool.stats().usedBlocks, pool.check()]).toEqual([0, 0]);
    expect(new Set([0, 1, 2, 3].map(() => pool.alloc(8).byteOffset)).size).toBe(4);
    pool.destroy();
  });

  it('freed by reset() is not freed once more when the garbage collector finds its ArrayBuffer', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { setImmediate as turn } from 'node:timers/promises';
       const pool = createPool();
       const forget = () => { pool.allocArrayBuffer(4096); };
       forget();
       pool.reset();
       const blocks = Array.from({ length: 70 }, () => pool.alloc(4096)); // one of them where that one was
       for (let i = 0; i < 10; i++) { gc(); await turn(); }
       console.log(pool.stats().usedBlocks);`,
      ['--expose-gc'],
    );
    expect({ stdout, stderr }).toEqual({ stdout: '70', stderr: '' });
  });

  it.runIf(major >= 22)('whose ArrayBuffer was transferred away can be freed, and nothing else', () => {
    for (const guard of ['detach', 'check', 'off'] as const) {
      const pool = createPool({ guard });
      const block = pool.alloc(4096);
      const moved = (block.buffer as unknown as { transfer(): ArrayBuffer }).transfer();
      for (const action of [() => pool.handle(block), () => pool.realloc(block, 9000), () => pool.share(block)]) {
        expectError(action, BUDDY, 'ERR_BLOCK_MOVED');
      }
      pool.free(block);
      new Uint8Array(moved).fill(1);
      expect([pool.alloc(4096).length, pool.check()]).toEqual([4096, 0]);
      pool.destroy();
    }
  });
});

describe('a pool without a name', () => {
  it('that nobody knows any more goes back to the system, and stays as long as anything of it can be reached', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { readFileSync } from 'node:fs';
       import { setImmediate as turn } from 'node:timers/promises';
       const mappings = () => readFileSync('/proc/self/maps', 'latin1').split('\\n').length;
       const collect = async () => { for (let i = 0; i < 10; i++) { gc(); await turn(); } };
       const slice = (() => createPool().alloc(100).fill(7).subarray(1))();
       const own = (() => new Uint8Array(createPool().allocArrayBuffer(100)).fill(7))();
       const shared = (() => { const pool = createPool(); return new Uint8Array(pool.share(pool.alloc(100).fill(7)).buffer); })();
       let came = 0;
       const waiting = (() => {
         const pool = createPool({ limit: '64 KiB' });
         const block = pool.alloc('64 KiB');
         const inbox = pool.receive((sent) => { came = sent.length; inbox.close(); });
         setTimeout(() => { pool.free(block); pool.send(pool.alloc(50), inbox.address); }, 50);
         return pool.allocAsync(1000);
       })();
       await collect();
       const before = mappings();
       for (let i = 0; i < 200; i++) { const pool = createPool(); pool.free(pool.alloc(1000).fill(1)); }
       for (let i = 0; i < 100 && mappings() > before + 100; i++) await collect();
       const grown = mappings() - before;
       const block = await waiting;
       while (came === 0) await turn();
       console.log(grown <= 100 || grown, [slice, own, shared].every((bytes) => bytes.every((byte) => byte === 7)), block.length, came);`,
      ['--expose-gc'],
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'true true 1000 50', stderr: '' });
  });
});

describe('stats()', () => {
  it('counts no block in the stock of a thread that has not heard of a reset yet', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { once } from 'node:events';
       import { Worker } from 'node:worker_threads';
       const pool = createPool({ name: 'p' });
       const worker = new Worker(\`const { openPool } = require('buddymalloc'); const pool = openPool('p');
         pool.free(pool.alloc(10)); require('node:worker_threads').parentPort.postMessage(0); for (;;);\`, { eval: true, execArgv: [] });
       await once(worker, 'message');
       pool.reset();
       const { usedBlocks, stockedBlocks } = pool.stats();
       console.log(usedBlocks, stockedBlocks);
       await worker.terminate();`,
    );
    expect({ stdout, stderr }).toEqual({ stdout: '0 0', stderr: '' });
  });
});

describe('a stack without room', () => {
  it('lets a block be freed and handed over once, and loses none', () => {
    const pool = createPool();
    const dive = (action: () => void): void => {
      try {
        dive(action);
      } catch {}
      action();
    };
    const attempt = (action: () => void): number => {
      let done = 0;
      try {
        dive(() => {
          try {
            action();
            done++;
          } catch {}
        });
      } catch {}
      return done;
    };
    for (let round = 0; round < 20; round++) {
      const block = pool.alloc(100);
      expect(attempt(() => pool.free(block))).toBe(1);
      const sent = pool.alloc(100);
      // Where there was no room left to say so, it was handed over all the same.
      expect(attempt(() => pool.handle(sent))).toBeLessThanOrEqual(1);
      expect([pool.reclaim(), pool.stats().usedBlocks]).toEqual([1, 0]);
    }
    expect([pool.stats().usedBlocks, pool.check()]).toEqual([0, 0]);
    pool.destroy();
  });
});

describe('an exception that nobody catches', () => {
  it.each([
    ['', 'throw new Error("lost")'],
    ['async ', 'await null; throw new Error("lost")'],
  ])('in an %sscope frees its blocks', async (kind, body) => {
    const { stdout } = await runNode(
      `import { createPool } from 'buddymalloc';
       const pool = createPool();
       process.on('uncaughtException', () => console.log(pool.stats().usedBlocks, pool.check()));
       setImmediate(() => pool.scope(${kind}() => { pool.alloc(10); pool.alloc(1e6); ${body}; }));`,
    );
    expect(stdout).toBe('0 0');
  });
});

describe('process.exit()', () => {
  it('in the middle of waits ends the process', async () => {
    const ended = await runNode(
      `import { createPool } from 'buddymalloc';
       import { once } from 'node:events';
       import { Worker } from 'node:worker_threads';
       const pool = createPool({ name: 'p', limit: '64 KiB' });
       globalThis.block = pool.alloc('64 KiB');
       const worker = new Worker(\`const { openPool } = require('buddymalloc'); const pool = openPool('p');
         for (let i = 0; i < 10; i++) pool.allocAsync(1000); require('node:worker_threads').parentPort.postMessage(0);\`,
         { eval: true, execArgv: [] });
       await once(worker, 'message');
       for (let i = 0; i < 10; i++) pool.allocAsync(1000);
       process.exit(3);`,
    );
    expect(ended).toMatchObject({ stderr: '', exitCode: 3, signal: undefined });
  });
});

describe('a worker that is terminated', () => {
  it('between adopting and handing over leaves each block once, or not at all', async () => {
    const name = `terminated ${process.pid}`;
    const pool = createPool({ name, limit: '4 MiB' });
    const code = `const { openPool } = require('buddymalloc'); const pool = openPool(${JSON.stringify(name)});
      const { parentPort } = require('node:worker_threads');
      parentPort.on('message', (handle) => { parentPort.postMessage(pool.handle(pool.adopt(handle))); pool.alloc(500); });`;
    for (let round = 0; round < 4; round++) {
      const worker = new Worker(code, { eval: true });
      let back = 0;
      const busy = new Promise<void>((resolve) => {
        worker.on('message', (handle: number) => {
          pool.free(pool.adopt(handle));
          if (++back === 20 + round) resolve();
          worker.postMessage(pool.handle(pool.alloc(3000)));
        });
      });
      for (let i = 0; i < 8; i++) worker.postMessage(pool.handle(pool.alloc(3000)));
      await busy;
      await worker.terminate();
      worker.removeAllListeners();
      pool.reclaim();
    }
    await turn();
    expect([pool.stats().usedBlocks, pool.stats().threads, pool.check()]).toEqual([0, 1, 0]);
    pool.destroy();
  });
});

describe('the permission model', () => {
  it('without --allow-addons refuses the package with the code of Node', async () => {
    const flag = major >= 23 ? '--permission' : '--experimental-permission';
    const { stdout } = await runNode(
      `try { await import('buddymalloc'); } catch (error) { console.log(error.code, error.cause?.code); }`,
      [flag, '--allow-fs-read=*'],
    );
    expect(stdout).toBe('ERR_NOT_BUILT ERR_DLOPEN_DISABLED');
  });
});

describe('a program with its own idea of', () => {
  it.each([
    ['an array', '(_, sites) => sites'],
    ['nothing', '() => undefined'],
    ['an error', '() => { throw new Error("stack"); }'],
  ])('the stack of an error, %s, gets blocks that are not traced', async (_, prepare) => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       const pool = createPool({ trace: true });
       Error.prepareStackTrace = ${prepare};
       pool.free(pool.alloc(100));
       pool.alloc(1000);
       console.log(pool.leaks().length, pool.leaks()[0].stack);`,
    );
    expect({ stdout, stderr }).toEqual({ stdout: '1 undefined', stderr: '' });
  });

  it('JSON gets a pool with its options', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       Object.prototype.toJSON = () => ({ limit: 1 });
       console.log(createPool({ limit: '1 MiB' }).stats().limit, createPool({ guard: 'detach' }).options.guard);`,
    );
    expect({ stdout, stderr }).toEqual({ stdout: '1048576 detach', stderr: '' });
  });
});

describe('a poisoned prototype', () => {
  it.each(['take', 'give', 'config', 'stockBuffer', 'usedBlocks'])(
    'with a setter for %s does not break a pool',
    async (key) => {
      const { stdout, stderr } = await runNode(
        `import { createPool } from 'buddymalloc';
       let stolen = 0;
       Object.defineProperty(Object.prototype, '${key}', { set() { stolen++; }, get() { return undefined; }, configurable: true });
       const pool = createPool();
       const block = pool.alloc(100);
       const { usedBlocks } = pool.stats();
       pool.free(block);
       console.log(stolen, usedBlocks, pool.check());`,
      );
      expect({ stdout, stderr }).toEqual({ stdout: '0 1 0', stderr: '' });
    },
  );

  it('of typed arrays, ArrayBuffer or species does not break a pool', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       const typed = Object.getPrototypeOf(Uint8Array);
       Object.defineProperty(typed, Symbol.species, { get() { return class { constructor() { throw new Error('species'); } }; } });
       Object.defineProperty(typed.prototype, 'byteLength', { get: () => 1e9 });
       Object.defineProperty(typed.prototype, 'buffer', { get: () => new ArrayBuffer(1) });
       Object.defineProperty(ArrayBuffer.prototype, 'byteLength', { get: () => 1e9 });
       delete ArrayBuffer.prototype.transfer;
       for (const guard of ['detach', 'check']) {
         const pool = createPool({ guard });
         const block = pool.realloc(pool.adopt(pool.handle(pool.alloc(100).fill(5))), 3000);
         const first = block[99];
         pool.free(block);
         console.log(first, pool.stats().usedBlocks, pool.check());
         pool.destroy();
       }`,
    );
    expect({ stdout, stderr }).toEqual({ stdout: '5 0 0\n5 0 0', stderr: '' });
  });
});
