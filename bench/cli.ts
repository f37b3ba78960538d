/** `npm run bench`: reads the command line, runs the bench, shows and writes the results. */
import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { findAllocators, installRivals, PACKAGES, parseAllocator, systemLibrary } from './allocators.ts';
import { build } from './build.ts';
import { showInstructions } from './instructions.ts';
import { measure, type Plan } from './measure.ts';
import { type Allocator, GROUPS, type Group, OURS } from './model.ts';
import { HARDENED_LIBRARY, INPUTS, LIBRARY, NODE_PROGRAMS, PATTERNS_PROGRAM } from './places.ts';
import { progress } from './progress.ts';
import { show } from './report/show.ts';
import { choose, workloads } from './workloads/all.ts';

const FULL_ROUNDS = 5;
const QUICK_ROUNDS = 1;

interface Options {
  library: string;
  allocator: Allocator[];
  hardened: boolean;
  rounds?: number;
  filter?: RegExp;
  group?: Group[];
  only?: string[];
  quick: boolean;
  list: boolean;
  install: boolean;
  instructions?: 'print' | 'write';
  json?: string;
  html?: string;
  svg?: string;
}

function rounds(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('a number of rounds is 1 or more.');
  return count;
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function collectAllocator(text: string, before: Allocator[]): Allocator[] {
  try {
    return [...before, parseAllocator(text)];
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

const program = new Command('npm run bench --')
  .description('Compares libbuddymalloc.so with the system allocator and every rival that is installed.')
  .option('--quick', 'a shorter bench, under three minutes', false)
  .option(
    '--rounds <count>',
    `rounds, in each of which every allocator has its turn (${FULL_ROUNDS}; quick: ${QUICK_ROUNDS})`,
    rounds,
  )
  .addOption(new Option('--group <names...>', 'only these groups').choices(GROUPS))
  .option('--filter <pattern>', 'only workloads whose name matches this regular expression', pattern)
  .option('--only <names...>', 'only these allocators, by name')
  .option('--allocator <name=path>', 'one more allocator; may be repeated', collectAllocator, [])
  .option('--hardened', 'our hardened build too', false)
  .option('--library <path>', 'our library', LIBRARY)
  .option('--install', `install the packaged rivals first: ${PACKAGES.join(', ')}`, false)
  .option('--list', 'list the workloads and the allocators found, and run nothing', false)
  .addOption(
    new Option(
      '--instructions [what]',
      'count the instructions of fixed patterns with callgrind: print them, or write them as the new ceilings',
    )
      .choices(['print', 'write'])
      .preset('print'),
  )
  .option('--json <file>', 'write all samples and ratios to this file')
  .option('--html <file>', 'write a page with charts to this file')
  .option('--svg <file>', 'write the summary chart to this file');

function list(chosen: ReturnType<typeof choose>, allocators: Allocator[]): void {
  for (const workload of chosen.workloads)
    console.log(`${workload.group.padEnd(9)} ${workload.name.padEnd(34)} ${workload.what}`);
  console.log(`\nAllocators: ${allocators.map((allocator) => allocator.name).join(', ')}`);
}

/** At the first interrupt the results so far are shown; at the second the bench ends at once, as any program does. */
function stopOnInterrupt(): AbortSignal {
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort());
  return controller.signal;
}

async function main(options: Options): Promise<void> {
  if (options.install) await installRivals();
  if (!existsSync(options.library))
    program.error(`there is no ${options.library}: run 'npm run build' first, or name it with --library`);
  await build();
  if (options.instructions !== undefined) return showInstructions(options.library, options.instructions === 'write');
  const hardened = options.hardened ? [parseAllocator(`${OURS}-hardened=${HARDENED_LIBRARY}`)] : [];
  const field = await findAllocators(options.library, [...hardened, ...options.allocator]);
  const wanted = options.only;
  const allocators = field.allocators.filter(({ name }) => wanted === undefined || wanted.includes(name));
  const chosen = choose({ groups: options.group ?? GROUPS, filter: options.filter, quick: options.quick }, workloads);
  if (chosen.workloads.length + chosen.missing.length === 0)
    program.error('no workload is left: see --list, --group and --filter');
  if (options.list) return list(chosen, allocators);
  for (const name of field.broken) console.warn(`${name}: left out, since a trivial program does not run with it`);
  for (const { name, programs } of chosen.missing)
    console.warn(`${name}: left out, since ${programs.join(', ')} is not installed`);
  const plan: Plan = {
    workloads: chosen.workloads,
    allocators,
    rounds: options.rounds ?? (options.quick ? QUICK_ROUNDS : FULL_ROUNDS),
    place: { patterns: PATTERNS_PROGRAM, node: NODE_PROGRAMS, inputs: INPUTS, quick: options.quick },
    systemLibrary: await systemLibrary(),
    stop: stopOnInterrupt(),
  };
  const results = await measure(plan, progress());
  await show(results, plan, { json: options.json, html: options.html, svg: options.svg });
}

program.action(main);
await program.parseAsync();
