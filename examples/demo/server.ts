// Part two, the program under test: an HTTP server with JSON bodies, Buffer bodies, zlib and worker threads. It tells its
// parent its port, serves until told to stop, rests, and reports what it cost.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { brotliCompress, constants, gunzip, gzip } from 'node:zlib';

/** What a run of the server cost. Bytes are of physical memory. */
export interface ServerCost {
  cpuSeconds: number;
  peakBytes: number;
  idleBytes: number;
}

const WORKERS = 2;
const REST_MS = 1500;
const compress = promisify(gzip);
const decompress = promisify(gunzip);
const compressHard = promisify(brotliCompress);

/** A figure of this process from the system: unlike ru_maxrss, its peak does not begin with the parent's. */
function memoryFigure(name: 'VmHWM' | 'VmRSS'): number {
  const line = readFileSync('/proc/self/status', 'utf8').match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'));
  return Number(line?.[1]) * 1024;
}

const workers = Array.from({ length: WORKERS }, () => new Worker(new URL('./server-worker.js', import.meta.url)));
const waiting = new Map<number, (text: string) => void>();
let jobs = 0;
for (const worker of workers) {
  worker.on('message', ({ id, text }: { id: number; text: string }) => {
    waiting.get(id)?.(text);
    waiting.delete(id);
  });
}

function inWorker(rows: number): Promise<string> {
  const id = jobs++;
  workers[id % WORKERS]?.postMessage({ id, rows });
  return new Promise((resolve) => waiting.set(id, resolve));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function answer(request: IncomingMessage): Promise<Buffer | string> {
  const body = await bodyOf(request);
  switch (request.url) {
    case '/json': {
      const { orders } = JSON.parse(body.toString()) as { orders: { customer: string; total: number }[] };
      const totals = new Map<string, number>();
      for (const { customer, total } of orders) totals.set(customer, (totals.get(customer) ?? 0) + total);
      return JSON.stringify({ totals: [...totals].sort(([, a], [, b]) => b - a), count: orders.length });
    }
    case '/blob': {
      const small = await compress(body);
      const back = await decompress(small);
      return JSON.stringify({ sha256: createHash('sha256').update(back).digest('hex'), bytes: small.length });
    }
    case '/report':
      return compressHard(await inWorker(500), { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });
    default:
      return '{}';
  }
}

const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  answer(request).then(
    (body) => response.end(body),
    (error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    },
  );
});

server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));

process.once('message', async () => {
  const { user, system } = process.cpuUsage();
  const peakBytes = memoryFigure('VmHWM');
  server.close();
  server.closeAllConnections();
  await pause(REST_MS);
  const cost: ServerCost = { cpuSeconds: (user + system) / 1e6, peakBytes, idleBytes: memoryFigure('VmRSS') };
  process.send?.(cost, () => process.exit());
});
