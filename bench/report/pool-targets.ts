/** What the pool for Node is to hold against what a program would use without it, on each version of Node. */
import { type Measured, OURS } from '../model.ts';
import { figure, leastOf, METRICS, type Metric } from '../statistics.ts';
import {
  CALL_SIZES,
  crowdRow,
  fileRow,
  fixedRow,
  HANDOVER_SIZES,
  handoverRow,
  NODES,
  ownRow,
  poolRow,
  ringRow,
  streamRow,
  THING,
  TRANSFER,
} from '../workloads/pool.ts';
import type { Target } from './targets.ts';

/** How many times as fast as allocUnsafe, by size. */
const TIMES_AS_FAST = new Map([
  [64, 1],
  [1024, 1.5],
  [4096, 5],
  [65_536, 12],
  [2 ** 20, 250],
]);
const TRANSFER_TIMES = 4;
const THING_TIMES = 3;
const THING_CROWD_TIMES = 200;
/** 40 ns where allocUnsafe takes 100. */
const FIXED = 0.4;
/** 1.0 µs where creating and finalising one takes 1.75. */
const OWN = 1 / 1.75;
/** Node and its threads alone take more than half of what some of the rivals take in all. */
const BEYOND_NODE = figure('rss_beyond_node');
const STREAM: [string, number, Metric][] = [
  ['time', 0.55, figure('ms')],
  ['time in the garbage collector', 0.1, figure('gc_ms')],
  ['peak memory', 0.6, METRICS.rss],
  ["peak memory beyond Node's own", 0.6, BEYOND_NODE],
  ['99 % of chunks', 0.3, figure('chunk_p99_ns')],
];
const HANDOVER_TIMES = new Map([
  [65_536, 4],
  [2 ** 20, 3],
]);
const HANDOVER_MEMORY = 0.5;
const FILE: [string, number, Metric][] = [
  ['time', 0.6, figure('ms')],
  ['peak memory', 0.6, METRICS.rss],
  ["peak memory beyond Node's own", 0.6, BEYOND_NODE],
];

const NS = figure('ns');

function targetsOn(node: string, results: readonly Measured[]): Target[] {
  const compare = (row: string, rival: string, limit: number, metric: Metric, words = ''): Target => {
    const name = poolRow(node, row);
    const measured = results.find(({ workload }) => workload.name === name);
    const ours = measured && leastOf(measured, OURS, metric);
    const theirs = measured && leastOf(measured, rival, metric);
    const ratio = ours === undefined || theirs === undefined ? undefined : ours / theirs;
    return { what: `${name}: ${words}against ${rival}`, limit, unit: 'ratio', measured: ratio };
  };
  const faster = (row: string, rival: string, times: number) => compare(row, rival, 1 / times, NS);
  return [
    ...CALL_SIZES.map((size) => faster(ringRow(size), 'allocUnsafe', TIMES_AS_FAST.get(size) ?? 1)),
    ...(Number(node) >= 22 ? CALL_SIZES.map((size) => faster(ringRow(size), TRANSFER, TRANSFER_TIMES)) : []),
    ...CALL_SIZES.map((size) => faster(ringRow(size), THING, THING_TIMES)),
    faster(crowdRow, THING, THING_CROWD_TIMES),
    compare(fixedRow, 'allocUnsafe', FIXED, NS),
    compare(ownRow, 'left to the GC', OWN, NS),
    ...STREAM.map(([words, limit, metric]) => compare(streamRow, 'allocUnsafeSlow', limit, metric, `${words} `)),
    ...HANDOVER_SIZES.flatMap((size) => [
      faster(handoverRow(size), 'transfer', HANDOVER_TIMES.get(size) ?? 1),
      compare(handoverRow(size), 'transfer', HANDOVER_MEMORY, METRICS.rss, 'peak memory '),
      compare(handoverRow(size), 'transfer', HANDOVER_MEMORY, BEYOND_NODE, "peak memory beyond Node's own "),
    ]),
    ...FILE.map(([words, limit, metric]) => compare(fileRow, 'createReadStream', limit, metric, `${words} `)),
  ];
}

export const poolTargets = (results: readonly Measured[]): Target[] =>
  NODES.flatMap((node) => targetsOn(node, results));
