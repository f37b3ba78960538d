/** Medians, ratios and means over the samples; no input or output. */
import { geometricMean, median } from 'simple-statistics';
import { BASELINE, CONTROL, type Measured, OURS, type Sample } from './model.ts';

export type Metric = (sample: Sample) => number;

export const METRICS = {
  cpu: (sample: Sample) => sample.cpuSeconds,
  wall: (sample: Sample) => sample.wallSeconds,
  rss: (sample: Sample) => sample.rssPeakBytes,
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;

/** A figure that the program printed; NaN where it printed none, which no median survives as a ratio. */
export const figure =
  (name: string): Metric =>
  (sample: Sample) => {
    const value = sample.figures[name];
    return typeof value === 'number' ? value : Number.NaN;
  };

/** A run and its repetition that differ by more than this cannot tell two allocators apart. */
export const NOISE_LIMIT = 0.05;

/** The median of a metric for one allocator, or undefined if it did not run. */
export function medianOf(measured: Measured, allocator: string, metric: Metric): number | undefined {
  const values = measured.samples.get(allocator)?.map(metric) ?? [];
  return values.length > 0 ? median(values) : undefined;
}

/** The best of the rounds: where a machine is busy it can only make a program take more. */
export function leastOf(measured: Measured, allocator: string, metric: Metric): number | undefined {
  const values = measured.samples.get(allocator)?.map(metric).filter(Number.isFinite) ?? [];
  return values.length > 0 ? Math.min(...values) : undefined;
}

/** What a way of a program took: for one call, or for all the work. */
export const timeOf: Metric = (sample) => Number(sample.figures['ns'] ?? sample.figures['ms']);

/** (largest - smallest) / median of one allocator's samples; 0 for a single sample. */
export function spreadOf(measured: Measured, allocator: string, metric: Metric): number {
  const values = measured.samples.get(allocator)?.map(metric) ?? [];
  const middle = values.length > 0 ? median(values) : 0;
  return middle > 0 ? (Math.max(...values) - Math.min(...values)) / middle : 0;
}

/** Medians divided: below 1, the first needs less. */
export function ratioOf(measured: Measured, first: string, second: string, metric: Metric): number | undefined {
  const dividend = medianOf(measured, first, metric);
  const divisor = medianOf(measured, second, metric);
  if (dividend === undefined || divisor === undefined || divisor <= 0) return undefined;
  return dividend / divisor;
}

export interface Best {
  rival: string;
  value: number;
}

/** The rival with the smallest median; the control is no rival. */
export function bestRival(measured: Measured, metric: Metric): Best | undefined {
  let best: Best | undefined;
  for (const rival of rivalsIn(measured)) {
    const value = medianOf(measured, rival, metric);
    if (value !== undefined && (best === undefined || value < best.value)) best = { rival, value };
  }
  return best;
}

/** Not the control, and not another build of ours (`--allocator buddymalloc-unchecked=...`). */
export function isRival(name: string): boolean {
  return name !== CONTROL && !name.startsWith(OURS);
}

export function rivalsIn(measured: Measured): string[] {
  return [...measured.samples.keys()].filter(isRival);
}

/** Ours divided by the best rival's. */
export function ratioToBest(measured: Measured, metric: Metric): number | undefined {
  const best = bestRival(measured, metric);
  return best === undefined ? undefined : ratioOf(measured, OURS, best.rival, metric);
}

/** The geometric mean of what is there; undefined of nothing. */
export function meanOf(ratios: readonly (number | undefined)[]): number | undefined {
  const known = ratios.filter((ratio): ratio is number => ratio !== undefined && ratio > 0);
  return known.length > 0 ? geometricMean(known) : undefined;
}

/** How far the control is from the baseline, of which it is a copy; undefined if either did not run. */
export function noiseOf(measured: Measured, metric: Metric): number | undefined {
  const ratio = ratioOf(measured, CONTROL, BASELINE, metric);
  return ratio === undefined ? undefined : Math.abs(Math.log(ratio));
}

/** True where the machine was too noisy to tell: the same allocator, run twice, differed by more than the limit. */
export function isNoisy(measured: Measured, metric: Metric): boolean {
  return (noiseOf(measured, metric) ?? 0) > NOISE_LIMIT;
}

/** The workloads that compare allocators, not ways of one program. */
export function preloaded(results: readonly Measured[]): Measured[] {
  return results.filter(({ workload }) => workload.ways === undefined);
}
