/** The results as one JSON value: every sample, the medians and ratios, the targets, the machine. */
import { cpus, release, totalmem } from 'node:os';
import type { Plan } from '../measure.ts';
import { type Measured, OURS } from '../model.ts';
import { METRICS, type MetricName, medianOf, noiseOf, ratioOf, rivalsIn, spreadOf } from '../statistics.ts';
import { targetsOf, verdict } from './targets.ts';

const NAMES = Object.keys(METRICS) as MetricName[];

export function machine() {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
  };
}

function summarise(measured: Measured, metric: MetricName) {
  const read = METRICS[metric];
  const allocators = [...measured.samples.keys()];
  return {
    medians: Object.fromEntries(allocators.map((name) => [name, medianOf(measured, name, read)])),
    ratios: Object.fromEntries(rivalsIn(measured).map((name) => [name, ratioOf(measured, OURS, name, read)])),
    spreads: Object.fromEntries(allocators.map((name) => [name, spreadOf(measured, name, read)])),
    noise: noiseOf(measured, read),
  };
}

export function resultsAsJson(results: readonly Measured[], plan: Plan, date: Date) {
  return {
    date: date.toISOString(),
    machine: machine(),
    quick: plan.place.quick,
    rounds: plan.rounds,
    allocators: plan.allocators.map(({ name }) => name),
    targets: targetsOf(results).map((target) => ({ ...target, verdict: verdict(target) })),
    workloads: results.map((measured) => ({
      name: measured.workload.name,
      group: measured.workload.group,
      what: measured.workload.what,
      failures: Object.fromEntries(measured.failures),
      ...Object.fromEntries(NAMES.map((metric) => [metric, summarise(measured, metric)])),
      samples: Object.fromEntries(measured.samples),
    })),
  };
}
