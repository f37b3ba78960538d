// One worker of the ring: takes blocks in from its neighbour, checks and resizes them, and hands them on.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { adopt, free, handover, malloc, realloc } from 'buddymalloc';
import { fillPattern, holdsPattern, type RingTask, type Travelling } from './ring-protocol.ts';

const { blocks, hops, seed, from, to } = workerData as RingTask & { from: MessagePort; to: MessagePort };

/** A small generator (xorshift32), so that every run allocates the same sizes. */
let state = seed;
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

/** Mostly small, at times some hundred KiB, as in real programs. */
const anySize = () => 1 + random(1 << (4 + random(15)));

function send(block: ArrayBuffer, pattern: number, hopsLeft: number): void {
  const message: Travelling = { handle: handover(block), pattern, hopsLeft };
  to.postMessage(message);
}

from.on('message', ({ handle, pattern, hopsLeft }: Travelling) => {
  const block = adopt(handle);
  if (!holdsPattern(block, pattern)) throw new Error('a block arrived with other contents than it was sent with');
  if (hopsLeft === 0) {
    free(block);
    parentPort?.postMessage('freed');
    return;
  }
  const before = block.byteLength;
  const resized = realloc(block, anySize());
  if (!holdsPattern(resized, pattern, before)) throw new Error('resizing a block changed its contents');
  fillPattern(resized, pattern + 1);
  send(resized, pattern + 1, hopsLeft - 1);
});

for (let i = 0; i < blocks; i++) {
  const block = malloc(anySize());
  fillPattern(block, i);
  send(block, i, hops);
}
