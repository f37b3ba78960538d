/** Blocks that are written, go to a worker and come back, 16 on their way: pool-handover WAY SIZE BLOCKS. */
import { performance } from 'node:perf_hooks';
import { isMainThread, type MessagePort, parentPort, Worker } from 'node:worker_threads';
import { createPool, type Pool } from 'buddymalloc';
import { watchMemory } from './pool-memory.ts';

const IN_FLIGHT = 16;

const [way = '', ...numbers] = process.argv.slice(2);
const [size = 0, count = 0] = numbers.map(Number);

interface Side {
  /** Makes a block, writes all of it and sends it off. */
  send(port: MessagePort | Worker, i: number): void;
  /** Takes a block in, looks at it, and sends it back. */
  bounce(port: MessagePort, message: unknown): void;
  /** Takes in a block that came back, and needs it no more. */
  end(message: unknown): void;
}

function ours(pool: Pool): Side {
  return {
    send(port, i) {
      const block = pool.alloc(size);
      block.fill(i);
      port.postMessage(pool.handle(block));
    },
    bounce(port, handle: number) {
      const block = pool.adopt(handle);
      block[1] = block[0] as number;
      port.postMessage(pool.handle(block));
    },
    end: (handle: number) => pool.free(pool.adopt(handle)),
  };
}

const transfer: Side = {
  send(port, i) {
    const block = Buffer.allocUnsafeSlow(size);
    block.fill(i);
    port.postMessage(block, [block.buffer as ArrayBuffer]);
  },
  bounce(port, block: Uint8Array<ArrayBuffer>) {
    block[1] = block[0] as number;
    port.postMessage(block, [block.buffer]);
  },
  end: () => {},
};

/** What posting takes by itself: one block that stays here is written each time, and its number travels. */
function numberAlone(): Side {
  const block = Buffer.allocUnsafeSlow(size);
  return {
    send(port, i) {
      block.fill(i);
      port.postMessage(i);
    },
    bounce: (port, i) => port.postMessage(i),
    end: () => {},
  };
}

const sides: Record<string, () => Side> = {
  buddymalloc: () => ours(createPool({ name: 'handover' })),
  transfer: () => transfer,
  'a number alone': numberAlone,
};
const side = sides[way]?.();
if (side === undefined) throw new Error(`there is no way called ${way}`);

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) });
  await new Promise((resolve) => worker.once('message', resolve));
  let sent = 0;
  let back = 0;
  const memory = watchMemory();
  const started = performance.now();
  const ended = new Promise<number>((resolve) => {
    worker.on('message', (message: unknown) => {
      side.end(message);
      if (sent < count) side.send(worker, sent++);
      if (++back === count) resolve(performance.now() - started);
    });
  });
  while (sent < Math.min(IN_FLIGHT, count)) side.send(worker, sent++);
  const ms = await ended;
  await worker.terminate();
  console.log(JSON.stringify({ ms, ns: (ms * 1e6) / count, ...memory() }));
} else {
  const port = parentPort;
  if (port === null) throw new Error('this is no worker');
  port.on('message', (message: unknown) => side.bounce(port, message));
  port.postMessage('ready');
}
