/** `npm run misuse`: a table of what each allocator of this machine catches of the catalogue of misuse. */
import Table from 'cli-table3';
import { Command } from 'commander';
import { findAllocators } from '../allocators.ts';
import { build } from '../build.ts';
import { CONTROL, OURS } from '../model.ts';
import { HARDENED_LIBRARY, LIBRARY } from '../places.ts';
import { missedBy, misuseCases } from './run.ts';

const program = new Command('npm run misuse --')
  .description('Runs a catalogue of misuse under every allocator that is found, and counts what each catches.')
  .option('--missed', 'list what each one misses', false);

/** `overflow by 1: 40 bytes` is a case of `overflow by 1`. */
const kindOf = (name: string) => name.split(':')[0] ?? name;

program.action(async (options: { missed: boolean }) => {
  await build();
  const names = await misuseCases();
  const field = await findAllocators(LIBRARY, [{ name: `${OURS} hardened`, library: HARDENED_LIBRARY }]);
  const allocators = field.allocators.filter(({ name }) => name !== CONTROL);
  const missed = new Map<string, string[]>();
  for (const allocator of allocators) missed.set(allocator.name, await missedBy(allocator, names));
  const table = new Table({ head: ['', 'cases', ...missed.keys()], style: { head: [], border: [] } });
  for (const kind of new Set(names.map(kindOf))) {
    const all = names.filter((name) => kindOf(name) === kind);
    const caught = [...missed.values()].map((list) => all.filter((name) => !list.includes(name)).length);
    table.push([kind, all.length, ...caught]);
  }
  table.push(['caught', names.length, ...[...missed.values()].map((list) => names.length - list.length)]);
  console.log(table.toString());
  for (const name of field.broken) console.warn(`${name}: left out, since a trivial program does not run with it`);
  if (options.missed) for (const [name, list] of missed) console.log(`\n${name} misses:\n  ${list.join('\n  ')}`);
});
await program.parseAsync();
