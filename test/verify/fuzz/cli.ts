/** `npm run fuzz`: fuzzes for a while, and keeps what reached something new. */
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ROOT } from '../../build/project.ts';
import { build, keep, run, TARGETS, type Target, unpack } from './target.ts';

const DEFAULT_SECONDS = 60;

function seconds(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('a number of seconds is 1 or more.');
  return count;
}

const command = new Command('npm run fuzz --')
  .description(
    'Fuzzes the allocator, its hardened build, or the pool with libFuzzer; an input that shows a bug is written to .cache/fuzz.',
  )
  .addOption(new Option('--target <name>', 'what to fuzz').choices(TARGETS).default('operations'))
  .option('--time <seconds>', 'how long', seconds, DEFAULT_SECONDS)
  .option('--keep', 'add to the kept inputs those that reach something new')
  .parse();

const options = command.opts<{ target: Target; time: number; keep?: true }>();
const program = await build(options.target);
const { text, found, executions } = await run(options.target, program, options.time);
if (found !== undefined) {
  process.stdout.write(`${text}\n`);
  process.exit(1);
}
process.stdout.write(`${options.target}: ${executions} executions, no bug found\n`);
if (options.keep) {
  const kept = await keep(options.target, program, [
    unpack(options.target),
    join(ROOT, '.cache/fuzz/new', options.target),
  ]);
  process.stdout.write(`${kept} inputs are kept\n`);
}
