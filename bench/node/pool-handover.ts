/** Blocks that are written, go to a worker and come back, 16 on their way: pool-handover WAY SIZE BLOCKS. */
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { isMainThread, type MessagePort, parentPort, Worker } from 'node:worker_threads';
import { createPool } from 'buddymalloc';
import { watchMemory } from './pool-memory.ts';

const IN_FLIGHT = 16;

const [way = '', ...numbers] = process.argv.slice(2);
const [size = 0, count = 0] = numbers.map(Number);

/** How blocks travel, as each of the two threads has it. */
interface Line {
  /** In the worker: takes each block in, looks at it, and sends it back. */
  serve(port: MessagePort): void;
  /**
   * Here.
   * @param back - to be called for each block that came back and is needed no more
   * @returns when the worker is ready, what makes a block, writes all of it and sends it off
   */
  open(worker: Worker, back: () => void): Promise<(i: number) => void>;
}

/** A message for each block. */
function byMessages(side: {
  send(port: Worker, i: number): void;
  bounce(port: MessagePort, message: unknown): void;
  end(message: unknown): void;
}): Line {
  return {
    serve(port) {
      port.on('message', (message: unknown) => side.bounce(port, message));
      port.postMessage('ready');
    },
    async open(worker, back) {
      await once(worker, 'message');
      worker.on('message', (message: unknown) => {
        side.end(message);
        back();
      });
      return (i) => side.send(worker, i);
    },
  };
}

/** From inbox to inbox. */
function sent(): Line {
  const pool = createPool({ name: 'handover' });
  return {
    serve(port) {
      port.once('message', (home: number) => {
        const inbox = pool.receive((block, i) => {
          block[1] = block[0] as number;
          pool.send(block, home, i);
        });
        port.postMessage(inbox.address);
      });
    },
    async open(worker, back) {
      const inbox = pool.receive((block) => {
        pool.free(block);
        back();
      });
      worker.postMessage(inbox.unref().address);
      const [away] = await once(worker, 'message');
      return (i) => {
        const block = pool.alloc(size);
        block.fill(i);
        pool.send(block, away, i);
      };
    },
  };
}

function handles(): Line {
  const pool = createPool({ name: 'handover' });
  return byMessages({
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
  });
}

const transfer = (): Line =>
  byMessages({
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
  });

/** What posting takes by itself: one block that stays here is written each time, and its number travels. */
function numberAlone(): Line {
  const block = Buffer.allocUnsafeSlow(size);
  return byMessages({
    send(port, i) {
      block.fill(i);
      port.postMessage(i);
    },
    bounce: (port, i) => port.postMessage(i),
    end: () => {},
  });
}

const LINES: Record<string, () => Line> = {
  buddymalloc: sent,
  'handles by postMessage': handles,
  transfer,
  'a number alone': numberAlone,
};
const line = LINES[way]?.();
if (line === undefined) throw new Error(`there is no way called ${way}`);

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) });
  let sentBlocks = 0;
  let back = 0;
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const send = await line.open(worker, () => {
    if (sentBlocks < count) send(sentBlocks++);
    if (++back === count) end();
  });
  const memory = watchMemory();
  const started = performance.now();
  while (sentBlocks < Math.min(IN_FLIGHT, count)) send(sentBlocks++);
  await ended;
  const ms = performance.now() - started;
  await worker.terminate();
  console.log(JSON.stringify({ ms, ns: (ms * 1e6) / count, ...memory() }));
} else {
  const port = parentPort;
  if (port === null) throw new Error('this is no worker');
  line.serve(port);
}
