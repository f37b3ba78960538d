/** Which lines and branches of csrc/ the C tests and the thread tests reach: a build for gcov, the tests, and gcov's answer. */
import { readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import { ROOT } from '../../build/project.ts';
import { build, THREAD_PROGRAMS, threadTargets } from '../../ports/build.ts';

const TESTS = ['test-static', 'test-hardened'];
/** Whose objects' counters are read. */
const LIBRARIES = ['buddymalloc_static', 'buddymalloc_hardened_static', 'buddymalloc_shared'];
/** What runs preloaded, for the files of the preloaded library alone: libc's names, and C++'s. */
const PRELOADED: [program: string, ...args: string[]][] = [
  ...['aligned_test', 'calloc_test', 'malloc_info_test', 'names_test', 'operators_test', 'realloc_test'].map(
    (word): [string, string] => ['test-libc', word],
  ),
  ['replaced-new-and-delete'],
  ['replaced-aligned'],
  ['linked-arrays'],
  ['linked-aligned'],
  ['replaced-host', './replaced-library.so'],
];
const PRELOADED_TARGETS = [...new Set(PRELOADED.map(([program]) => program)), 'replaced-library', 'buddymalloc_shared'];

export interface Line {
  number: number;
  function: string;
  /** How often it ran, in all programs together. */
  count: number;
  /** How often each way out of it was taken. */
  branches: number[];
}

export interface File {
  /** Relative to csrc/. */
  name: string;
  lines: Line[];
}

/** What gcov writes with --json-format, as far as it is read here. */
interface GcovUnit {
  current_working_directory: string;
  files: {
    file: string;
    lines: { line_number: number; function_name?: string; count: number; branches: { count: number }[] }[];
  }[];
}

const isReached = ({ count }: Line) => count > 0;

function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));
}

/** A line that several programs, or several files that include it, have counted. */
function add(line: Line | undefined, more: Line): Line {
  if (line === undefined) return more;
  const [long, short] =
    line.branches.length > more.branches.length ? [line.branches, more.branches] : [more.branches, line.branches];
  return {
    ...line,
    count: line.count + more.count,
    branches: long.map((count, index) => count + (short[index] ?? 0)),
  };
}

async function readCounters(folder: string): Promise<File[]> {
  const csrc = join(ROOT, 'csrc');
  const files = new Map<string, Map<number, Line>>();
  for (const library of LIBRARIES) {
    const counters = filesUnder(join(folder, 'CMakeFiles', `${library}.dir/csrc`), '.gcda');
    const flags = ['--json-format', '--stdout', '--branch-probabilities'];
    const { stdout } = await execa('gcov', [...flags, ...counters], { cwd: folder, maxBuffer: 1 << 28 });
    for (const unit of stdout.split('\n').filter((text) => text !== '')) {
      const { current_working_directory: from, files: parts } = JSON.parse(unit) as GcovUnit;
      for (const { file, lines } of parts) {
        const name = relative(csrc, file.startsWith('/') ? file : join(from, file));
        if (name.startsWith('..')) continue;
        const known = files.get(name) ?? new Map<number, Line>();
        files.set(name, known);
        for (const { line_number: number, function_name, count, branches } of lines) {
          const more = { number, function: function_name ?? '', count, branches: branches.map((one) => one.count) };
          known.set(number, add(known.get(number), more));
        }
      }
    }
  }
  return [...files]
    .map(([name, lines]) => ({ name, lines: [...lines.values()].sort((a, b) => a.number - b.number) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A program of tests whose cases fail has measured all the same; the doors of test/c are where they are asserted. */
const runTests = (folder: string, program: string, args: string[] = [], env: NodeJS.ProcessEnv = {}) =>
  execa(join(folder, program), args, { cwd: folder, env, reject: false, stdio: 'ignore' });

/** Builds, runs and counts anew; takes minutes. */
export async function measure(): Promise<File[]> {
  const targets = [...TESTS, ...threadTargets('static'), ...PRELOADED_TARGETS];
  const folder = build('coverage', targets, { BUDDYMALLOC_COVERAGE: 'ON' });
  for (const counters of filesUnder(folder, '.gcda')) rmSync(counters);
  const tests = join(folder, 'tests');
  for (const program of TESTS) await runTests(tests, program);
  for (const [name, scale] of Object.entries(THREAD_PROGRAMS))
    await runTests(join(folder, 'thread-test'), `${name}-static`, [String(scale)]);
  for (const [program, ...args] of PRELOADED)
    await runTests(tests, program, args, { LD_PRELOAD: join(folder, 'libbuddymalloc.so') });
  return readCounters(folder);
}

export interface Share {
  reached: number;
  all: number;
}

export function share(lines: Line[]): { lines: Share; branches: Share } {
  const branches = lines.flatMap((line) => line.branches);
  return {
    lines: { reached: lines.filter(isReached).length, all: lines.length },
    branches: { reached: branches.filter((count) => count > 0).length, all: branches.length },
  };
}

/** `12, 15-18`: the lines that were not reached. */
export function missing(lines: Line[]): string {
  const runs: [number, number][] = [];
  for (const line of lines) {
    const last = runs.at(-1);
    if (isReached(line)) runs.push([0, 0]);
    else if (last === undefined || last[0] === 0) runs.push([line.number, line.number]);
    else last[1] = line.number;
  }
  const named = runs.filter(([from]) => from !== 0);
  return named.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

/** The functions of which so many lines or more were not reached, as `file function`. */
export function hardlyReached(files: File[], least: number): string[] {
  return files.flatMap(({ name, lines }) => {
    const counts = new Map<string, number>();
    for (const line of lines) if (!isReached(line)) counts.set(line.function, (counts.get(line.function) ?? 0) + 1);
    return [...counts].filter(([, count]) => count >= least).map(([inside]) => `${name} ${inside}`);
  });
}
