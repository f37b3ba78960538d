/** The figures that the programs themselves printed: quantiles, and memory at several moments. */
import { CONTROL, type Measured } from '../model.ts';
import { METRICS, medianOf } from '../statistics.ts';

type Unit = 'ns' | 'ms' | 'MiB' | 'ratio';

/** What each figure means to a reader; a figure that is not here is not shown. */
const LABELS: [key: string, label: string, unit: Unit][] = [
  ['ns', 'one of them', 'ns'],
  ['cpu_ns', 'processor time of one', 'ns'],
  ['ns_p99', '99 % of them', 'ns'],
  ['ms', 'all of it', 'ms'],
  ['gc_ms', 'in the garbage collector', 'ms'],
  ['chunk_p50_ns', 'half of the chunks', 'ns'],
  ['chunk_p99_ns', '99 % of the chunks', 'ns'],
  ['rss_beyond_node', "memory at the peak, beyond Node's own", 'MiB'],
  ['malloc_p50', 'malloc, half of them', 'ns'],
  ['malloc_p999', 'malloc, 99.9 %', 'ns'],
  ['malloc_p99999', 'malloc, 99.999 %', 'ns'],
  ['malloc_max', 'malloc, the worst', 'ns'],
  ['free_p50', 'free, half of them', 'ns'],
  ['free_p999', 'free, 99.9 %', 'ns'],
  ['free_p99999', 'free, 99.999 %', 'ns'],
  ['free_max', 'free, the worst', 'ns'],
  ['nothing_max', 'nothing at all, the worst (the machine)', 'ns'],
  ['live', 'live bytes', 'MiB'],
  ['rss_peak', 'memory at the peak', 'MiB'],
  ['rss_at_once', 'memory right after the frees', 'MiB'],
  ['rss_later', 'memory one second later', 'MiB'],
  ['later_per_peak', 'one second later, of the peak', 'ratio'],
  ['later_per_live', 'one second later, of the live bytes', 'ratio'],
  ['rss_per_live', 'peak memory, of the live bytes', 'ratio'],
  ['rss_busy', 'memory at the end of the work', 'MiB'],
  ['rss_idle', 'memory one second later, idle', 'MiB'],
];

function format(value: number | undefined, unit: Unit): string {
  if (value === undefined || !Number.isFinite(value)) return '';
  if (unit === 'MiB') return `${(value / 2 ** 20).toFixed(1)} MiB`;
  if (unit === 'ratio') return value.toFixed(2);
  if (unit === 'ms') return `${value.toFixed(1)} ms`;
  return value >= 1e6
    ? `${(value / 1e6).toFixed(2)} ms`
    : value >= 1e4
      ? `${(value / 1e3).toFixed(0)} µs`
      : `${value.toFixed(0)} ns`;
}

export interface FigureTable {
  head: string[];
  rows: string[][];
}

/** Medians of the figures of one workload, a column for each allocator; undefined if it printed none of them. */
export function figureTable(measured: Measured): FigureTable | undefined {
  const names = [...measured.samples.keys()].filter((name) => name !== CONTROL);
  const rows = LABELS.flatMap(([key, label, unit]) => {
    const values = names.map((name) => medianOf(measured, name, (sample) => Number(sample.figures[key])));
    return values.some((value) => Number.isFinite(value))
      ? [[label, ...values.map((value) => format(value, unit))]]
      : [];
  });
  if (measured.workload.ways !== undefined) {
    rows.push(['peak memory', ...names.map((name) => format(medianOf(measured, name, METRICS.rss), 'MiB'))]);
  }
  return rows.length === 0 ? undefined : { head: [measured.workload.name, ...names], rows };
}
