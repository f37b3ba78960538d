/** Counts instructions instead of seconds: the same whatever else the machine is doing. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { BENCH, PATTERNS_PROGRAM, STILL_CLOCK } from './places.ts';

const OPERATIONS = 50_000;

export interface Ceilings {
  /** A count may be above its ceiling by this share before a test fails. */
  tolerance: number;
  /** By pattern: instructions of one operation, the pattern's own included. */
  perOperation: Record<string, number>;
}

export const CEILINGS_FILE = join(BENCH, 'instructions.json');

export function readCeilings(): Ceilings {
  return JSON.parse(readFileSync(CEILINGS_FILE, 'utf8'));
}

async function collect(library: string, pattern: string, operations: number): Promise<number> {
  const callgrind = ['--tool=callgrind', '--callgrind-out-file=/dev/null', PATTERNS_PROGRAM];
  const { stderr } = await execa('valgrind', [...callgrind, ...pattern.split(' '), `count=${operations}`], {
    env: { LD_PRELOAD: `${STILL_CLOCK}:${library}` }, // what is done by the clock is not counted
  });
  const [, collected] = /Collected : (\d+)/.exec(stderr) ?? [];
  if (collected === undefined) throw new Error(`callgrind gave no count for ${pattern}`);
  return Number(collected);
}

/** The fixed patterns: single-threaded, and the same operations in every run. */
export const PATTERNS = [
  'pair size=64',
  'fifo burst=1000',
  'random burst=1000 high=512',
  'replace live=1000',
  'replace live=2000 high=32K',
  'realloc-small',
  'calloc size=256',
] as const;

/** Instructions of one operation: what a longer run costs over a shorter one, so that start and end cancel out. */
export async function instructionsPerOperation(library: string, pattern: string): Promise<number> {
  const [short, long] = await Promise.all([
    collect(library, pattern, OPERATIONS),
    collect(library, pattern, 3 * OPERATIONS),
  ]);
  return (long - short) / (2 * OPERATIONS);
}

/** Prints the counts beside their ceilings; `write` makes them the new ceilings. */
export async function showInstructions(library: string, write: boolean): Promise<void> {
  const ceilings = readCeilings();
  for (const pattern of PATTERNS) {
    const count = await instructionsPerOperation(library, pattern);
    const before = ceilings.perOperation[pattern];
    console.log(
      `${pattern.padEnd(30)} ${count.toFixed(1).padStart(8)}${before === undefined ? '' : `, ceiling ${before}`}`,
    );
    if (write) ceilings.perOperation[pattern] = Math.round(count * 10) / 10;
  }
  if (write) writeFileSync(CEILINGS_FILE, `${JSON.stringify(ceilings, null, 2)}\n`);
}
