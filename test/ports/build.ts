/** Builds of the C library and its tests by other compilers, for other machines and with other tools. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../build/project.ts';

export const FIXTURES = join(ROOT, 'test/ports/fixtures');
export const INCLUDE = join(ROOT, 'csrc/include');

/** The threads' programs, each with a scale that takes about a second under a tool that is fifty times slower. */
export const THREAD_PROGRAMS = { 'producer-consumer': 2000, strangers: 2000, 'thread-churn': 200, 'owner-ended': 3 };
/** With the static library of one build or the other. */
export type Linked = 'static' | 'hardened';
export const threadTargets = (linked: Linked) => Object.keys(THREAD_PROGRAMS).map((name) => `${name}-${linked}`);

export interface Outcome {
  status: number | null;
  /** What it wrote, both streams. */
  text: string;
}

/** Runs a program to its end. */
export function run(command: string[], env: NodeJS.ProcessEnv = {}, cwd: string = ROOT): Outcome {
  const [file = '', ...args] = command;
  const { status, stdout, stderr, error } = spawnSync(file, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 1 << 26,
  });
  return { status, text: error === undefined ? `${stdout}${stderr}` : error.message };
}

/** Runs a program that must succeed; returns what it wrote. */
export function runWell(command: string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, text } = run(command, env);
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}:\n${text.slice(-4000)}`);
  return text;
}

/**
 * Configures and builds some targets with warnings as errors, in a folder that the next run finds again.
 * @returns the folder
 */
export function build(name: string, targets: string[], settings: Record<string, string>): string {
  const folder = join(ROOT, '.cache/ports', name);
  const whole = { BUDDYMALLOC_TESTS: 'ON', BUDDYMALLOC_WERROR: 'ON', ...settings };
  runWell(['cmake', '-S', ROOT, '-B', folder, ...Object.entries(whole).map(([key, value]) => `-D${key}=${value}`)]);
  runWell(['cmake', '--build', folder, '--parallel', '2', '--target', ...targets]);
  return folder;
}

/** The cases that failed, with their notes, and the end. */
function faultsIn(tap: string): string {
  const failed = tap.match(/^not ok .*(\n# .*)*/gm) ?? [];
  return [...failed, tap.slice(-1000)].join('\n');
}

/** The cases of a C test program that fail among those whose name, or whose file's, contains one of the words. */
export function failures(program: string[], words: string[], env: NodeJS.ProcessEnv = {}): string[] {
  return words.flatMap((word) => {
    const { status, text } = run([...program, word], env);
    const passed = Number(/^(\d+) passed, 0 failed$/m.exec(text)?.[1] ?? 0);
    return status === 0 && passed > 0 ? [] : [`${word}: status ${status}\n${faultsIn(text)}`];
  });
}

/** Which of the threads' programs fail. */
export function threadFailures(folder: string, runner: string[] = [], linked: Linked = 'static'): string[] {
  return Object.entries(THREAD_PROGRAMS).flatMap(([name, scale]) => {
    const { status, text } = run([...runner, join(folder, 'thread-test', `${name}-${linked}`), `${scale}`]);
    return status === 0 && text.endsWith('all free again\n') ? [] : [`${name}: status ${status}\n${text.slice(-4000)}`];
  });
}
