import { describe, expect, it } from 'vitest';
import { runNode } from '../package/run-node.ts';
import { withWorkers } from './with-workers.ts';

describe('a handle', () => {
  it('moves a block to another thread and back without a copy', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p' });
      const worker = start(\`parentPort.on('message', (handle) => {
        const block = pool.adopt(handle);
        const intact = block.length === 70000 && block.every((byte) => byte === 3);
        parentPort.postMessage([intact, pool.handle(block.fill(4))]);
      })\`);
      const block = pool.alloc(70000).fill(3);
      worker.postMessage(pool.handle(block));
      const [[intact, handle]] = await once(worker, 'message');
      const back = pool.adopt(handle);
      say({ intact, sameMemory: back.byteOffset === block.byteOffset, written: back[69999], code: codeOf(() => pool.free(block)) });
      pool.free(back);
      await worker.terminate();`);
    expect(result).toEqual({ intact: true, sameMemory: true, written: 4, code: 'ERR_BLOCK_MOVED' });
  });

  it('is stale once it was adopted, by any thread', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p' });
      const worker = start("parentPort.on('message', (handle) => { pool.free(pool.adopt(handle)); parentPort.postMessage(0); })");
      const handle = pool.handle(pool.alloc(100));
      worker.postMessage(handle);
      await once(worker, 'message');
      const codes = [handle, handle + 1, 1, 0, -1, 0.5, NaN, 2 ** 60].map((wrong) => codeOf(() => pool.adopt(wrong)));
      say({ codes: [...new Set(codes)], used: pool.stats().usedBlocks, check: pool.check() });
      await worker.terminate();`);
    expect(result).toEqual({ codes: ['ERR_STALE_HANDLE'], used: 0, check: 0 });
  });

  it('whose receiver dies stays until it is adopted, reclaimed or reset', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p' });
      const worker = start("parentPort.on('message', () => process.exit())");
      const handles = [1, 2, 3].map(() => pool.handle(pool.alloc(1000)));
      worker.postMessage(handles);
      await once(worker, 'exit');
      const before = pool.stats().handedOver;
      pool.free(pool.adopt(handles[0]));
      const reclaimed = pool.reclaim();
      pool.handle(pool.alloc(10));
      pool.reset();
      say({ before, reclaimed, after: pool.stats().handedOver, used: pool.stats().usedBlocks, check: pool.check() });`);
    expect(result).toEqual({ before: 3, reclaimed: 2, after: 0, used: 0, check: 0 });
  });

  it('survives the thread that handed the block over', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p' });
      const worker = start("parentPort.postMessage(pool.handle(pool.alloc(1000).fill(8)))");
      const [[handle]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
      const block = pool.adopt(handle);
      say({ intact: block.every((byte) => byte === 8), used: pool.stats().usedBlocks });`);
    expect(result).toEqual({ intact: true, used: 1 });
  });
});

describe('a worker', () => {
  it('that ends gives back what it holds, its stock included', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p' });
      pool.alloc(10);
      const worker = start("globalThis.kept = Array.from({ length: 500 }, (_, i) => pool.alloc(i * 100)); pool.free(kept.pop());");
      await once(worker, 'exit');
      say({ used: pool.stats().usedBlocks, stocked: pool.leaks().length, threads: pool.stats().threads, check: pool.check() });`);
    expect(result).toEqual({ used: 1, stocked: 1, threads: 1, check: 0 });
  });

  it('that is terminated in the middle leaves the pool whole', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p', limit: '64 MiB' });
      const busy = "parentPort.postMessage(0); const kept = []; for (;;) {" +
        "const block = pool.tryAlloc(Math.random() * 50000 | 0); if (block) kept.push(block.fill(1));" +
        "if (kept.length > 300 || !block) for (let i = 0; i < 100 && kept.length; i++) pool.free(kept.pop()); }";
      for (let round = 0; round < 5; round++) {
        const workers = [start(busy), start(busy), start(busy)];
        await Promise.all(workers.map((worker) => once(worker, 'message')));
        for (let i = 0; i < 2000; i++) { const block = pool.tryAlloc(3000); if (block) pool.free(block); }
        await Promise.all(workers.map((worker) => worker.terminate()));
      }
      say({ used: pool.stats().usedBlocks, threads: pool.stats().threads, check: pool.check() });`);
    expect(result).toEqual({ used: 0, threads: 1, check: 0 });
  });

  it('frees a block that another thread waits for', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p', limit: '1 MiB' });
      const worker = start("let block = pool.alloc('1 MiB'); parentPort.on('message', () => pool.free(block)); parentPort.postMessage(0)");
      await once(worker, 'message');
      const waiting = pool.allocAsync('512 KiB');
      worker.postMessage(0);
      say((await waiting).length);
      await worker.terminate();`);
    expect(result).toBe(524_288);
  });

  it('whose recycler keeps blocks idle gives them to another that waits', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p', limit: '1 MiB' });
      const worker = start(\`const frames = pool.fixed('512 KiB');
        const both = [frames.acquire(), frames.acquire()];
        for (const frame of both) frames.release(frame);
        parentPort.on('message', () => parentPort.postMessage(frames.idle));
        parentPort.postMessage(0);\`);
      await once(worker, 'message');
      const block = await pool.allocAsync('1 MiB');
      worker.postMessage(0);
      const [idle] = await once(worker, 'message');
      say([block.length, idle]);
      await worker.terminate();`);
    expect(result).toEqual([1_048_576, 0]);
  });

  it('whose stock takes up the room loses it to a request that needs it', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p', limit: '4 MiB' });
      const worker = start(\`
        const blocks = Array.from({ length: 100 }, () => pool.alloc(200));
        for (const block of blocks) pool.free(block);
        parentPort.on('message', () => {
          const block = pool.alloc(200);
          pool.free(block);
          parentPort.postMessage(pool.stats().stockedBlocks > 0);
        });
        parentPort.postMessage(pool.stats().stockedBlocks > 0);\`);
      const [before] = await once(worker, 'message');
      const block = process.arch === 'x64' ? pool.alloc('4 MiB') : await pool.allocAsync('4 MiB');
      const taken = pool.stats().stockedBlocks;
      pool.free(block);
      worker.postMessage(0);
      const [after] = await once(worker, 'message');
      say({ before, taken, after, check: pool.check() });
      await worker.terminate();`);
    expect(result).toEqual({ before: true, taken: 0, after: true, check: 0 });
  });

  it('gets a clear error when another thread has destroyed the pool, and a Buffer that it holds becomes empty', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p' });
      const worker = start(\`
        const block = pool.alloc(1000).fill(5);
        parentPort.on('message', () => {
          const codeOf = (action) => { try { action(); } catch (error) { return error.code; } };
          parentPort.postMessage([codeOf(() => pool.alloc(1)), codeOf(() => pool.free(block)), pool.isDestroyed, block.length]);
        });
        parentPort.postMessage(0);\`);
      await once(worker, 'message');
      pool.destroy();
      worker.postMessage(0);
      const [answer] = await once(worker, 'message');
      say(answer);
      await worker.terminate();`);
    expect(result).toEqual(['ERR_POOL_DESTROYED', 'ERR_POOL_DESTROYED', true, 0]);
  });

  it('finds its blocks stale when another thread has reset the pool', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p' });
      const worker = start(\`
        const block = pool.alloc(1000);
        parentPort.on('message', () => {
          let code;
          try { pool.free(block); } catch (error) { code = error.code; }
          pool.free(pool.alloc(1000));
          parentPort.postMessage(code);
        });
        parentPort.postMessage(0);\`);
      await once(worker, 'message');
      pool.reset();
      worker.postMessage(0);
      const [code] = await once(worker, 'message');
      say({ code, used: pool.stats().usedBlocks, check: pool.check() });
      await worker.terminate();`);
    expect(result).toEqual({ code: 'ERR_DOUBLE_FREE', used: 0, check: 0 });
  });

  it('gets no error of another thread that resets the pool all the time, but of its own stale blocks', async () => {
    const result = await withWorkers(`
      const pool = createPool({ name: 'p' });
      const inbox = pool.receive((block, note) => { received++; try { pool.free(block); } catch (error) { codes.add(error.code); } });
      const worker = start('parentPort.postMessage(0); for (;;) pool.reset();');
      await once(worker, 'message');
      const codes = new Set();
      let received = 0;
      for (const end = performance.now() + 1000; performance.now() < end; await turn()) {
        for (let i = 0; i < 100; i++) {
          pool.alloc(2_000_000);
          codes.add(codeOf(() => pool.free(pool.alloc(2_000_000))));
          codes.add(codeOf(() => pool.realloc(pool.alloc(2000), 3_000_000)));
          codes.add(codeOf(() => pool.adopt(pool.handle(pool.alloc(2_000_000)))));
          codes.add(codeOf(() => pool.send(pool.alloc(10), inbox.address)));
        }
      }
      await worker.terminate();
      const before = received;
      for (let i = 0; i < 10; i++) pool.send(pool.alloc(10), inbox.address);
      while (received < before + 10) await turn();
      inbox.close();
      pool.reset();
      say({ codes: [...codes].filter(Boolean).sort(), used: pool.stats().usedBlocks, check: pool.check() });`);
    expect(result).toMatchObject({ used: 0, check: 0 });
    for (const code of (result as { codes: string[] }).codes) {
      expect(['ERR_DOUBLE_FREE', 'ERR_STALE_HANDLE', 'ERR_USE_AFTER_FREE']).toContain(code);
    }
  });

  it('opens a pool only with the options that it has', async () => {
    const result = await withWorkers(`
      createPool({ name: 'p', limit: '1 MiB' });
      const worker = start(\`
        const codeOf = (action) => { try { action(); return 'none'; } catch (error) { return error.code; } };
        parentPort.postMessage([codeOf(() => createPool({ name: 'p', limit: '1024 KiB' })),
          codeOf(() => createPool({ name: 'p', limit: '2 MiB' })), codeOf(() => openPool('q'))]);\`);
      const [codes] = await once(worker, 'message');
      say(codes);`);
    expect(result).toEqual(['none', 'ERR_POOL_MISMATCH', 'ERR_POOL_UNKNOWN']);
  });
});

