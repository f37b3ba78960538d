/** What the workers of workers.test.ts do: the twins of the C programs beside this file, over the Node package. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { adopt, free, handover, malloc, realloc } from '../lib/index.ts';

export interface Task {
  role: 'produce' | 'consume' | 'churn' | 'allocate-and-end';
  blocks: number;
  /** Where handles go, and where they come from. */
  output?: MessagePort | undefined;
  input?: MessagePort | undefined;
  /** 'churn' goes on until this is not 0. */
  stop?: Int32Array | undefined;
  seed: number;
}

/** The word that ends a stream of handles. */
export const END = 0;

/** A small congruential generator, so that a failure can be repeated from its seed. */
function* randomSizes(seed: number): Generator<number, never> {
  let state = seed + 1;
  for (let index = 0; ; index++) {
    state = (state * 48271) % 0x7fffffff;
    yield index % 200 === 0 ? 3_000_000 + (state % 1_000_000) : 8 + (state % (8 << (state % 13)));
  }
}

/** A block whose bytes tell its length, so that a stranger can verify it. */
export function filledBlock(size: number): ArrayBuffer {
  const block = malloc(size);
  new Uint8Array(block).fill(size % 251);
  return block;
}

/** Throws unless the block is one of filledBlock(), then frees it. */
export function verifyAndFree(block: ArrayBuffer): void {
  const bytes = new Uint8Array(block);
  const size = bytes.length;
  for (const at of [0, size >> 1, size - 1]) {
    if (bytes[at] !== size % 251) throw new Error(`byte ${at} of ${size} is ${bytes[at]}, expected ${size % 251}`);
  }
  free(block);
}

function produce({ blocks, output, seed }: Task): void {
  const sizes = randomSizes(seed);
  for (let i = 0; i < blocks; i++) output?.postMessage(handover(filledBlock(sizes.next().value)));
  output?.postMessage(END);
}

function consume({ input }: Task): Promise<void> {
  return new Promise((resolve, reject) => {
    input?.on('message', (handle: number) => {
      try {
        if (handle !== END) return verifyAndFree(adopt(handle));
        input.close();
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Allocates, resizes and frees; the event loop turns now and then, for the finalizers. */
async function churn({ blocks, stop, seed }: Task): Promise<void> {
  const sizes = randomSizes(seed);
  const live: ArrayBuffer[] = [];
  for (let i = 0; stop === undefined ? i < blocks : Atomics.load(stop, 0) === 0; i++) {
    live.push(filledBlock(sizes.next().value));
    if (live.length > 50) verifyAndFree(live.splice(i % 50, 1)[0] as ArrayBuffer);
    if (i % 10 === 0) free(realloc(malloc(100), 5000));
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  live.forEach(verifyAndFree);
}

async function work(task: Task): Promise<void> {
  if (task.role === 'produce' || task.role === 'allocate-and-end') return produce(task);
  if (task.role === 'consume') return consume(task);
  return churn(task);
}

if (parentPort !== null && (workerData as Task | null)?.role !== undefined) await work(workerData as Task);
