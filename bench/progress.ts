/** What a person sees while the bench runs: on a terminal one moving line, elsewhere one line per workload. */
import ora from 'ora';
import type { Watcher } from './measure.ts';
import { BASELINE, type Measured, OURS } from './model.ts';
import { formatRatio, formatValue } from './report/table.ts';
import { METRICS, medianOf, ratioOf, timeOf } from './statistics.ts';

function summary(measured: Measured): string {
  const [, rival] = measured.workload.ways ?? [];
  if (rival !== undefined) {
    const ratio = formatRatio(ratioOf(measured, OURS, rival, timeOf));
    return `${measured.workload.name}: of the time of ${rival} ${ratio}`;
  }
  const cpu = formatValue('cpu', medianOf(measured, OURS, METRICS.cpu));
  const time = formatRatio(ratioOf(measured, OURS, BASELINE, METRICS.cpu));
  const memory = formatRatio(ratioOf(measured, OURS, BASELINE, METRICS.rss));
  return `${measured.workload.name}: ${cpu}, of ${BASELINE}'s time ${time}, memory ${memory}`;
}

function remaining(startedMs: number, done: number, total: number): string {
  if (done === 0) return '';
  const seconds = Math.round((((Date.now() - startedMs) / done) * (total - done)) / 1000);
  return `, about ${seconds >= 90 ? `${Math.round(seconds / 60)} min` : `${seconds} s`} left`;
}

export function progress(): Watcher {
  const spinner = ora({ stream: process.stderr });
  const startedMs = Date.now();
  return {
    running({ done, total, workload, round, allocator }) {
      if (!spinner.isSpinning && process.stderr.isTTY) spinner.start();
      spinner.text = `${done} of ${total}${remaining(startedMs, done, total)}: ${workload.name}, round ${round + 1}, ${allocator.name}`;
    },
    finished(measured) {
      spinner.stop();
      process.stderr.write(`${summary(measured)}\n`);
    },
  };
}
