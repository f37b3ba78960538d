// `npm run demo:upload -- [SECONDS]`: the upload server with a pool and with plain Buffers, one after the other, each under load for
// so long (default 30). Fails if a block is lost, a request fails, the pool takes more than its limit, or, in a run of a minute or more,
// the server's memory grows.
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import autocannon from 'autocannon';
import Table from 'cli-table3';
import { median } from 'simple-statistics';
import { type Figures, LIMIT, type Way } from './protocol.ts';

const CONNECTIONS = 16;
const BODIES = [64 << 10, 256 << 10, 1 << 20, 4 << 20].map((bytes) => Buffer.alloc(bytes, `${bytes} bytes `));
/** Parts of a run at whose ends the table shows the memory. */
const PARTS = 4;
/** How far the median of the last quarter may lie above that of the second: allocators and the GC breathe. */
const GROWTH_MOST = 1.25;
/** A shorter run is over before they have found their measure. */
const GROWTH_FROM_SECONDS = 60;
const SAMPLE_MS = 250;
const IDLE_MS = 10_000;

interface Run {
  way: Way;
  perSecond: number;
  p99Ms: number;
  /** Processor time of the server for each body. */
  cpuMs: number;
  /** RSS in the course of the run. */
  rss: number[];
  /** What the pool had of the system at most. */
  mapped: number;
  lost: number;
  failed: number;
}

const hashes = new Set(BODIES.map((body) => createHash('sha256').update(body).digest('hex')));

async function run(way: Way, seconds: number): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), 'buddymalloc-upload-'));
  const server = fork(new URL('./server.js', import.meta.url), [way, folder], { execArgv: [] });
  const ask = async (): Promise<Figures> => {
    server.send('figures');
    return (await once(server, 'message'))[0] as Figures;
  };
  try {
    const [{ port }] = (await once(server, 'message')) as [{ port: number }];
    let wrong = 0;
    let isOver = false;
    const requests = BODIES.map((body) => ({
      method: 'POST' as const,
      body,
      onResponse: (_status: number, text: string) => {
        if (!hashes.has(text)) wrong++;
      },
    }));
    const load = Promise.resolve(
      autocannon({
        url: `http://127.0.0.1:${port}`,
        connections: CONNECTIONS,
        duration: seconds,
        requests,
        timeout: 30,
      }),
    ).finally(() => {
      isOver = true;
    });
    const rss: number[] = [];
    let mapped = 0;
    while (!isOver) {
      const { rssBytes, mappedBytes } = await ask();
      rss.push(rssBytes);
      mapped = Math.max(mapped, mappedBytes);
      await Promise.race([pause(SAMPLE_MS), load]);
    }
    const result = await load;
    // The load breaks off in the middle of requests; their blocks go back as the server notices.
    let figures = await ask();
    for (const until = Date.now() + IDLE_MS; figures.blocks > 0 && Date.now() < until; figures = await ask()) {
      await pause(SAMPLE_MS);
    }
    return {
      way,
      perSecond: result.requests.average,
      p99Ms: result.latency.p99,
      cpuMs: figures.cpuMs / figures.bodies,
      rss,
      mapped,
      lost: figures.blocks + figures.violations,
      failed: result.non2xx + result.errors + wrong,
    };
  } finally {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

const quarter = (values: number[], which: number) =>
  values.slice(Math.floor((values.length * which) / PARTS), Math.ceil((values.length * (which + 1)) / PARTS));
const growthOf = ({ rss }: Run) => median(quarter(rss, PARTS - 1)) / median(quarter(rss, 1));
const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;

const seconds = Number(process.argv[2] ?? 30);
if (!Number.isInteger(seconds) || seconds < 1) {
  console.error('usage: npm run demo:upload -- [SECONDS]');
  process.exit(1);
}
const runs = [await run('pool', seconds), await run('buffers', seconds)];
const table = new Table({
  head: [`${seconds} s each`, ...runs.map(({ way }) => way)],
  colAligns: ['left', 'right', 'right'],
  style: { head: ['bold'], compact: true },
});
const row = (name: string, show: (run: Run) => string) => table.push([name, ...runs.map(show)]);
row('requests a second', ({ perSecond }) => perSecond.toFixed(0));
row('slowest 1 % of answers', ({ p99Ms }) => `${p99Ms} ms`);
row("server's processor time a body", ({ cpuMs }) => `${cpuMs.toFixed(2)} ms`);
for (let part = 0; part < PARTS; part++) {
  row(`RSS at ${((seconds * (part + 1)) / PARTS).toFixed(0)} s`, ({ rss }) =>
    mebibytes(quarter(rss, part).at(-1) ?? 0),
  );
}
row('peak RSS', ({ rss }) => mebibytes(Math.max(...rss)));
row('median RSS, last quarter to second', (one) => `${growthOf(one).toFixed(2)} x`);
row('mapped by the pool at most', ({ mapped, way }) => (way === 'pool' ? mebibytes(mapped) : '-'));
row('requests failed', ({ failed }) => `${failed}`);
row('blocks lost', ({ lost, way }) => (way === 'pool' ? `${lost}` : '-'));
console.log(table.toString());

const [pool] = runs as [Run];
if (pool.lost > 0 || runs.some(({ failed }) => failed > 0)) throw new Error('a block is lost or a request failed');
if (pool.mapped > LIMIT) throw new Error(`the pool took ${pool.mapped} bytes`);
const isLong = seconds >= GROWTH_FROM_SECONDS;
if (isLong && growthOf(pool) > GROWTH_MOST) throw new Error(`the memory grew by ${growthOf(pool).toFixed(2)} x`);
console.log(`No block is lost${isLong ? ', and the memory stays flat' : ''}.`);
