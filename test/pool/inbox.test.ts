import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createPool, type Guard, type PoolBuffer } from '../../lib/index.ts';
import { expectError } from '../package/expect-error.ts';
import { runNode } from '../package/run-node.ts';
import { withWorkers } from './with-workers.ts';

/** A worker that sends back what comes, all of it written, with the note that it came with. */
const BOUNCE = `let back;
  const inbox = pool.receive((block, note) => pool.send(block.fill(note + 1), back, note));
  parentPort.once('message', (address) => { back = address; parentPort.postMessage(inbox.address); });`;

describe('an inbox', () => {
  it('gets blocks of another thread in order, without a copy, each with its note', async () => {
    const result = await withWorkers(
      `const pool = createPool({ name: 'p' });
       const worker = start(workerCode);
       const offsets = [], came = [], codes = new Set();
       let done;
       const all = new Promise((resolve) => { done = resolve; });
       const inbox = pool.receive((block, note) => {
         came.push([note, block.byteOffset === offsets[note], block.every((byte) => byte === note + 1)]);
         pool.free(block);
         if (came.length === 200) done();
       });
       worker.postMessage(inbox.address);
       const [address] = await once(worker, 'message');
       for (let note = 0; note < 200; note++) {
         const block = pool.alloc(70_000).fill(note);
         offsets.push(block.byteOffset);
         pool.send(block, address, note);
         codes.add(codeOf(() => pool.free(block)));
       }
       await all;
       inbox.close();
       await worker.terminate();
       say([...codes, came.every(([note, same, whole], i) => note === i && same && whole), pool.stats().usedBlocks, pool.check()]);`,
      [],
      BOUNCE,
    );
    expect(result).toEqual(['ERR_BLOCK_MOVED', true, 0, 0]);
  });

  it('keeps its thread alive until it is closed, or unless it is told not to', async () => {
    const result = await withWorkers(
      `const pool = createPool({ name: 'p' });
       const open = start('const inbox = pool.receive((block, note) => { pool.free(block); inbox.close(); }); parentPort.postMessage(inbox.address)');
       const [address] = await once(open, 'message');
       const released = start('pool.receive(() => {}).unref()');
       await once(released, 'exit');
       const again = start('const inbox = pool.receive(() => inbox.close()).unref().ref(); parentPort.postMessage(inbox.address)');
       const [other] = await once(again, 'message');
       pool.send(pool.alloc(10), address);
       pool.send(pool.alloc(10), other);
       await Promise.all([once(open, 'exit'), once(again, 'exit')]);
       say([pool.stats().threads, pool.stats().usedBlocks]);`,
    );
    expect(result).toEqual([1, 0]);
  });

  it('does not keep a thread that waits for room which nobody else can make', async () => {
    const { exitCode, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       const pool = createPool({ limit: '64 KiB' });
       pool.alloc('64 KiB');
       const inbox = pool.receive(() => {});
       pool.allocAsync(1);
       inbox.close();`,
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  it('frees what has come and was not taken in when it is closed, and what comes to a thread that ends', async () => {
    const result = await withWorkers(
      `const pool = createPool({ name: 'p' });
       const inbox = pool.receive(() => say('taken in'));
       for (let i = 0; i < 300; i++) pool.send(pool.alloc(i * 100), inbox.address);
       const before = pool.stats().usedBlocks;
       inbox.close();
       inbox.close();
       const after = pool.stats().usedBlocks;
       const busy = start('const inbox = pool.receive(() => {}); parentPort.postMessage(inbox.address); for (;;);');
       const [address] = await once(busy, 'message');
       for (let i = 0; i < 300; i++) pool.send(pool.alloc(i * 100), address);
       const owners = [...new Set(pool.leaks().map(({ thread }) => thread))];
       await busy.terminate();
       say([before, after, owners, pool.stats().usedBlocks, pool.check()]);`,
    );
    expect(result).toEqual([300, 0, ['other'], 0, 0]);
  });

  it('that is closed, or that nobody has, leaves the block with its sender', () => {
    const pool = createPool();
    const inbox = pool.receive(() => {});
    const block = pool.alloc(100);
    inbox.close();
    for (const address of [inbox.address, 0, -1, 0.5, 12_345, Number.NaN, 2 ** 60]) {
      expectError(() => pool.send(block, address), 'BuddyMallocError', 'ERR_STALE_HANDLE');
    }
    pool.free(block);
    expect(pool.stats().usedBlocks).toBe(0);
    pool.destroy();
  });

  it('refuses what is no block of the sender, and arguments of the wrong type', () => {
    const pool = createPool();
    const { address, close } = pool.receive(() => {});
    const freed = pool.alloc(8);
    pool.free(freed);
    const sent = pool.alloc(8);
    pool.send(sent, address);
    const send = (block: unknown, to: unknown = address, note: unknown = 0) =>
      pool.send(block as PoolBuffer, to as number, note as number);
    expectError(() => send(freed), 'BuddyMallocError', 'ERR_USE_AFTER_FREE');
    expectError(() => send(sent), 'BuddyMallocError', 'ERR_BLOCK_MOVED');
    expectError(() => send(pool.alloc(8).subarray(1)), 'BuddyMallocError', 'ERR_FOREIGN_BUFFER');
    expectError(() => send(8), 'TypeError', 'ERR_INVALID_ARG_TYPE');
    expectError(() => send(pool.alloc(8), '1'), 'TypeError', 'ERR_INVALID_ARG_TYPE');
    expectError(() => send(pool.alloc(8), address, 'x'), 'TypeError', 'ERR_INVALID_ARG_TYPE');
    expectError(() => pool.receive(8 as never), 'TypeError', 'ERR_INVALID_ARG_TYPE');
    expect(close).toBeTypeOf('function');
    expect(pool.check()).toBe(0);
    pool.destroy();
    expectError(() => pool.receive(() => {}), 'BuddyMallocError', 'ERR_POOL_DESTROYED');
  });

  it('forgets what was sent before a reset, and is closed when the pool is destroyed', async () => {
    const pool = createPool();
    const notes: number[] = [];
    const inbox = pool.receive((block, note) => {
      notes.push(note);
      pool.free(block);
    });
    for (let i = 0; i < 5; i++) pool.send(pool.alloc(1000), inbox.address, 1);
    pool.reset();
    expect(pool.stats().usedBlocks).toBe(0);
    pool.send(pool.alloc(1000), inbox.address, 2);
    while (notes.length === 0) await turn();
    expect([notes, pool.stats().usedBlocks, pool.check()]).toEqual([[2], 0, 0]);
    pool.send(pool.alloc(1000), inbox.address, 3);
    pool.destroy();
    await turn();
    inbox.close();
    expect(notes).toEqual([2]);
  });

  it.each(['detach', 'check', 'off'] as Guard[])(
    'takes in blocks of every size and kind at guard %s',
    async (guard) => {
      const pool = createPool({ guard, zeroOnAlloc: guard === 'off' });
      const came: string[] = [];
      const inbox = pool.receive((block, note) => {
        const isWhole = block.every((byte) => byte === 9);
        came.push(`${note}: ${block.length} ${isWhole}`);
        pool.free(block);
      });
      const sizes = [0, 1, 64, 5000, 2 ** 20 + 1, 40_000_000];
      sizes.forEach((size, note) => {
        const block = pool.alloc(size).fill(9);
        pool.send(block as PoolBuffer, inbox.address, note);
        if (guard === 'detach') expect(block.length).toBe(0);
      });
      pool.send(pool.typed(Uint8Array, 100).fill(9), inbox.address, 1e300);
      pool.send(pool.allocArrayBuffer(0), inbox.address, -0.5);
      while (came.length < sizes.length + 2) await turn();
      expect(came).toEqual([...sizes.map((size, note) => `${note}: ${size} true`), '1e+300: 100 true', '-0.5: 0 true']);
      inbox.close();
      expect([pool.stats().usedBlocks, pool.check()]).toEqual([0, 0]);
      pool.destroy();
    },
  );

  it('lets the event loop turn while more comes than it can take in', async () => {
    const pool = createPool();
    let turns = 0;
    let left = 5000;
    const inbox = pool.receive((block) => {
      left--;
      // What it sends itself would keep it busy for ever.
      if (left > 0) pool.send(block, inbox.address);
      else pool.free(block);
    });
    pool.send(pool.alloc(64), inbox.address);
    while (left > 0) {
      turns++;
      await turn();
    }
    expect(turns).toBeGreaterThanOrEqual(5);
    inbox.close();
    pool.destroy();
  });
});

describe('a listener that throws', () => {
  it('is an uncaught exception, and loses no other block of this inbox or another', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { setImmediate as turn } from 'node:timers/promises';
       const pool = createPool();
       let thrown = 0;
       process.on('uncaughtException', (error) => { thrown += error.message === 'no' ? 1 : 100; });
       const came = [];
       const inboxes = [0, 1].map((number) => pool.receive((block, note) => {
         pool.free(block);
         came.push(number);
         if (note % 2 === 0) throw new Error('no');
       }));
       for (let note = 0; note < 10; note++) for (const inbox of inboxes) pool.send(pool.alloc(100), inbox.address, note);
       while (came.length < 20) await turn();
       for (let i = 0; i < 5; i++) await turn();
       for (const inbox of inboxes) inbox.close();
       console.log(thrown, came.filter((number) => number === 1).length, pool.stats().usedBlocks, pool.check());`,
    );
    expect({ stdout, stderr }).toEqual({ stdout: '10 10 0 0', stderr: '' });
  });
});

