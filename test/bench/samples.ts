/** Results made up for the tests: no program runs. */
import { BASELINE, CONTROL, type Group, type Measured, OURS, type Sample } from '../../bench/model.ts';

export function sample(cpuSeconds: number, rssPeakBytes = 2 ** 20, figures: Sample['figures'] = {}): Sample {
  return { wallSeconds: cpuSeconds, cpuSeconds, rssPeakBytes, minorFaults: 0, figures };
}

/** One workload's results: CPU seconds of each round by allocator. */
export function measuredOf(name: string, group: Group, cpu: Record<string, number[]>): Measured {
  return {
    workload: { name, group, what: 'made up', quick: true, command: () => ({ program: 'true', args: [] }) },
    samples: new Map(
      Object.entries(cpu).map(([allocator, seconds]) => [allocator, seconds.map((value) => sample(value))]),
    ),
    failures: new Map(),
  };
}

export const example = (): Measured =>
  measuredOf('pair size=64', 'patterns', {
    [OURS]: [2, 1, 3],
    mimalloc: [4, 4, 4],
    jemalloc: [2.5, 1.6, 1.5],
    [BASELINE]: [8, 8, 8],
    [CONTROL]: [0.5, 0.5, 0.5],
  });
