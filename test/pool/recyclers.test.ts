// What becomes of the blocks that recyclers keep.
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createPool, type Guard } from '../../lib/index.ts';
import { expectError } from '../package/expect-error.ts';
import { runNode } from '../package/run-node.ts';
import { withWorkers } from './with-workers.ts';

describe('a recycler', () => {
  it.each(['detach', 'check', 'off'] as Guard[])(
    'that is garbage has its idle blocks freed, and no others (guard %s)',
    async (guard) => {
      const { stdout, stderr } = await runNode(
        `import { createPool } from 'buddymalloc';
         import { setImmediate as turn } from 'node:timers/promises';
         const pool = createPool({ guard: '${guard}' });
         const kept = (() => {
           const frames = pool.fixed(1000);
           const all = Array.from({ length: 10 }, () => frames.acquire());
           for (const frame of all.slice(1)) frames.release(frame);
           return all[0].fill(7);
         })();
         for (let i = 0; i < 1000 && pool.stats().usedBlocks > 1; i++) { gc(); await turn(); }
         console.log(pool.stats().usedBlocks, kept.every((byte) => byte === 7), pool.check());
         pool.free(kept);`,
        ['--expose-gc'],
      );
      expect({ stdout, stderr }).toEqual({ stdout: '1 true 0', stderr: '' });
    },
  );

  it('gives way to what another thread waits for, however many there are of it', async () => {
    const result = await withWorkers(
      `const pool = createPool({ name: 'p', limit: '1 MiB' });
       const worker = start(\`const all = Array.from({ length: 8000 }, () => pool.fixed(64));
         for (const frames of all) frames.release(frames.acquire());
         parentPort.on('message', () => parentPort.postMessage(all.filter(({ idle }) => idle > 0).length));
         parentPort.postMessage(0);\`);
       await once(worker, 'message');
       const block = await pool.allocAsync('1 MiB');
       worker.postMessage(0);
       const [left] = await once(worker, 'message');
       say([block.length, left, pool.stats().usedBlocks, pool.check()]);
       await worker.terminate();`,
    );
    expect(result).toEqual([1_048_576, 0, 1, 0]);
  });

  it('gives way in a thread while others free everything', async () => {
    const result = await withWorkers(
      `const pool = createPool({ name: 'p', limit: '256 KiB' });
       const worker = start('parentPort.postMessage(0); for (;;) pool.reset();');
       await once(worker, 'message');
       const codes = new Set();
       for (const end = performance.now() + 500; performance.now() < end; ) {
         const frames = pool.fixed(4096);
         const all = [];
         for (let i = 0; i < 16; i++) codes.add(codeOf(() => all.push(frames.acquire())));
         for (const frame of all) codes.add(codeOf(() => frames.release(frame)));
         codes.add(codeOf(() => pool.alloc('256 KiB')));
       }
       await worker.terminate();
       pool.reset();
       const known = [undefined, 'ERR_DOUBLE_FREE', 'ERR_POOL_FULL'];
       say([[...codes].filter((code) => !known.includes(code)), pool.stats().usedBlocks, pool.check()]);`,
    );
    expect(result).toEqual([[], 0, 0]);
  });

  it('is made by pool.fixed() alone, and an inbox by pool.receive(): what a program makes up has no blocks of a pool', async () => {
    const pool = createPool();
    const frames = pool.fixed(64);
    const inbox = pool.receive(() => {});
    const memory = pool.alloc(64).buffer;
    const home = { pool, own: false, stale: false, capacity: 62, most: 62, base: 16, sizeClass: 0 };
    const madeUp = {
      quick: { stock: new Int32Array(16), word: 0 },
      native: { openInbox: () => 1 },
      inboxes: new Set(),
      look: () => {},
      stayIfNeeded: () => {},
      fixedHome: () => Object.assign(home, { era: home }),
      addRecycler: () => {},
      takeOrThrow: () => 0,
      prepare: () => {},
      open: () => ({ memory, offset: 0 }),
    };
    type Maker = new (...args: unknown[]) => object;
    const [Recycler, Box] = [frames.constructor as Maker, inbox.constructor as Maker];
    for (const inside of [madeUp, frames, {}]) {
      expectError(() => new Recycler(pool, 64, inside), 'TypeError', 'ERR_INVALID_ARG_TYPE');
      expectError(() => new Box(inside, () => {}), 'TypeError', 'ERR_INVALID_ARG_TYPE');
    }
    inbox.close();
    await turn();
    expect([pool.stats().usedBlocks, pool.check()]).toEqual([1, 0]);
    pool.destroy();
  });
});
