/** The results as tables for a terminal: one group, one metric, one table. */
import Table from 'cli-table3';
import { BASELINE, CONTROL, type Group, type Measured, OURS } from '../model.ts';
import {
  bestRival,
  isNoisy,
  METRICS,
  type MetricName,
  meanOf,
  medianOf,
  ratioOf,
  ratioToBest,
  spreadOf,
} from '../statistics.ts';
import { figureTable } from './figures.ts';

const TITLES: Record<MetricName, string> = {
  cpu: 'CPU time',
  wall: 'wall time',
  rss: 'peak resident memory',
};

export function formatValue(metric: MetricName, value: number | undefined): string {
  if (value === undefined) return 'failed';
  if (metric === 'rss') return `${(value / 2 ** 20).toFixed(1)} MiB`;
  if (value < 0.01) return `${(value * 1000).toFixed(2)} ms`;
  return value < 1 ? `${(value * 1000).toFixed(1)} ms` : `${value.toFixed(2)} s`;
}

export const formatRatio = (ratio: number | undefined): string => (ratio === undefined ? '-' : ratio.toFixed(2));
const formatPart = (part: number): string => `${(part * 100).toFixed(0)} %`;

/** What ours is divided by: all but ours and the control, in the order in which they were found. */
function otherNames(results: readonly Measured[]): string[] {
  const names = new Set(results.flatMap((measured) => [...measured.samples.keys()]));
  return [...names].filter((name) => name !== OURS && name !== CONTROL);
}

/** The first column to the left, all others to the right. */
function tableOf(head: string[]) {
  const colAligns = head.map((_, i) => (i === 0 ? ('left' as const) : ('right' as const)));
  return new Table({ head, style: { head: [], border: [], compact: true }, colAligns });
}

/** Ours against each rival: a ratio below 1 means that ours needs less. */
export function groupTable(group: Group, metric: MetricName, results: readonly Measured[]): string {
  const rivals = otherNames(results);
  const read = METRICS[metric];
  const head = [
    `${group}: ${TITLES[metric]}`,
    'ours',
    ...rivals.map((name) => `÷ ${name}`),
    '÷ best',
    'spread',
    'noise',
  ];
  const table = tableOf(head);
  for (const measured of results) {
    table.push([
      measured.workload.name,
      formatValue(metric, medianOf(measured, OURS, read)),
      ...rivals.map((name) => formatRatio(ratioOf(measured, OURS, name, read))),
      `${formatRatio(ratioToBest(measured, read))} ${bestRival(measured, read)?.rival ?? ''}`,
      formatPart(spreadOf(measured, OURS, read)),
      `${formatRatio(ratioOf(measured, CONTROL, BASELINE, read))}${isNoisy(measured, read) ? ' !' : ''}`,
    ]);
  }
  table.push([
    'geometric mean',
    '',
    ...rivals.map((name) => formatRatio(meanOf(results.map((measured) => ratioOf(measured, OURS, name, read))))),
    formatRatio(meanOf(results.map((measured) => ratioToBest(measured, read)))),
    '',
    formatRatio(meanOf(results.map((measured) => ratioOf(measured, CONTROL, BASELINE, read)))),
  ]);
  return table.toString();
}

/** The figures that one workload printed itself, or nothing. */
export function figuresText(measured: Measured): string | undefined {
  const figures = figureTable(measured);
  if (figures === undefined) return undefined;
  const table = tableOf(figures.head);
  table.push(...figures.rows);
  return table.toString();
}

/** What a reader has to know before believing the figures; empty if there is nothing. */
export function warnings(results: readonly Measured[]): string[] {
  const noisy = results.filter((measured) => isNoisy(measured, METRICS.cpu)).map((measured) => measured.workload.name);
  const lines = results.flatMap((measured) =>
    [...measured.failures].map(([name, reason]) => `${measured.workload.name}: ${name} failed: ${reason}`),
  );
  if (noisy.length > 0) {
    lines.push(
      `The machine was too noisy to tell in ${noisy.length} of ${results.length} rows (marked !): there, ${BASELINE} differed ` +
        `from itself by more than 5 %. Close other programs and repeat with more --rounds: ${noisy.join(', ')}`,
    );
  }
  return lines;
}
