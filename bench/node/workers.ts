/** Four workers that allocate and drop Buffers, objects and JSON, and then exit. */
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { numbers, reportIdle } from './report.ts';

const WORKERS = 4;

function churn(rounds: number, seed: number): void {
  const random = numbers(seed);
  const kept: (Buffer | undefined)[] = new Array(400);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 200; i++) {
      const buffer = Buffer.allocUnsafeSlow(16 << random(13));
      buffer[buffer.length - 1] = round;
      kept[random(kept.length)] = buffer;
    }
    const items = Array.from({ length: 200 }, (_, i) => ({
      i,
      name: `item ${random(10_000)}`,
      tags: [random(9), random(9)],
    }));
    if (JSON.parse(JSON.stringify(items)).length !== items.length) throw new Error('JSON lost items');
  }
}

if (isMainThread) {
  const rounds = Number(process.argv[2]);
  const workers = Array.from(
    { length: WORKERS },
    (_, i) => new Worker(new URL(import.meta.url), { workerData: { rounds, seed: i + 3 } }),
  );
  const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
  if (codes.some(([code]) => code !== 0)) throw new Error('a worker failed');
  await reportIdle();
} else {
  churn(workerData.rounds, workerData.seed);
}
