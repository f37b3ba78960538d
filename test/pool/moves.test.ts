import { describe, expect, it } from 'vitest';
import { runNode } from '../package/run-node.ts';

const [major = 0] = process.versions.node.split('.').map(Number);

/** Of these a thread moves each to another ArrayBuffer. The last pool ends with the thread. */
const SOURCES = `[
  malloc(100_000),
  check.alloc(1000).buffer,
  check.alloc(40_000_000).buffer,
  check.allocArrayBuffer(100_000),
  check.share(check.alloc(1000), { plain: true }).buffer,
  (detach.free(detach.alloc(1000)), detach.alloc(1000).buffer),
  createPool().alloc(1000).buffer,
]`;
/** Those of blocks by themselves, which nobody else may get as long as they can be reached. */
const WHOLE = [0, 3, 4, 5];

const ENDS: [string, string][] = [
  ['returns', ''],
  ['exits', 'process.exit();'],
  ['is terminated', 'setInterval(() => {}, 1e9);'],
  ['is terminated while it is busy', 'for (;;);'],
];

/** Threads move memory here and end, one after the other; here it is written to, and then let go. */
const MOVE = `
  import { once } from 'node:events';
  import { setImmediate as turn } from 'node:timers/promises';
  import { Worker } from 'node:worker_threads';
  import { createPool, free, malloc, mallinfo, mallocCheck } from 'buddymalloc';
  const [end, isTerminated, whole] = JSON.parse(process.argv.at(-1));
  const pools = ['check', 'detach'].map((guard) => createPool({ name: guard, guard }));
  const moved = [];
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(
      \`const { createPool, malloc, openPool } = require('buddymalloc');
       const { parentPort } = require('node:worker_threads');
       const [check, detach] = [openPool('check'), openPool('detach')];
       const buffers = ${SOURCES}.map((buffer) => buffer.transfer());
       parentPort.postMessage(buffers, buffers);
       \${end}\`,
      { eval: true, execArgv: [] });
    const over = once(worker, 'exit');
    const [buffers] = await once(worker, 'message');
    if (isTerminated) await worker.terminate();
    await over;
    moved.push(...buffers);
    for (const buffer of moved) new Uint8Array(buffer, 0, 1000).fill(round);
    for (let i = 0; i < 100; i++) { free(malloc(100_000)); for (const pool of pools) pool.free(pool.alloc(1000).fill(7)); }
  }
  const isKept = whole.every((i) => new Uint8Array(moved[i], 0, 1000).every((byte) => byte === 2));
  const found = pools.map((pool) => ({ stranded: pool.stats().stranded, used: pool.stats().usedBlocks, check: pool.check() }));
  const blocks = { stranded: mallinfo().strandedBlocks, check: mallocCheck() };
  const reclaimed = pools.map((pool) => pool.reclaim());
  for (const pool of pools) pool.destroy();
  for (const buffer of moved) new Uint8Array(buffer, 0, 1000).fill(9);
  moved.length = 0;
  for (let i = 0; i < 4; i++) { gc(); await turn(); }
  console.log(JSON.stringify({ isKept, found, blocks, reclaimed }));`;

describe.runIf(major >= 22)('a thread that moved memory with transfer(), posted it to another and ended', () => {
  it.each(ENDS)('leaves it whole when it %s', async (how, end) => {
    const args = JSON.stringify([end, how.startsWith('is terminated'), WHOLE]);
    const { stdout, stderr, exitCode } = await runNode(MOVE, ['--expose-gc'], {}, [args]);
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    expect(JSON.parse(stdout)).toEqual({
      isKept: true,
      // Two regions, a block by itself and a shared one; the region's blocks went back to the pool with the thread.
      found: [
        { stranded: 12, used: 6, check: 0 },
        { stranded: 3, used: 3, check: 0 },
      ],
      blocks: { stranded: 3, check: 0 },
      reclaimed: [3, 3],
    });
  });

  it('leaves nothing behind of what it has not moved', async () => {
    const { stdout, stderr } = await runNode(
      `import { once } from 'node:events';
       import { Worker } from 'node:worker_threads';
       import { createPool, mallinfo } from 'buddymalloc';
       const pool = createPool({ name: 'p', guard: 'detach' });
       const before = mallinfo().allocatedBlocks;
       const worker = new Worker(\`const { openPool, malloc, free } = require('buddymalloc');
         const pool = openPool('p');
         globalThis.kept = [malloc(1000), pool.alloc(1000), pool.allocArrayBuffer(1000), pool.alloc(4e7),
           pool.share(pool.alloc(100), { plain: true })];
         free(malloc(10)); pool.free(pool.alloc(10));
         pool.share(pool.alloc(100), { plain: true }).release();
         const moved = malloc(10).transfer(); const own = pool.alloc(10); own.buffer.transfer();
         free(moved);\`, { eval: true, execArgv: [] });
       await once(worker, 'exit');
       const { stranded, usedBlocks } = pool.stats();
       console.log(mallinfo().allocatedBlocks - before, mallinfo().strandedBlocks, stranded, usedBlocks, pool.reclaim());`,
    );
    // The one that was moved, within the thread, is the one that nobody can vouch for.
    expect({ stdout, stderr }).toEqual({ stdout: '0 0 1 1 1', stderr: '' });
  });
});

describe('a thread that is terminated in the middle of calls', () => {
  it.each([
    ['that allocate', 'malloc(1000); malloc(100);'],
    ['that throw', 'for (const size of [-1, "x", 1e300]) try { malloc(size); } catch {} try { free({}); } catch {}'],
    ['that look', 'mallinfo(); mallocInfo(); mallocStats(); pool.stats(); pool.map(); pool.leaks();'],
    ['that make pools', 'const own = createPool(); own.free(own.alloc(100)); own.destroy();'],
    ['that share', 'pool.share(pool.alloc(1000)); pool.share(pool.alloc(100), { plain: true }).release();'],
    ['that hand over', 'pool.free(pool.adopt(pool.handle(pool.alloc(100)))); free(adopt(handover(malloc(100))));'],
  ])('%s ends quietly', async (_, calls) => {
    const { stdout, stderr, exitCode } = await runNode(
      `import { once } from 'node:events';
       import { Worker } from 'node:worker_threads';
       import { createPool, mallocCheck } from 'buddymalloc';
       const pool = createPool({ name: 'p' });
       for (let i = 0; i < 6; i++) {
         const worker = new Worker(
           \`const { adopt, createPool, free, handover, malloc, mallinfo, mallocInfo, mallocStats, openPool } = require('buddymalloc');
             const pool = openPool('p');
             require('node:worker_threads').parentPort.postMessage(0);
             for (;;) { \${process.argv.at(-1)} }\`, { eval: true, execArgv: [] });
         await once(worker, 'message');
         for (let end = performance.now() + i; performance.now() < end; );
         await worker.terminate();
       }
       console.log(pool.check(), mallocCheck());`,
      [],
      {},
      [calls],
    );
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: '0 0', stderr: '', exitCode: 0 });
  });
});
