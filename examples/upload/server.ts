// An HTTP server for large bodies: server WAY FOLDER. Reads each body into one block, has one of four workers hash and store it, and
// answers with the hash. Tells its parent its port, and its figures whenever it is asked.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import { bodiesOf } from './bodies.ts';
import { type Figures, type Stored, type Task, type Way, WORKERS } from './protocol.ts';

const [way = 'pool', folder = ''] = process.argv.slice(2) as [Way, string];
const bodies = bodiesOf(way);
const workers = Array.from(
  { length: WORKERS },
  () => new Worker(new URL('./worker.js', import.meta.url), { workerData: { way, folder } }),
);
const waiting = new Map<number, (sha256: string) => void>();
let posted = 0;
let stored = 0;

for (const worker of workers) {
  worker.on('message', ({ id, sha256 }: Stored) => {
    stored++;
    waiting.get(id)?.(sha256);
    waiting.delete(id);
  });
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const body = await bodies.alloc(Number(request.headers['content-length']));
  try {
    let at = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) at += chunk.copy(body, at);
    if (at === body.length) return body;
    throw new Error(`${at} bytes came of ${body.length}`);
  } catch (error) {
    bodies.drop(body);
    throw error;
  }
}

async function upload(request: IncomingMessage): Promise<string> {
  const { message: body, transfer } = bodies.post(await bodyOf(request));
  const task: Task = { id: posted++, body };
  return new Promise((resolve) => {
    waiting.set(task.id, resolve);
    workers[task.id % WORKERS]?.postMessage(task, transfer);
  });
}

const server = createServer((request, response) => {
  upload(request).then(
    (sha256) => response.end(sha256),
    (error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    },
  );
});

function figures(): Figures {
  const isIdle = waiting.size === 0;
  const { user, system } = process.cpuUsage();
  return {
    rssBytes: process.memoryUsage.rss(),
    blocks: bodies.blocks(),
    mappedBytes: bodies.mappedBytes(),
    bodies: stored,
    cpuMs: (user + system) / 1000,
    violations: isIdle ? bodies.violations() : 0,
  };
}

process.on('message', (message) => {
  if (message === 'figures') process.send?.(figures());
  else process.exit();
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
