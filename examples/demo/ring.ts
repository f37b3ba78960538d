// Part one: workers allocate native blocks and pass them round a ring, without a copy.
import { MessageChannel, Worker } from 'node:worker_threads';
import type { RingTask } from './ring-protocol.ts';

/** What the ring did. */
export interface RingResult {
  workers: number;
  blocks: number;
  handovers: number;
  milliseconds: number;
}

/**
 * Runs the ring until every block has been freed.
 * @param atWork - called when all blocks are freed and the workers still live, to look at their arenas
 */
export async function runRing(workers: number, blocks: number, hops: number, atWork: () => void): Promise<RingResult> {
  const started = performance.now();
  const channels = Array.from({ length: workers }, () => new MessageChannel());
  let freed = 0;
  const threads: Worker[] = [];
  await new Promise<void>((resolve, reject) => {
    for (let i = 0; i < workers; i++) {
      const from = channels[i]?.port1;
      const to = channels[(i + 1) % workers]?.port2;
      if (from === undefined || to === undefined) throw new Error('a worker has no neighbour');
      const task: RingTask = { blocks, hops, seed: i + 1 };
      const worker = new Worker(new URL('./ring-worker.js', import.meta.url), {
        workerData: { ...task, from, to },
        transferList: [from, to],
      });
      worker.on('error', reject);
      worker.on('message', () => {
        freed++;
        if (freed === workers * blocks) resolve();
      });
      threads.push(worker);
    }
  });
  const milliseconds = performance.now() - started;
  atWork();
  await Promise.all(threads.map((worker) => worker.terminate()));
  return { workers, blocks: workers * blocks, handovers: workers * blocks * (hops + 1), milliseconds };
}
