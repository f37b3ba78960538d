// Part two: the server under glibc's malloc and under buddymalloc, alternately.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import autocannon from 'autocannon';
import type { ServerCost } from './server.ts';

/** One run of the server: what it cost, and how it answered. */
export interface Run extends ServerCost {
  seconds: number;
  p99Milliseconds: number;
}

const CONNECTIONS = 24;

const orders = Array.from({ length: 400 }, (_, i) => ({
  customer: `customer ${(i * 7) % 61}`,
  total: (i * 37) % 900,
  lines: [`article ${i % 13}`, `article ${i % 17}`, 'delivery'],
}));

/** Half text, half noise, so that zlib has something to do and something to keep. */
function blob(bytes: number): Buffer {
  const data = Buffer.alloc(bytes, 'the quick brown fox jumps over the lazy dog; ');
  for (let i = 0; i < bytes; i += 2) data[i] = (Math.imul(i, 2654435761) >>> 24) & 0xff;
  return data;
}

const REQUESTS: autocannon.Request[] = [
  { method: 'POST', path: '/json', body: JSON.stringify({ orders }) },
  { method: 'POST', path: '/blob', body: blob(64 << 10) },
  { method: 'POST', path: '/json', body: JSON.stringify({ orders: orders.slice(0, 40) }) },
  { method: 'POST', path: '/report', body: '' },
  { method: 'POST', path: '/blob', body: blob(300 << 10) },
];

/**
 * Runs the server once and sends it `amount` requests.
 * @param library - path of the library to preload; without one the server has glibc's malloc
 */
export async function runServer(library: string | undefined, amount: number): Promise<Run> {
  const { LD_PRELOAD: _, ...environment } = process.env;
  const child = fork(new URL('./server.js', import.meta.url), {
    env: library === undefined ? environment : { ...environment, LD_PRELOAD: library },
    execArgv: [],
  });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const started = performance.now();
  const result = await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections: CONNECTIONS,
    amount,
    requests: REQUESTS,
    timeout: 30,
    // It looks this often (ms) whether all are answered; a second, its default, would be a large part of the time.
    sampleInt: 10,
  });
  const seconds = (performance.now() - started) / 1000;
  if (result.non2xx > 0 || result.errors > 0 || result.requests.total !== amount) {
    child.kill();
    throw new Error(`of ${amount} requests, ${result.non2xx + result.errors} failed`);
  }
  child.send('stop');
  const [cost] = (await once(child, 'message')) as [ServerCost];
  await once(child, 'exit');
  return { ...cost, seconds, p99Milliseconds: result.latency.p99 };
}
