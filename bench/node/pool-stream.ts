/** Chunks of 64 KiB to 1 MiB, 32 of them live, every byte written: pool-stream WAY CHUNKS. */
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { watchMemory } from './pool-memory.ts';
import { wayCalled } from './pool-ways.ts';
import { numbers } from './report.ts';

const LIVE = 32;
const SMALLEST = 65_536;
const LARGEST = 2 ** 20;
/** Chunks between two turns of the event loop, as a stream has them. */
const PER_TURN = 16;

const [way = '', count = ''] = process.argv.slice(2);
const { alloc, free, bytes } = wayCalled(way, LIVE * LARGEST);
const random = numbers(41);
const live: object[] = [];
const times = new Float64Array(Number(count));

let gcMs = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) gcMs += entry.duration;
}).observe({ entryTypes: ['gc'] });

const memory = watchMemory();
const started = performance.now();
for (let i = 0; i < times.length; i++) {
  const size = SMALLEST + random(LARGEST - SMALLEST + 1);
  const before = performance.now();
  if (live.length === LIVE) {
    const oldest = live.shift() as object;
    free?.(oldest);
  }
  const chunk = alloc(size);
  bytes(chunk).fill(i);
  live.push(chunk);
  times[i] = performance.now() - before;
  if (i % PER_TURN === 0) await nextTurn();
}
const ms = performance.now() - started;
await nextTurn();
times.sort();
const p99 = times[Math.floor(times.length * 0.99)] ?? 0;
console.log(
  JSON.stringify({
    ms,
    gc_ms: gcMs,
    chunk_p50_ns: (times[times.length >> 1] ?? 0) * 1e6,
    chunk_p99_ns: p99 * 1e6,
    ...memory(),
  }),
);
