import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { MessageChannel, Worker } from 'node:worker_threads';
import { beforeEach, expect, test } from 'vitest';
import { adopt, mallinfo, mallocCheck } from '../lib/index.ts';
import { END, type Task, verifyAndFree } from './worker.ts';

const SECONDS = 120_000;

/** A worker knows nothing of TypeScript by itself. */
const START = `import('tsx/esm/api').then(({ tsImport }) => tsImport('./worker.ts', '${import.meta.url}'))`;

/** Starts a worker for the task; the promise fulfils when it has ended, and rejects if it threw. */
function start(task: Task): Promise<void> {
  const ports = [task.input, task.output].filter((port) => port !== undefined);
  const worker = new Worker(START, {
    eval: true,
    workerData: task,
    transferList: ports,
  });
  return once(worker, 'exit').then(([code]) => expect(code).toBe(0));
}

const figures = () => {
  const { allocatedBlocks, allocatedBytes, allocRequests, freeRequests, mmappedRegions } = mallinfo();
  return { allocatedBlocks, allocatedBytes, mmappedRegions, requestsOpen: allocRequests - freeRequests };
};

let before = figures();
beforeEach(() => {
  before = figures();
});

/** Every block came back, and the walker is content. */
function expectAllBack(): void {
  expect(mallocCheck()).toBe(0);
  expect(figures()).toEqual(before);
}

test(
  'blocks handed from producing to consuming workers arrive whole and are all freed',
  async () => {
    const pairs = [1, 2].flatMap((seed) => {
      const { port1: output, port2: input } = new MessageChannel();
      return [
        start({ role: 'produce', blocks: 2000, output, seed }),
        start({ role: 'consume', blocks: 0, input, seed }),
      ];
    });
    await Promise.all(pairs);
    expectAllBack();
  },
  SECONDS,
);

test(
  'a ring of blocks, each freed by a worker that did not allocate it, loses none',
  async () => {
    const { port1: first, port2: second } = new MessageChannel();
    const { port1: third, port2: fourth } = new MessageChannel();
    await Promise.all([
      start({ role: 'produce', blocks: 1500, output: first, seed: 3 }),
      start({ role: 'consume', blocks: 0, input: second, seed: 0 }),
      start({ role: 'produce', blocks: 1500, output: third, seed: 4 }),
      start({ role: 'consume', blocks: 0, input: fourth, seed: 0 }),
      start({ role: 'churn', blocks: 3000, seed: 5 }),
    ]);
    expectAllBack();
  },
  SECONDS,
);

test(
  'forty workers that come and go, four at a time, leave nothing behind',
  async () => {
    for (let generation = 0; generation < 10; generation++) {
      await Promise.all([0, 1, 2, 3].map((i) => start({ role: 'churn', blocks: 200, seed: generation * 4 + i })));
    }
    expectAllBack();
  },
  SECONDS,
);

test(
  'processes started while workers allocate find a heap in order',
  async () => {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const workers = [6, 7, 8].map((seed) => start({ role: 'churn', blocks: 0, stop, seed }));
    const run = promisify(execFile);
    for (let i = 0; i < 100; i++) await run('/bin/true');
    Atomics.store(stop, 0, 1);
    await Promise.all(workers);
    expectAllBack();
  },
  SECONDS,
);

test(
  'blocks of a worker that has ended are adopted, verified and freed by another thread',
  async () => {
    const { port1: output, port2: input } = new MessageChannel();
    const handles: number[] = [];
    const ended = new Promise<void>((resolve) => {
      input.on('message', (handle: number) => (handle === END ? resolve() : handles.push(handle)));
    });
    await start({ role: 'allocate-and-end', blocks: 500, output, seed: 9 });
    await ended;
    input.close();
    expect(handles).toHaveLength(500);
    for (const handle of handles) verifyAndFree(adopt(handle));
    expectAllBack();
  },
  SECONDS,
);