describe('a shared block', () => {
  it.each([true, false])('is seen by several threads at once, and freed after the last (plain: %s)', async (plain) => {
    const result = await withWorkers(
      `const pool = createPool({ name: 'p' });
       const plain = ${plain};
       let shared = pool.share(pool.alloc(1000).fill(1), { plain });
       const job = \`const shared = pool.openShared(workerData.handle, { plain: \${plain} });
         const cells = new Int32Array(shared.buffer, 0, 2);
         for (let i = 0; i < 1000; i++) Atomics.add(cells, 1, 1);
         parentPort.postMessage(0);\`;
       new Int32Array(shared.buffer)[1] = 0;
       const workers = [1, 2].map(() => start(job, { handle: shared.handle }));
       await Promise.all(workers.map((worker) => once(worker, 'exit')));
       const sum = Atomics.load(new Int32Array(shared.buffer), 1);
       shared.release();
       shared = undefined;
       for (let i = 0; i < 1000 && pool.stats().shared > 0; i++) { gc(); await turn(); }
       say({ sum, left: pool.stats().shared, used: pool.stats().usedBlocks, check: pool.check() });`,
      ['--expose-gc'],
    );
    expect(result).toEqual({ sum: 2000, left: 0, used: 0, check: 0 });
  });
});

describe('at exit', () => {
  it.each(['process.exit(0)', 'process.reallyExit(0)', ''])(
    'nothing that a pool still has does harm to %s',
    async (exit) => {
      const ended = await runNode(
        `import { createPool } from 'buddymalloc';
       import { Worker } from 'node:worker_threads';
       import { once } from 'node:events';
       const pools = ['detach', 'check', 'off'].map((guard) => createPool({ name: guard, guard }));
       globalThis.kept = pools.flatMap((pool) => [pool.alloc(10), pool.alloc(1e6), pool.handle(pool.alloc(10)), pool.share(pool.alloc(10))]);
       const worker = new Worker("const { openPool } = require('buddymalloc'); const pool = openPool('check');" +
         "require('node:worker_threads').parentPort.postMessage(0);" +
         "setInterval(() => { for (let i = 0; i < 1e4; i++) pool.free(pool.alloc(i)); }, 0)", { eval: true, execArgv: [] });
       await once(worker, 'message');
       worker.unref();
       ${exit}`,
      );
      expect(ended).toMatchObject({ stderr: '', exitCode: 0 });
    },
  );
});
