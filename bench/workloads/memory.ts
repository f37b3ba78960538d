/** How much memory comes back: 1 GiB of small objects, one second after most of it was freed. */
import type { Workload } from '../model.ts';
import { pattern } from './patterns.ts';

export const memory: Workload[] = [
  pattern('memory', 'memory-random', '90 % of 1 GiB of small objects freed at random', {
    quick: true,
    quickPercent: 50,
    roundsMax: 3,
  }),
  pattern('memory', 'memory-runs threads=2', 'whole generations freed; the threads that freed are idle', {
    quick: true,
    quickPercent: 50,
    roundsMax: 3,
  }),
  pattern('memory', 'memory-all', 'all of 1 GiB of small objects freed', {
    quick: true,
    quickPercent: 50,
    roundsMax: 3,
  }),
];