describe('threads that send each other blocks', () => {
  it('and are terminated in the middle leave the pool whole', async () => {
    const result = await withWorkers(
      `const pool = createPool({ name: 'p', limit: '64 MiB' });
       let rounds = 0;
       for (let i = 0; i < 4; i++) {
         const workers = [start(workerCode), start(workerCode)];
         const addresses = (await Promise.all(workers.map((worker) => once(worker, 'message')))).map(([address]) => address);
         workers.forEach((worker, number) => worker.postMessage(addresses[1 - number]));
         await once(workers[0], 'message');
         rounds++;
         await Promise.all(workers.map((worker) => worker.terminate()));
       }
       say([rounds, pool.stats().usedBlocks, pool.stats().threads, pool.check()]);`,
      [],
      `let to, count = 0;
         const trySend = (block) => { if (to === undefined) return pool.free(block); try { pool.send(block, to); } catch (error) { if (error.code !== 'ERR_STALE_HANDLE') throw error; pool.free(block); } };
         const inbox = pool.receive((block) => {
           if (++count === 1000) parentPort.postMessage(0);
           if (count % 3 === 0) { pool.free(block); block = pool.alloc(count % 5000); }
           trySend(block.fill(1));
         });
         parentPort.once('message', (address) => { to = address; for (let i = 0; i < 50; i++) trySend(pool.alloc(i * 100)); });
         parentPort.postMessage(inbox.address);`,
    );
    expect(result).toEqual([4, 0, 1, 0]);
  });

  it('do so where native memory is forbidden too, by copies', async () => {
    const { stdout, stderr } = await runNode(
      `import { createRequire } from 'node:module';
       createRequire(import.meta.url)('node-gyp-build')(process.cwd()).forbidExternal(true);
       const { createPool } = await import('buddymalloc');
       const pool = createPool();
       const inbox = pool.receive((block, note) => {
         console.log(block.length, block.every((byte) => byte === 7), note);
         pool.free(block);
         inbox.close();
         console.log(pool.stats().usedBlocks);
       });
       pool.send(pool.alloc(5000).fill(7), inbox.address, 3.5);`,
    );
    expect({ stdout, stderr }).toEqual({ stdout: '5000 true 3.5\n0', stderr: '' });
  });
});
