import { describe, expect, it } from 'vitest';
import { runNode } from './run-node.ts';

/** Runs a script with the functions imported and the collector within reach; `turn` lets the event loop run finalizers. */
async function figures(script: string, flags: string[] = []): Promise<Record<string, number>> {
  const { stdout, stderr, exitCode } = await runNode(
    `import { calloc, free, malloc, mallinfo, mallocCheck, realloc } from 'buddymalloc';
     import { setImmediate as turn } from 'node:timers/promises';
     const rss = () => Math.round(process.memoryUsage().rss / 2 ** 20);
     async function until(condition) {
       for (let i = 0; i < 1000 && !condition(); i++) { gc(); await turn(); }
     }
     ${script}`,
    ['--expose-gc', ...flags],
  );
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  return JSON.parse(stdout) as Record<string, number>;
}

describe('a forgotten block', () => {
  it('is freed when the garbage collector finds it, and counted', async () => {
    const after = await figures(`
      for (let i = 0; i < 1000; i++) malloc(1000);
      await until(() => mallinfo().threadBlocks === 0);
      const { threadBlocks, forgottenBlocks, allocatedBlocks } = mallinfo();
      console.log(JSON.stringify({ threadBlocks, forgottenBlocks, allocatedBlocks, check: mallocCheck() }));`);
    expect(after).toEqual({ threadBlocks: 0, forgottenBlocks: 1000, allocatedBlocks: 0, check: 0 });
  });

  it('is kept while a view of it is reachable', async () => {
    const after = await figures(`
      const views = Array.from({ length: 100 }, (_, i) => new Uint8Array(malloc(5000)).fill(i));
      for (let i = 0; i < 20; i++) { gc(); await turn(); malloc(5000); }
      const intact = views.every((view, i) => view.every((byte) => byte === i));
      console.log(JSON.stringify({ intact: Number(intact), kept: Number(mallinfo().threadBlocks >= 100) }));`);
    expect(after).toEqual({ intact: 1, kept: 1 });
  });

  it('does not count as forgotten if it was freed', async () => {
    const after = await figures(`
      for (let i = 0; i < 1000; i++) free(realloc(malloc(100), 200));
      await until(() => mallinfo().waitingBlocks === 0);
      const { waitingBlocks, forgottenBlocks } = mallinfo();
      console.log(JSON.stringify({ waitingBlocks, forgottenBlocks }));`);
    expect(after).toEqual({ waitingBlocks: 0, forgottenBlocks: 0 });
  });
});

describe('a loop that never returns to the event loop', () => {
  it('keeps a bounded amount of forgotten memory waiting', async () => {
    const { native = 0, total } = await figures(`
      for (let i = 0; i < 20_000; i++) malloc(65_536);
      const { threadBytes, fallbackBlocks, threadBlocks } = mallinfo();
      console.log(JSON.stringify({ native: threadBytes, total: threadBlocks + fallbackBlocks }));`);
    expect(total).toBe(20_000);
    // 64 MiB may wait; what V8 has not yet found dead comes on top.
    expect(native).toBeLessThan(512 * 2 ** 20);
  });

  it('keeps a bounded number of freed blocks waiting', async () => {
    const { waiting = 0, fallback } = await figures(`
      for (let i = 0; i < 400_000; i++) free(malloc(64));
      const { waitingBlocks, fallbackBlocks } = mallinfo();
      console.log(JSON.stringify({ waiting: waitingBlocks, fallback: fallbackBlocks }));`);
    expect(waiting).toBeLessThanOrEqual(262_144);
    expect(fallback).toBe(400_000 - waiting);
  });

  it('gets native blocks again once the event loop has turned', async () => {
    const after = await figures(`
      for (let i = 0; i < 300_000; i++) free(malloc(64));
      await until(() => mallinfo().waitingBlocks === 0);
      const before = mallinfo();
      const block = malloc(64);
      const { threadBlocks, fallbackBlocks } = mallinfo();
      console.log(JSON.stringify({ native: threadBlocks, fallback: fallbackBlocks - before.fallbackBlocks }));`);
    expect(after).toEqual({ native: 1, fallback: 0 });
  });

  it('gets blocks from the fallback that behave like native ones', async () => {
    const after = await figures(`
      for (let i = 0; i < 262_144; i++) free(malloc(64));
      const block = calloc(10, 10);
      const fallback = mallinfo().fallbackBlocks > 0;
      new Uint8Array(block).fill(7);
      const resized = realloc(block, 300);
      const kept = new Uint8Array(resized).subarray(0, 100).every((byte) => byte === 7);
      free(resized);
      let code;
      try { free(resized); } catch (error) { code = error.code; }
      console.log(JSON.stringify({ fallback, old: block.byteLength, kept, length: resized.byteLength, code }));`);
    expect(after).toEqual({ fallback: true, old: 0, kept: true, length: 0, code: 'ERR_DOUBLE_FREE' });
  });
});

describe('at exit', () => {
  it.each(['process.exit(0)', 'process.reallyExit(0)', ''])('live blocks do no harm to %s', async (exit) => {
    const ended = await runNode(`
      import { malloc, handover } from 'buddymalloc';
      globalThis.kept = Array.from({ length: 1000 }, () => malloc(1000));
      handover(malloc(1000));
      ${exit}`);
    expect(ended).toMatchObject({ stderr: '', exitCode: 0 });
  });
});
