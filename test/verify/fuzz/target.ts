/** Builds the fuzzer's targets: libFuzzer from clang, the library's own sources instrumented, the judges not. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { ROOT } from '../../build/project.ts';

const CSRC = join(ROOT, 'csrc');
const FUZZ = join(ROOT, 'test/verify/fuzz');
const CACHE = join(ROOT, '.cache/fuzz');

const COMMON = [
  ...['-std=c11', '-g', '-fno-omit-frame-pointer'],
  // The last is for files of hardened/ that are compiled from elsewhere.
  ...[CSRC, `${CSRC}/include`, `${ROOT}/test/c`, `${CSRC}/hardened`].map((folder) => `-I${folder}`),
];
const LIBRARY = [
  ...COMMON,
  '-O1',
  '-fno-builtin',
  '-fsanitize=undefined',
  '-fno-sanitize-recover=all',
  '-fsanitize-coverage=inline-8bit-counters,pc-table',
];
/** What judges need not be explored, and takes most of the time. */
const JUDGE = [...COMMON, '-O2', '-fno-builtin'];
const JUDGES = ['check.c', 'walk.c', 'stats.c', 'pool_check.c'];

const WRAP = join(ROOT, 'test/c/wrap.c');
/** The system's calls that wrap.c can make fail. */
const SYSTEM_CALLS = [
  ...new Set([...readFileSync(WRAP, 'utf8').matchAll(/\b__real_(\w+)\(/g)].map(([, name = '']) => name)),
];

export const TARGETS = ['operations', 'hardened', 'pool'] as const;
export type Target = (typeof TARGETS)[number];

/** The two builds of the library, as CMakeLists.txt has them. */
type Variant = 'default' | 'hardened';

interface Parts {
  variant: Variant;
  sources: string[];
  wrapped: string[];
  longest: number;
}

const OPERATIONS = {
  sources: ['operations.c', 'crew.c', 'shadow.c'],
  wrapped: [...SYSTEM_CALLS, 'sys_random', 'clock_gettime', 'fatal'],
  longest: 1600,
};

const PARTS: Record<Target, Parts> = {
  operations: { variant: 'default', ...OPERATIONS },
  hardened: { variant: 'hardened', ...OPERATIONS },
  pool: { variant: 'default', sources: ['pool.c', 'shadow.c'], wrapped: SYSTEM_CALLS, longest: 2000 },
};

const FLAGS: Record<Variant, string[]> = { default: [], hardened: ['-DBM_HARDENED=1'] };

/** The files of a build, `hardened/verbs.c` with its folder. */
function filesOf(variant: Variant): string[] {
  const names = readFileSync(join(CSRC, 'sources.txt'), 'utf8').trim().split('\n');
  if (variant === 'default') return names;
  const cmake = readFileSync(join(ROOT, 'CMakeLists.txt'), 'utf8');
  const [, replaced = ''] = /REMOVE_ITEM BUDDYMALLOC_HARDENED_SOURCES([^)]*)/.exec(cmake) ?? [];
  const own = readdirSync(join(CSRC, 'hardened')).filter((name) => name.endsWith('.c'));
  return [...names.filter((name) => !replaced.includes(`csrc/${name}`)), ...own.map((name) => `hardened/${name}`)];
}

/** A fault put into the library on purpose: `find`, which its file has once, is replaced. */
export interface Fault {
  file: string;
  find: string;
  replace: string;
}

async function compile(flags: string[], sources: string[], folder: string): Promise<string[]> {
  const jobs = sources.map((source) => ({ source, object: join(folder, `${source.replaceAll('/', '-')}.o`) }));
  const next = jobs.values();
  const work = async () => {
    for (const { source, object } of next) await execa('clang', [...flags, '-c', source, '-o', object]);
  };
  await Promise.all([work(), work()]);
  return jobs.map(({ object }) => object);
}

/** The library's objects, compiled once in a process. */
const libraries = new Map<Variant, Promise<void>>();

function buildLibrary(variant: Variant, folder: string): Promise<void> {
  const built = libraries.get(variant);
  if (built !== undefined) return built;
  const paths = (isWanted: (name: string) => boolean) =>
    filesOf(variant)
      .filter(isWanted)
      .map((name) => join(CSRC, name));
  const building = (async () => {
    const isJudge = (name: string) => JUDGES.includes(name);
    await compile(
      [...LIBRARY, ...FLAGS[variant]],
      paths((name) => !isJudge(name)),
      folder,
    );
    await compile([...JUDGE, ...FLAGS[variant]], paths(isJudge), folder);
  })();
  libraries.set(variant, building);
  return building;
}

