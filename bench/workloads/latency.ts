/** How long a single malloc or free takes, at the worst, among 10^8. */
import type { Workload } from '../model.ts';
import { pattern } from './patterns.ts';

export const latency: Workload[] = [
  pattern('latency', 'latency', 'quantiles of a single malloc and a single free', {
    quick: true,
    quickPercent: 3,
    roundsMax: 3,
  }),
  pattern('latency', 'latency load=1', 'the same while another thread allocates', { roundsMax: 2 }),
];
