import { describe, expect, it } from 'vitest';
import { runNode } from './run-node.ts';

/** Runs a script in which `start(code)` makes a worker of this code, and prints what it logs as JSON. */
async function withWorkers(script: string): Promise<unknown> {
  const { stdout, stderr, exitCode, signal } = await runNode(
    `import { once } from 'node:events';
     import { Worker } from 'node:worker_threads';
     import { adopt, free, handover, malloc, mallinfo, mallocCheck } from 'buddymalloc';
     const start = (code, workerData) => new Worker(
       "const { adopt, free, handover, malloc, mallinfo, realloc } = require('buddymalloc');" +
       "const { parentPort, workerData } = require('node:worker_threads');" + code,
       { eval: true, workerData, execArgv: [] });
     ${script}`,
  );
  expect({ stderr, exitCode, signal }).toEqual({ stderr: '', exitCode: 0, signal: undefined });
  return JSON.parse(stdout);
}

describe('worker_threads', () => {
  it('use the package at once, each with blocks of its own', async () => {
    const result = await withWorkers(`
      const job = \`
        let sum = 0;
        for (let i = 0; i < 5000; i++) {
          const bytes = new Uint8Array(malloc(1 + (i * 37) % 5000)).fill(workerData);
          const resized = new Uint8Array(realloc(bytes, 1 + (i * 53) % 9000));
          sum += Number(resized[0] === workerData);
          free(resized);
        }
        parentPort.postMessage(sum);\`;
      const workers = Array.from({ length: 8 }, (_, i) => start(job, i + 1));
      const sums = await Promise.all(workers.map(async (worker) => {
        const [[sum]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
        return sum;
      }));
      console.log(JSON.stringify({ sums, blocks: mallinfo().allocatedBlocks, check: mallocCheck() }));`);
    expect(result).toEqual({ sums: Array(8).fill(5000), blocks: 0, check: 0 });
  });

  it('give back what a worker held when it ends', async () => {
    const result = await withWorkers(`
      const worker = start("globalThis.kept = Array.from({ length: 500 }, () => malloc(4000)); parentPort.postMessage(0)");
      await once(worker, 'exit');
      console.log(JSON.stringify({ blocks: mallinfo().allocatedBlocks, check: mallocCheck() }));`);
    expect(result).toEqual({ blocks: 0, check: 0 });
  });

  it('give back what a worker held when it is terminated in the middle', async () => {
    const result = await withWorkers(`
      const busy = "parentPort.postMessage(0); const kept = []; for (;;) { kept.push(malloc(100), malloc(100000)); " +
        "if (kept.length > 500) free(kept.shift()); kept.push(realloc(kept.shift(), 500)); }";
      for (let round = 0; round < 10; round++) {
        const workers = [start(busy), start(busy), start(busy)];
        await Promise.all(workers.map((worker) => once(worker, 'message')));
        await Promise.all(workers.map((worker) => worker.terminate()));
      }
      console.log(JSON.stringify({ blocks: mallinfo().allocatedBlocks, check: mallocCheck() }));`);
    expect(result).toEqual({ blocks: 0, check: 0 });
  });

  it('refuse a block of another thread', async () => {
    const result = await withWorkers(`
      const block = malloc(100);
      const worker = start(
        "parentPort.once('message', (block) => { try { free(block); } catch (error) { parentPort.postMessage(error.code); } })");
      worker.postMessage(block);
      const [code] = await once(worker, 'message');
      await worker.terminate();
      console.log(JSON.stringify({ code, length: block.byteLength }));`);
    expect(result).toEqual({ code: 'ERR_FOREIGN_BUFFER', length: 100 });
  });
});

describe('postMessage with a block in its transfer list', () => {
  it('either throws a DataCloneError or copies, and leaves the block where it is', async () => {
    const result = (await withWorkers(`
      const { port1, port2 } = new MessageChannel();
      const block = malloc(100);
      new Uint8Array(block).fill(5);
      let outcome = 'copied';
      try {
        port1.postMessage(block, [block]);
        const [copy] = await once(port2, 'message');
        new Uint8Array(copy).fill(6);
      } catch (error) { outcome = error.name; }
      port1.close();
      const intact = new Uint8Array(block).every((byte) => byte === 5);
      free(block);
      console.log(JSON.stringify({ outcome, intact, length: block.byteLength }));`)) as { outcome: string };
    expect(result).toMatchObject({ intact: true, length: 0 });
    const major = Number(process.versions.node.split('.')[0]);
    expect(result.outcome).toBe(major >= 21 ? 'DataCloneError' : 'copied');
  });
});

describe('handover', () => {
  it('moves a block to another thread without a copy', async () => {
    const result = await withWorkers(`
      const worker = start(\`parentPort.once('message', (handle) => {
        const bytes = new Uint8Array(adopt(handle));
        const intact = bytes.length === 70000 && bytes.every((byte) => byte === 3);
        free(bytes);
        parentPort.postMessage(intact);
      })\`);
      const block = malloc(70000);
      new Uint8Array(block).fill(3);
      worker.postMessage(handover(block));
      const [intact] = await once(worker, 'message');
      console.log(JSON.stringify({ intact, length: block.byteLength, blocks: mallinfo().allocatedBlocks }));
      await worker.terminate();`);
    expect(result).toEqual({ intact: true, length: 0, blocks: 0 });
  });

  it('gives a handle that works once', async () => {
    const result = await withWorkers(`
      const handle = handover(malloc(10));
      free(adopt(handle));
      let code;
      try { adopt(handle); } catch (error) { code = error.code; }
      console.log(JSON.stringify(code));`);
    expect(result).toBe('ERR_STALE_HANDLE');
  });

  it('survives the thread that handed the block over', async () => {
    const result = await withWorkers(`
      const worker = start("parentPort.postMessage(handover(new Uint8Array(malloc(1000)).fill(8)))");
      const [[handle]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
      const bytes = new Uint8Array(adopt(handle));
      const intact = bytes.every((byte) => byte === 8);
      free(bytes);
      console.log(JSON.stringify({ intact, length: bytes.length, check: mallocCheck() }));`);
    expect(result).toEqual({ intact: true, length: 0, check: 0 });
  });

  it('takes blocks of no bytes and blocks of the fallback as well', async () => {
    const result = await withWorkers(`
      for (let i = 0; i < 262_144; i++) free(malloc(8));
      const lengths = [malloc(0), malloc(64)].map((block) => {
        const adopted = adopt(handover(block));
        const { byteLength } = adopted;
        free(adopted);
        return [block.byteLength, byteLength];
      });
      console.log(JSON.stringify(lengths));`);
    expect(result).toEqual([
      [0, 0],
      [0, 64],
    ]);
  });
});

describe('a runtime that forbids external memory', () => {
  it('gets blocks of its own memory, and a clear error where they would not do', async () => {
    const result = await withWorkers(`
      import { createRequire } from 'node:module';
      import { alignedAlloc, realloc } from 'buddymalloc';
      createRequire(import.meta.url)('node-gyp-build')(process.cwd()).forbidExternal(true);
      const block = realloc(malloc(100), 200);
      free(block);
      const codes = [() => alignedAlloc(64, 64), () => handover(malloc(8)), () => adopt(1)].map((action) => {
        try { action(); } catch (error) { return error.code; }
      });
      console.log(JSON.stringify({ native: mallinfo().threadBlocks, length: block.byteLength, codes }));`);
    expect(result).toEqual({ native: 0, length: 0, codes: Array(3).fill('ERR_NATIVE_FORBIDDEN') });
  });
});
