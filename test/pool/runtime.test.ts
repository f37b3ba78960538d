import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { createPool } from '../../lib/index.ts';
import { runNode } from '../package/run-node.ts';

const [major = 0] = process.versions.node.split('.').map(Number);

/** Uses much of a pool, and prints what must be the same everywhere. */
const TRY = `
  import { createPool } from 'buddymalloc';
  const results = ['detach', 'check', 'off'].map((guard) => {
    const pool = createPool({ guard, limit: '8 MiB' });
    const blocks = Array.from({ length: 100 }, (_, i) => pool.alloc(i * 500).fill(i));
    const intact = blocks.every((block, i) => block.every((byte) => byte === i));
    blocks[0] = pool.realloc(blocks[0], 5000);
    blocks[1] = pool.adopt(pool.handle(blocks[1].fill(3)));
    const moved = blocks[1].length === 500 && blocks[1].every((byte) => byte === 3);
    pool.free(pool.typed(Float64Array, 10).fill(1));
    pool.free(pool.allocArrayBuffer(10));
    const sum = pool.scope(() => pool.allocZeroed(10).reduce((a, b) => a + b, 0));
    for (const block of blocks) pool.free(block);
    let code;
    if (guard !== 'off') try { pool.free(blocks[5]); } catch (error) { code = error.code; }
    const { usedBlocks } = pool.stats();
    const check = pool.check();
    pool.destroy();
    return { intact, moved, sum, usedBlocks, code, check };
  });
  console.log(JSON.stringify(results));`;
const GOOD = { intact: true, moved: true, sum: 0, usedBlocks: 0, code: 'ERR_DOUBLE_FREE', check: 0 };
const expected = ['detach', 'check', 'off'].map((guard) => (guard === 'off' ? { ...GOOD, code: undefined } : GOOD));

const FLAGS: [string, string[]][] = [
  ['no flags', []],
  ['frozen intrinsics', ['--frozen-intrinsics']],
  ['no __proto__', ['--disable-proto=delete']],
  [
    'the permission model',
    [major >= 23 ? '--permission' : '--experimental-permission', '--allow-fs-read=*', '--allow-addons'],
  ],
  ['an optimising compiler from the start', [major >= 26 ? '--no-lazy-feedback-allocation' : '--always-turbofan']],
  ['a garbage collector that runs all the time', ['--gc-interval=500']],
];

describe.each(FLAGS)('with %s', (_, flags) => {
  it('a pool works', async () => {
    const { stdout, stderr, exitCode } = await runNode(TRY, flags);
    expect({ exitCode, stderr: stderr.replaceAll(/^.*(Warning|node --trace-warnings).*\n?/gm, '') }).toEqual({
      exitCode: 0,
      stderr: '',
    });
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(expected)));
  });
});

describe('a runtime that forbids external memory', () => {
  it('gets blocks of its own memory with the same behaviour, copied on handover, and says so', async () => {
    const script = TRY.replace(
      "import { createPool } from 'buddymalloc';",
      `import { createRequire } from 'node:module';
       import { createPool } from 'buddymalloc';
       createRequire(import.meta.url)('node-gyp-build')(process.cwd()).forbidExternal(true);`,
    );
    const { stdout, stderr } = await runNode(script);
    expect({ results: JSON.parse(stdout), stderr }).toEqual({
      results: JSON.parse(JSON.stringify(expected)),
      stderr: '',
    });
  });

  it('keeps its blocks while others wait for room, and hears of a reset', async () => {
    const { stdout, stderr } = await runNode(
      `import { createRequire } from 'node:module';
       createRequire(import.meta.url)('node-gyp-build')(process.cwd()).forbidExternal(true);
       import { setImmediate as turn } from 'node:timers/promises';
       const { createPool } = await import('buddymalloc');
       const pool = createPool({ limit: '128 KiB' });
       const [stays, goes] = [pool.alloc('64 KiB'), pool.alloc('64 KiB')];
       const waiting = pool.allocAsync('64 KiB');
       pool.free(goes);
       const came = await waiting;
       for (let i = 0; i < 5; i++) await turn();
       pool.free(stays);
       pool.free(came);
       const stale = pool.alloc(10);
       pool.reset();
       let code;
       try { pool.free(stale); } catch (error) { code = error.code; }
       console.log(code, pool.stats().usedBlocks, pool.check());`,
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'ERR_DOUBLE_FREE 0 0', stderr: '' });
  });

  it('gets a clear error for what copies cannot do', async () => {
    const { stdout } = await runNode(
      `import { createRequire } from 'node:module';
       import { createPool } from 'buddymalloc';
       createRequire(import.meta.url)('node-gyp-build')(process.cwd()).forbidExternal(true);
       const pool = createPool();
       const codes = [() => pool.allocAligned(8, 4096), () => pool.share(pool.alloc(8)), () => pool.openShared(1)].map((action) => {
         try { action(); } catch (error) { return error.code; }
       });
       console.log(JSON.stringify(codes));`,
    );
    expect(JSON.parse(stdout)).toEqual(Array(3).fill('ERR_NATIVE_FORBIDDEN'));
  });
});

