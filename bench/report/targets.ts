/** What we want to hold, beside what was measured. */
import { BASELINE, type Group, type Measured, OURS } from '../model.ts';
import {
  figure,
  METRICS,
  type Metric,
  meanOf,
  medianOf,
  preloaded,
  ratioOf,
  ratioToBest,
  rivalsIn,
} from '../statistics.ts';
import { curves } from '../workloads/growth.ts';
import { poolTargets } from './pool-targets.ts';

export interface Target {
  what: string;
  /** The measured value may be at most this. */
  limit: number;
  unit: 'ratio' | 'ms' | 'MiB';
  /** Undefined where what it needs was not run. */
  measured: number | undefined;
  /** Which row was the worst, where there are several. */
  worst?: string;
}

export function verdict(target: Target): 'holds' | 'falls short' | 'not measured' {
  if (target.measured === undefined) return 'not measured';
  return target.measured <= target.limit ? 'holds' : 'falls short';
}

const MIB = 2 ** 20;

const known = (value: number | undefined): number | undefined => (Number.isFinite(value) ? value : undefined);

/** The worst single operation; of several rounds the best, since the machine can only make it longer. */
export function worstOperation(measured: Measured, allocator: string): number | undefined {
  const worst = (measured.samples.get(allocator) ?? []).map((sample) =>
    Math.max(figure('malloc_max')(sample), figure('free_max')(sample)),
  );
  return worst.length > 0 ? known(Math.min(...worst)) : undefined;
}

class Rows {
  readonly #results: readonly Measured[];
  readonly targets: Target[] = [];

  constructor(results: readonly Measured[]) {
    this.#results = results;
  }

  group(...groups: Group[]): Measured[] {
    return this.#results.filter((measured) => groups.includes(measured.workload.group));
  }

  named(name: string): Measured | undefined {
    return this.#results.find((measured) => measured.workload.name === name);
  }

  mean(
    what: string,
    limit: number,
    rows: readonly Measured[],
    ratio: (measured: Measured) => number | undefined,
  ): void {
    this.targets.push({ what, limit, unit: 'ratio', measured: meanOf(rows.map(ratio)) });
  }

  worst(
    what: string,
    limit: number,
    rows: readonly Measured[],
    ratio: (measured: Measured) => number | undefined,
  ): void {
    let worst: { value: number; name: string } | undefined;
    for (const row of rows) {
      const value = ratio(row);
      if (value !== undefined && (worst === undefined || value > worst.value))
        worst = { value, name: row.workload.name };
    }
    const target: Target = { what, limit, unit: 'ratio', measured: worst?.value };
    if (worst !== undefined) target.worst = worst.name;
    this.targets.push(target);
  }

  one(
    what: string,
    limit: number,
    name: string,
    read: (measured: Measured) => number | undefined,
    unit: Target['unit'] = 'ratio',
  ): void {
    const measured = this.named(name);
    this.targets.push({ what, limit, unit, measured: measured === undefined ? undefined : known(read(measured)) });
  }
}

const against = (rival: string, metric: Metric) => (measured: Measured) => ratioOf(measured, OURS, rival, metric);
const againstBest = (metric: Metric) => (measured: Measured) => ratioToBest(measured, metric);
const own = (metric: Metric) => (measured: Measured) => medianOf(measured, OURS, metric);

function overBaseline(measured: Measured, metric: Metric): number | undefined {
  const ours = medianOf(measured, OURS, metric);
  const system = medianOf(measured, BASELINE, metric);
  return ours === undefined || system === undefined ? undefined : ours - system;
}

function latencyAgainstBest(measured: Measured): number | undefined {
  const rivals = rivalsIn(measured).map((rival) => worstOperation(measured, rival) ?? Number.POSITIVE_INFINITY);
  const ours = worstOperation(measured, OURS);
  return ours === undefined || rivals.length === 0 ? undefined : ours / Math.min(...rivals);
}

/**
 * Whether a curve of ours bends where theirs do not: from each point to the next, how much our cost grows, divided by
 * how much the rival's grows whose cost grows most there; the largest of these.
 */
