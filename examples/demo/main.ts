// The main job of `npm start`: native blocks passed between workers, then a real server with and without buddymalloc.
import { availableParallelism } from 'node:os';
import { styleText } from 'node:util';
import { libraryPath, mallinfo, mallocCheck, mallocStats } from 'buddymalloc';
import Table from 'cli-table3';
import ora from 'ora';
import { median } from 'simple-statistics';
import { type Run, runServer } from './compare.ts';
import { runRing } from './ring.ts';

const RING_WORKERS = 4;
const RING_BLOCKS = 1500;
const RING_HOPS = 6;
const ROUNDS = 3;
const REQUESTS = 500;
/** No round begins that would end after this long, so that a slow machine has its answer within a minute too. */
const BUDGET_MS = 45_000;

const title = (text: string) => console.log(`\n${styleText('bold', text)}`);
const number = new Intl.NumberFormat('en');
const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

async function showRing(): Promise<void> {
  title(`1. ${RING_WORKERS} workers pass native blocks round a ring`);
  let stats = '';
  const result = await runRing(RING_WORKERS, RING_BLOCKS, RING_HOPS, () => {
    stats = mallocStats();
  });
  console.log(
    `${number.format(result.blocks)} blocks, each checked, resized and handed on ${RING_HOPS} times and freed by another ` +
      `worker than the one that allocated it:\n${number.format(result.handovers)} handovers without a copy in ` +
      `${Math.round(result.milliseconds)} ms.\n`,
  );
  console.log(stats.trimEnd());
  const { threadBlocks } = mallinfo();
  const violations = mallocCheck();
  if (violations !== 0 || threadBlocks !== 0) throw new Error(`${violations} invariants of the heap do not hold`);
  console.log(styleText('green', '\nEvery invariant of the heap holds, and no block is left.'));
}

const METRICS: { name: string; of: (run: Run) => number; show: (value: number) => string }[] = [
  { name: 'time', of: (run) => run.seconds, show: (value) => `${value.toFixed(2)} s` },
  { name: 'CPU time', of: (run) => run.cpuSeconds, show: (value) => `${value.toFixed(2)} s` },
  { name: 'slowest 1 % of answers', of: (run) => run.p99Milliseconds, show: (value) => `${value.toFixed(0)} ms` },
  { name: 'peak RSS', of: (run) => run.peakBytes, show: mebibytes },
  { name: 'RSS at idle', of: (run) => run.idleBytes, show: mebibytes },
];

async function showServer(library: string): Promise<void> {
  title('2. An HTTP server (JSON, Buffers, zlib, worker threads) with each malloc');
  const runs: Record<'glibc' | 'buddymalloc', Run[]> = { glibc: [], buddymalloc: [] };
  const spinner = ora().start();
  const started = performance.now();
  const roundMs = (rounds: number) => (performance.now() - started) / rounds;
  for (let round = 1; round <= ROUNDS; round++) {
    if (round > 1 && round * roundMs(round - 1) > BUDGET_MS) break;
    for (const name of ['glibc', 'buddymalloc'] as const) {
      spinner.text = `round ${round} of ${ROUNDS}: ${number.format(REQUESTS)} requests under ${name}`;
      runs[name].push(await runServer(name === 'glibc' ? undefined : library, REQUESTS));
    }
  }
  spinner.stop();
  const table = new Table({
    head: [`median of ${runs.glibc.length} rounds`, 'glibc', 'buddymalloc', 'ratio'],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: ['bold'], compact: true },
  });
  for (const { name, of, show } of METRICS) {
    const glibc = median(runs.glibc.map(of));
    const own = median(runs.buddymalloc.map(of));
    table.push([name, show(glibc), show(own), `${(own / glibc).toFixed(2)} x`]);
  }
  console.log(table.toString());
  console.log(`Below 1 x buddymalloc needs less. As measured just now on ${availableParallelism()} cores; it varies.`);
}

await showRing();
const library = libraryPath();
if (library === undefined) throw new Error('libbuddymalloc.so has not been built');
await showServer(library);