describe('two copies of the package', () => {
  it('see one pool of a name, and hand blocks over to each other', async () => {
    const { stdout, stderr } = await runNode(
      `import { createRequire } from 'node:module';
       import { createPool } from 'buddymalloc';
       const other = createRequire(import.meta.url)('buddymalloc');
       const pool = createPool({ name: 'both' });
       const theirs = other.openPool('both');
       const block = pool.alloc(100).fill(7);
       let code;
       try { theirs.free(block); } catch (error) { code = error.code; }
       const adopted = theirs.adopt(pool.handle(block));
       console.log(JSON.stringify({ distinct: other.createPool !== createPool, code, byte: adopted[99], used: pool.stats().usedBlocks }));`,
    );
    expect({ result: JSON.parse(stdout), stderr }).toEqual({
      result: { distinct: true, code: 'ERR_FOREIGN_BUFFER', byte: 7, used: 1 },
      stderr: '',
    });
  });
});

describe('another context', () => {
  it('can use a block, and its wrappers of one are foreign', async () => {
    const { stdout, stderr } = await runNode(
      `import { createPool } from 'buddymalloc';
       import vm from 'node:vm';
       const pool = createPool();
       const block = pool.alloc(10).fill(1);
       const sum = vm.runInNewContext('block.fill(2); let sum = 0; for (const byte of block) sum += byte; sum', { block });
       const view = vm.runInNewContext('new Uint8Array(block.buffer, block.byteOffset, block.length)', { block });
       let code;
       try { pool.free(view); } catch (error) { code = error.code; }
       vm.runInNewContext('pool.free(block)', { pool, block });
       console.log(JSON.stringify({ sum, code, used: pool.stats().usedBlocks }));`,
    );
    expect({ result: JSON.parse(stdout), stderr }).toEqual({
      result: { sum: 20, code: 'ERR_FOREIGN_BUFFER', used: 0 },
      stderr: '',
    });
  });
});