function largestBend(results: readonly Measured[], metric: Metric): { value: number; name: string } | undefined {
  let largest: { value: number; name: string } | undefined;
  for (const curve of curves) {
    const points = curve.points.flatMap(
      ({ workload }) => results.find((measured) => measured.workload.name === workload.name) ?? [],
    );
    for (const [i, next] of points.entries()) {
      const before = points[i - 1];
      if (before === undefined) continue;
      const step = (name: string): number => {
        const from = medianOf(before, name, metric);
        const to = medianOf(next, name, metric);
        return from === undefined || to === undefined ? Number.NaN : to / from;
      };
      const value = step(OURS) / Math.max(...rivalsIn(next).map(step).filter(Number.isFinite));
      if (Number.isFinite(value) && (largest === undefined || value > largest.value))
        largest = { value, name: next.workload.name };
    }
  }
  return largest;
}

/** Every target of the project, in the order of its table. */
export function targetsOf(all: readonly Measured[]): Target[] {
  const results = preloaded(all);
  const rows = new Rows(results);
  const { cpu, rss, wall } = METRICS;
  const patterns = rows.group('patterns');
  const programs = rows.group('programs');
  rows.mean('CPU time, patterns: geometric mean against the best rival of each', 1, patterns, againstBest(cpu));
  rows.worst('CPU time, patterns: the worst single one against its best rival', 1.1, patterns, againstBest(cpu));
  rows.mean('CPU time, programs: geometric mean against the best rival of each', 1, programs, againstBest(cpu));
  rows.worst('CPU time, programs: the worst single one against its best rival', 1.05, programs, againstBest(cpu));
  rows.mean('CPU time, all groups: geometric mean against mimalloc', 0.9, results, against('mimalloc', cpu));
  rows.mean('peak memory, all groups: geometric mean against glibc', 1, results, against(BASELINE, rss));
  rows.worst('peak memory, programs: the worst one against its leanest rival', 1.1, programs, againstBest(rss));
  rows.one(
    '90 % of 1 GiB freed at random: memory 1 s later, of the peak',
    0.75,
    'memory-random',
    own(figure('later_per_peak')),
  );
  rows.one(
    'whole generations freed: memory 1 s later, of the live bytes',
    1.2,
    'memory-runs threads=2',
    own(figure('later_per_live')),
  );
  rows.one('all of 1 GiB freed: memory 1 s later, of the peak', 0.03, 'memory-all', own(figure('later_per_peak')));
  rows.one(
    'large blocks replaced at random: peak memory, of the live bytes',
    1.05,
    'large',
    own(figure('rss_per_live')),
  );
  rows.one('large blocks replaced at random: CPU time against the best rival', 1, 'large', againstBest(cpu));
  rows.one('realloc to 256 MiB by 64 KiB: CPU time against the best rival', 1, 'realloc-step', againstBest(cpu));
  for (const name of ['retained slices', 'dropped Buffers']) {
    rows.one(`Node, ${name}: idle memory against jemalloc`, 1, name, against('jemalloc', figure('rss_idle')));
    rows.one(`Node, ${name}: CPU time against jemalloc`, 1, name, against('jemalloc', cpu));
  }
  rows.one(
    'Node, four workers: memory after they exited against jemalloc',
    1,
    'four workers',
    against('jemalloc', figure('rss_idle')),
  );
  rows.one('Node, four workers: CPU time against mimalloc', 1, 'four workers', against('mimalloc', cpu));
  rows.one('Node, sharp: peak memory against glibc', 0.65, 'sharp', against(BASELINE, rss));
  rows.one('Node, sharp: wall time against glibc', 1, 'sharp', against(BASELINE, wall));
  rows.one('Node, HTTP+JSON: peak memory against glibc', 0.95, 'HTTP+JSON', against(BASELINE, rss));
  rows.one('Node, HTTP+JSON: CPU time against glibc', 0.97, 'HTTP+JSON', against(BASELINE, cpu));
  rows.one('the worst single malloc or free against the best rival', 1, 'latency', latencyAgainstBest);
  const milliseconds = (measured: Measured) => (overBaseline(measured, wall) ?? Number.NaN) * 1000;
  const mebibytes = (measured: Measured) => (overBaseline(measured, rss) ?? Number.NaN) / MIB;
  rows.one('start of a trivial program: time over glibc', 0.3, 'start', milliseconds, 'ms');
  rows.one('start of a trivial program: memory over glibc', 0.6, 'start', mebibytes, 'MiB');
  const bend = largestBend(rows.group('growth'), figure('ns_per_op'));
  rows.targets.push({
    what: 'growth: the largest bend of our curves against the rival that bends most there',
    limit: 1.1,
    unit: 'ratio',
    measured: bend?.value,
    ...(bend === undefined ? {} : { worst: bend.name }),
  });
  return [...rows.targets, ...poolTargets(all)];
}
