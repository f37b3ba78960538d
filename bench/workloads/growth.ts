/** How the cost of an operation moves as the live set, the threads, the blocks or the process's age grow. */
import { freemem } from 'node:os';
import type { Workload } from '../model.ts';
import { pattern } from './patterns.ts';

const MIB = 2 ** 20;

/** One curve: the workloads that are its points, and where each is on the axis. */
export interface Curve {
  title: string;
  axis: string;
  points: { at: number; workload: Workload }[];
}

function text(bytes: number): string {
  if (bytes >= 1024 * MIB) return `${bytes / MIB / 1024}G`;
  if (bytes >= MIB) return `${bytes / MIB}M`;
  return bytes >= 1024 ? `${bytes / 1024}K` : String(bytes);
}

function powersOfTwo(low: number, high: number, step: number): number[] {
  const values: number[] = [];
  for (let value = low; value <= high; value *= step) values.push(value);
  return values;
}

/** The live set may take half of the memory that is free now. */
const LIVE_SETS = powersOfTwo(MIB, 8192 * MIB, 2).filter((bytes) => bytes <= Math.max(freemem() / 2, 256 * MIB));
const QUICK_LIVE_SETS = [MIB, 8 * MIB, 64 * MIB];
const QUICK_THREADS = [1, 4, 16];
const QUICK_SIZES = [64, 4096, 256 * 1024, 16 * MIB];

export const curves: Curve[] = [
  {
    title: 'Cost by live set',
    axis: 'bytes',
    points: LIVE_SETS.map((at) => ({
      at,
      workload: pattern('growth', `live-set bytes=${text(at)}`, 'replacement in a live set of small objects', {
        quick: QUICK_LIVE_SETS.includes(at),
        roundsMax: at > 1024 * MIB ? 1 : 3,
      }),
    })),
  },
  {
    title: 'Cost by threads',
    axis: 'threads',
    points: [1, 2, 3, 4, 6, 8, 12, 16].map((at) => ({
      at,
      workload: pattern('growth', `own threads=${at} live=5000`, 'random replacement in every thread', {
        quick: QUICK_THREADS.includes(at),
        roundsMax: 3,
      }),
    })),
  },
  {
    title: 'Cost by block size',
    axis: 'bytes',
    points: powersOfTwo(16, 64 * MIB, 2).map((at) => ({
      at,
      workload: pattern('growth', `block-size size=${text(at)}`, 'a ring of blocks of one size', {
        quick: QUICK_SIZES.includes(at),
        roundsMax: 3,
      }),
    })),
  },
];

export const age = pattern('growth', 'age', "an hour's worth of random replacement, compressed", {
  quick: true,
  quickPercent: 3,
  roundsMax: 1,
});

export const growth: Workload[] = [...curves.flatMap((curve) => curve.points.map((point) => point.workload)), age];