describe('hostile use of ArrayBuffers', () => {
  it('transferring a region or a block away harms nothing but the views', async () => {
    const { stdout, stderr, exitCode } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { setImmediate as turn } from 'node:timers/promises';
       const codes = new Set();
       const attempt = (action) => { try { return action(); } catch (error) { codes.add(error.name); } };
       for (const guard of ['detach', 'check', 'off']) {
         const pool = createPool({ guard });
         const [block, next, large] = [pool.alloc(100), pool.alloc(100), pool.alloc(40_000_000)];
         const taken = [block, large].map(({ buffer }) => attempt(() => structuredClone(buffer, { transfer: [buffer] })));
         if (ArrayBuffer.prototype.transfer) taken.push(next.buffer.transfer());
         for (const each of [block, next, large]) pool.free(each);
         pool.alloc(100).fill(1);
         const shared = pool.share(pool.alloc(100), { plain: true });
         if (ArrayBuffer.prototype.transfer) taken.push(shared.buffer.transfer());
         shared.release();
         pool.destroy();
         for (let i = 0; i < 10; i++) { gc(); await turn(); }
         for (const buffer of taken) if (buffer) new Uint8Array(buffer).fill(1);
         globalThis.kept = taken;
       }
       for (let i = 0; i < 10; i++) { gc(); await turn(); }
       console.log('alive');`,
      ['--expose-gc'],
    );
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: 'alive', stderr: '', exitCode: 0 });
  });

  it('an ArrayBuffer marked as untransferable, which Node 24 lets nobody detach, crashes nothing', async () => {
    const { stdout, stderr, exitCode } = await runNode(
      `import { markAsUntransferable } from 'node:worker_threads';
       import { setImmediate as turn } from 'node:timers/promises';
       import { createPool, free, handover, malloc, mallocCheck, realloc } from 'buddymalloc';
       const attempt = (action) => { try { action(); } catch (error) { return error.code; } };
       const mark = (block) => (markAsUntransferable(block.buffer ?? block), block);
       const codes = [free, handover, (block) => realloc(block, 1e6)].map((action) => attempt(() => action(mark(malloc(100)))));
       const checks = [];
       for (const guard of ['detach', 'check', 'off']) {
         const pool = createPool({ guard });
         for (const block of [pool.alloc(100), pool.alloc(100), pool.alloc(4e7), pool.allocArrayBuffer(100)]) pool.free(mark(block));
         mark(pool.share(pool.alloc(100), { plain: true })).release();
         pool.handle(mark(pool.alloc(100)));
         pool.trim();
         checks.push(pool.check());
         pool.reset();
         pool.destroy();
       }
       for (let i = 0; i < 20; i++) { gc(); await turn(); }
       console.log(JSON.stringify([...codes.map((code) => code ?? null), ...checks, mallocCheck()]));
       // Without a clean-up, in which Node detaches what is left itself, and aborts.
       process.exit();`,
      ['--expose-gc'],
    );
    const code = major >= 24 ? 'ERR_FOREIGN_BUFFER' : null;
    expect({ stderr, stdout: JSON.parse(stdout), exitCode }).toEqual({
      stderr: '',
      stdout: [code, code, code, 0, 0, 0, 0],
      exitCode: 0,
    });
  });

  it('operations under way do not crash when their memory is freed or the pool destroyed', async () => {
    const { stdout, stderr, exitCode } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { deflate } from 'node:zlib';
       import { setImmediate as turn } from 'node:timers/promises';
       for (const guard of ['detach', 'check']) {
         const pool = createPool({ guard });
         const done = Array.from({ length: 8 }, () => new Promise((resolve) => {
           const block = pool.alloc(4_000_000).fill(7);
           deflate(block, resolve);
           if (guard === 'detach') pool.free(block);
         }));
         await turn();
         pool.destroy();
         for (let i = 0; i < 5; i++) { gc(); await turn(); }
         await Promise.all(done);
       }
       console.log('alive');`,
      ['--expose-gc'],
    );
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: 'alive', stderr: '', exitCode: 0 });
  });
});

describe('postMessage of a block itself', () => {
  it.runIf(major >= 22)('is an error in a transfer list, also of an ArrayBuffer that is used again', () => {
    const { port1, port2 } = new MessageChannel();
    for (const guard of ['detach', 'check'] as const) {
      const pool = createPool({ guard });
      for (let round = 0; round < 3; round++) {
        for (const buffer of [pool.alloc(100).buffer, pool.allocArrayBuffer(100)]) {
          expect(() => port1.postMessage(buffer, [buffer])).toThrow(
            expect.objectContaining({ name: 'DataCloneError' }),
          );
          expect(buffer.byteLength).toBeGreaterThan(0);
        }
        const [block, own] = [pool.alloc(100), pool.allocArrayBuffer(100)];
        pool.free(block);
        pool.free(own);
      }
      pool.destroy();
    }
    port1.close();
    port2.close();
  });

  it('copies: what arrives is no block, and the block stays', async () => {
    const { stdout } = await runNode(
      `import { createPool } from 'buddymalloc';
       import { once } from 'node:events';
       const pool = createPool({ regionSize: '64 KiB' });
       const { port1, port2 } = new MessageChannel();
       const block = pool.alloc(100).fill(5);
       port1.postMessage(block);
       const [copy] = await once(port2, 'message');
       copy.fill(6);
       let code;
       try { pool.free(copy); } catch (error) { code = error.code; }
       let transfer = 'copied';
       try { port1.postMessage(block, [block.buffer]); } catch (error) { transfer = error.name; }
       port1.close();
       console.log(JSON.stringify({ length: copy.length, whole: copy.buffer.byteLength, code, transfer, byte: block[0] }));
       pool.free(block);`,
    );
    expect(JSON.parse(stdout)).toEqual({
      length: 100,
      whole: 65_536,
      code: 'ERR_FOREIGN_BUFFER',
      transfer: major >= 21 ? 'DataCloneError' : 'copied',
      byte: 5,
    });
  });
});
