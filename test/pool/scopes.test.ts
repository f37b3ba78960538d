// Scopes whose functions do something odd.
import { describe, expect, it } from 'vitest';
import { createPool } from '../../lib/index.ts';
import { runNode } from '../package/run-node.ts';
import { withWorkers } from './with-workers.ts';

describe('a scope', () => {
  const raise = () => {
    throw new Error('no');
  };
  const withThen = (then: PropertyDescriptor) => Object.defineProperty({}, 'then', then);
  const own = (properties: PropertyDescriptorMap) => Object.defineProperties(Promise.resolve(1), properties);

  it('ends whatever its function returns', async () => {
    const pool = createPool();
    const results: [unknown, unknown][] = [
      [withThen({ get: raise }), 'no'],
      [withThen({ value: raise }), 'no'],
      [own({ finally: { value: () => 'never' } }), 1],
      [own({ constructor: { get: raise } }), 'no'],
      [withThen({ value: (resolve: (value: unknown) => void) => resolve(1) }), 1],
      [withThen({ value: 1 }), {}],
      [null, null],
      ['text', 'text'],
    ];
    for (const [result, expected] of results) {
      const run = async () =>
        pool.scope(() => {
          pool.alloc(1000);
          return result;
        });
      expect(await run().catch(({ message }: Error) => message)).toEqual(expected);
      expect(pool.stats().usedBlocks).toBe(0);
    }
    // No scope is taken to be open still: blocks come from the stock again.
    const block = pool.alloc(1000);
    pool.free(block);
    expect(pool.stats().stockedBlocks).toBeGreaterThan(0);
    pool.destroy();
  });

  it('lets go of what comes to its end inside, so that it may go on for long', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { setImmediate as turn } from 'node:timers/promises';
       const pool = createPool();
       const weak = [];
       const note = (block) => { weak.push(new WeakRef(block)); return block; };
       await pool.scope(async () => {
         (() => {
           pool.free(note(pool.alloc(100)));
           pool.free(note(pool.realloc(note(pool.alloc(100)), 100_000)));
           pool.adopt(pool.handle(note(pool.alloc(100))));
           pool.share(note(pool.alloc(100)), { plain: true }).release();
           const inbox = pool.receive(() => {});
           pool.send(note(pool.alloc(100)), inbox.address);
           inbox.close();
         })();
         for (let i = 0; i < 100 && weak.some((each) => each.deref()); i++) { await turn(); gc(); }
         console.log(weak.filter((each) => each.deref()).length, pool.stats().usedBlocks);
       });
       console.log(pool.stats().usedBlocks);`,
      ['--expose-gc'],
    );
    expect({ stdout, stderr }).toEqual({ stdout: '0 1\n0', stderr: '' });
  });

  it('ends while others free everything', async () => {
    const result = await withWorkers(
      `const pool = createPool({ name: 'p' });
       const worker = start('parentPort.postMessage(0); for (;;) pool.reset();');
       await once(worker, 'message');
       const codes = new Set();
       for (const end = performance.now() + 300; performance.now() < end; ) {
         codes.add(codeOf(() => pool.scope(() => { for (let i = 0; i < 20; i++) pool.alloc(5000); })));
       }
       await worker.terminate();
       pool.reset();
       say([[...codes].filter((code) => code !== undefined), pool.stats().usedBlocks, pool.check()]);`,
    );
    expect(result).toEqual([[], 0, 0]);
  });
});
