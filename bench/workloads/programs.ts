/** Real programs, each on work that it generates itself or that is generated here once, the same in every run. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Command, Place, Workload } from '../model.ts';
import { BENCH } from '../places.ts';
import { cSource, gitHistory, smtProblem } from './inputs.ts';
import { redisCommand } from './redis.ts';

const SOURCES = join(BENCH, 'programs');

/** Written once; the names carry the amount of work, so that a quick and a full run keep apart. */
async function writeOnce(file: string, text: () => string): Promise<void> {
  if (!existsSync(file)) writeFileSync(file, text());
}

const pick = (place: Place, full: number, quick: number): number => (place.quick ? quick : full);
const cFile = (place: Place): string => join(place.inputs, `source-${pick(place, 60, 12)}.c`);
const smtFile = (place: Place): string => join(place.inputs, `problem-${pick(place, 600, 150)}.smt2`);
const repository = (place: Place): string => join(place.inputs, `repository-${pick(place, 1500, 400)}.git`);

async function prepareSource(place: Place): Promise<void> {
  await writeOnce(cFile(place), () => cSource(pick(place, 60, 12)));
}

async function prepareRepository(place: Place): Promise<void> {
  const folder = repository(place);
  if (existsSync(join(folder, 'complete'))) return;
  rmSync(folder, { recursive: true, force: true });
  await execa('git', ['init', '--bare', '--quiet', folder]);
  await execa('git', ['-C', folder, 'fast-import', '--quiet'], { input: gitHistory(pick(place, 1500, 400)) });
  writeFileSync(join(folder, 'complete'), '');
}

/** A program of the interpreter's own, with the amount of work as its argument. */
function script(interpreter: string, file: string, place: Place, full: number, quick: number): Command {
  return { program: interpreter, args: [join(SOURCES, file), String(pick(place, full, quick))] };
}

function compiler(name: string, program: string, quick: boolean): Workload {
  return {
    name,
    group: 'programs',
    what: 'compiles a file of generated functions with -O2',
    quick,
    needs: [program],
    prepare: prepareSource,
    command: (place) => ({ program, args: ['-O2', '-S', '-o', '/dev/null', cFile(place)] }),
  };
}

export const programs: Workload[] = [
  {
    name: 'python3',
    group: 'programs',
    what: 'objects, dictionaries, strings and JSON, with PYTHONMALLOC=malloc',
    quick: true,
    needs: ['python3'],
    // Debian's own first: a python3 that comes before it on the path may be a shell script that starts another one.
    command: (place) => ({
      ...script(existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3', 'work.py', place, 20_000, 4000),
      settings: { PYTHONMALLOC: 'malloc', PYTHONHASHSEED: '0' },
    }),
  },
  {
    name: 'lua',
    group: 'programs',
    what: 'tables, closures and strings',
    quick: true,
    needs: ['lua5.4'],
    command: (place) => script('lua5.4', 'work.lua', place, 60, 15),
  },
  {
    name: 'perl',
    group: 'programs',
    what: 'hashes, strings and regular expressions',
    quick: true,
    needs: ['perl'],
    command: (place) => ({ ...script('perl', 'work.pl', place, 20_000, 5000), settings: { PERL_HASH_SEED: '0' } }),
  },
  compiler('gcc', 'gcc', true),
  compiler('clang', 'clang', false),
  {
    name: 'sqlite3',
    group: 'programs',
    what: 'tables, indexes and joins in memory',
    quick: true,
    needs: ['sqlite3'],
    command: (place) => ({
      program: 'sqlite3',
      args: [':memory:', `.parameter set @items ${pick(place, 150_000, 25_000)}`, `.read ${join(SOURCES, 'work.sql')}`],
    }),
  },
  {
    name: 'redis',
    group: 'programs',
    what: 'a server that keeps, replaces and deletes 200,000 values',
    quick: true,
    needs: ['redis-server', 'redis-cli'],
    linkedWithAllocator: true,
    command: (place) => redisCommand(place, pick(place, 200_000, 25_000)),
  },
  {
    name: 'z3',
    group: 'programs',
    what: 'solves linear arithmetic with functions',
    quick: true,
    needs: ['z3'],
    prepare: (place) => writeOnce(smtFile(place), () => smtProblem(pick(place, 600, 150))),
    command: (place) => ({ program: 'z3', args: [smtFile(place)] }),
  },
  {
    name: 'ghostscript',
    group: 'programs',
    what: 'draws pages of paths, boxes and text',
    quick: true,
    needs: ['gs'],
    command: (place) => ({
      program: 'gs',
      args: [
        ...['-q', '-dNOPAUSE', '-dBATCH', '-dNOSAFER', '-sDEVICE=png16m', '-r60', '-o', '/dev/null'],
        ...[`-dpages=${pick(place, 30, 5)}`, join(SOURCES, 'work.ps')],
      ],
    }),
  },
  {
    name: 'git',
    group: 'programs',
    what: 'packs a repository again from nothing',
    quick: true,
    needs: ['git'],
    prepare: prepareRepository,
    command: (place) => ({
      program: 'git',
      args: ['-C', repository(place), '-c', 'pack.threads=1', 'repack', '-adfq', '--window=30'],
    }),
  },
];
