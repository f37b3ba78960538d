/** Checks a Promela model exhaustively: spin makes a C program of it, whose run visits every state that can be reached. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { ROOT } from '../../build/project.ts';

export const MODELS = join(ROOT, 'test/verify/model');

/** Steps in a row that a run may have; all are far shorter. */
const DEPTH = 100_000;

export interface Verdict {
  /** The first violation, as spin words it; undefined if there is none. */
  violation: string | undefined;
  states: number;
  /** False if the search ended before all was visited. */
  isWhole: boolean;
}

/** The models' names, without `.pml`. */
export function modelNames(): string[] {
  return readdirSync(MODELS)
    .filter((file) => file.endsWith('.pml'))
    .map((file) => file.slice(0, -'.pml'.length));
}

export function readModel(name: string): string {
  return readFileSync(join(MODELS, `${name}.pml`), 'utf8');
}

/** The names that leave something out of the model or put a fault in; a bound is defined by the model itself. */
export function brokenVariants(text: string): string[] {
  const conditions = [...text.matchAll(/^#ifn?def (\w+)$/gm)].map(([, name = '']) => name);
  return [...new Set(conditions)].filter((name) => !new RegExp(`^#define ${name}\\b`, 'm').test(text));
}

/** The names of the model's steps. */
export function stepNames(text: string): string[] {
  return [...text.matchAll(/^inline (\w+)\(/gm)].map(([, name = '']) => name);
}

/**
 * @param defines - names to define, of variants, or `NAME=value` for a bound
 * @throws Error if spin or the compiler refuses the model
 */
export async function check(name: string, defines: string[]): Promise<Verdict> {
  const cwd = join(ROOT, '.cache/model', [name, ...defines].join('-'));
  mkdirSync(cwd, { recursive: true });
  await execa('spin', ['-a', ...defines.map((define) => `-D${define}`), join(MODELS, `${name}.pml`)], { cwd });
  // -O0: of these programs most compile longer than they run.
  await execa('gcc', ['-O0', '-w', '-DSAFETY', '-DCOLLAPSE', '-o', 'pan', 'pan.c'], { cwd });
  const { stdout } = await execa('./pan', [`-m${DEPTH}`], { cwd });
  const [, violation] = /^pan:1: (.*) \(at depth \d+\)$/m.exec(stdout) ?? [];
  const [, states = '0'] = /^ *(\d+) states, stored$/m.exec(stdout) ?? [];
  return { violation, states: Number(states), isWhole: !stdout.includes('Search not completed') };
}