/** Builds a target, with a fault if one is given, and returns the program. */
export async function build(target: Target, fault?: Fault): Promise<string> {
  const { variant, sources, wrapped } = PARTS[target];
  const folder = join(CACHE, 'objects', variant);
  mkdirSync(folder, { recursive: true });
  await buildLibrary(variant, folder);
  const own = [...sources.map((name) => join(FUZZ, name)), WRAP];
  const objects = await compile([...JUDGE, ...FLAGS[variant]], own, folder);
  const objectOf = (name: string) => join(folder, `${join(CSRC, name).replaceAll('/', '-')}.o`);
  objects.push(
    ...filesOf(variant)
      .filter((name) => name !== fault?.file)
      .map(objectOf),
  );
  if (fault !== undefined) objects.push(await compileFault(fault, FLAGS[variant]));
  const program = join(CACHE, fault === undefined ? target : `${target}-broken`);
  const wrap = wrapped.map((name) => `--wrap=${name}`).join(',');
  await execa('clang', ['-fsanitize=fuzzer,undefined', ...objects, `-Wl,${wrap}`, '-lpthread', '-o', program]);
  return program;
}

async function compileFault({ file, find, replace }: Fault, flags: string[]): Promise<string> {
  const text = readFileSync(join(CSRC, file), 'utf8');
  if (text.split(find).length !== 2) throw new Error(`csrc/${file} does not have this once: ${find}`);
  const folder = join(CACHE, 'broken');
  const path = join(folder, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text.replace(find, replace));
  const [object = ''] = await compile([...LIBRARY, ...flags], [path], folder);
  return object;
}

const keptFile = (target: Target) => join(FUZZ, 'corpus', `${target}.txt`);

/** Unpacks the kept inputs, a line each in base64, into a folder of files. */
export function unpack(target: Target): string {
  const folder = join(CACHE, 'kept', target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if (!existsSync(keptFile(target))) return folder;
  const lines = readFileSync(keptFile(target), 'utf8').trim().split('\n');
  for (const [index, line] of lines.entries()) {
    writeFileSync(join(folder, String(index).padStart(5, '0')), Buffer.from(line, 'base64'));
  }
  return folder;
}

/** Keeps the least set of inputs from the folders that reaches all they reach together. */
export async function keep(target: Target, program: string, folders: string[]): Promise<number> {
  const merged = join(CACHE, 'merged');
  rmSync(merged, { recursive: true, force: true });
  mkdirSync(merged, { recursive: true });
  await execa(program, ['-merge=1', `-max_len=${PARTS[target].longest}`, merged, ...folders], { cwd: CACHE });
  const inputs = readdirSync(merged).map((name) => readFileSync(join(merged, name)));
  inputs.sort((a, b) => a.length - b.length || a.compare(b));
  mkdirSync(join(FUZZ, 'corpus'), { recursive: true });
  writeFileSync(keptFile(target), `${inputs.map((input) => input.toString('base64')).join('\n')}\n`);
  return inputs.length;
}

export interface Run {
  /** What libFuzzer and the target wrote. */
  text: string;
  /** The first line that says what is wrong; undefined if nothing is. */
  found: string | undefined;
  executions: number;
}

/** Runs the kept inputs and, for `seconds`, variations of them. New inputs go to .cache/fuzz/new. */
export async function run(target: Target, program: string, seconds: number, seed?: number): Promise<Run> {
  const fresh = join(CACHE, 'new', target);
  mkdirSync(fresh, { recursive: true });
  const limits = seconds > 0 ? [`-max_total_time=${seconds}`] : ['-runs=0'];
  const folders = seconds > 0 ? [fresh, unpack(target)] : [unpack(target)];
  const { all = '', exitCode } = await execa(
    program,
    [
      ...limits,
      ...(seed === undefined ? [] : [`-seed=${seed}`]),
      `-max_len=${PARTS[target].longest}`,
      '-print_final_stats=1',
      `-artifact_prefix=${CACHE}/${target}-`,
      ...folders,
    ],
    { cwd: CACHE, all: true, reject: false },
  );
  const wrong = all.split('\n').find((line) => /^(found|buddymalloc): |ERROR|runtime error/.test(line));
  const [, executions = '0'] = /number_of_executed_units: (\d+)/.exec(all) ?? [];
  const found = exitCode === 0 ? undefined : (wrong ?? `exit code ${exitCode}`);
  return { text: all, found, executions: Number(executions) };
}
