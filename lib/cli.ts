#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { libraryPath, runPreloaded } from './preload.ts';
import { PACKAGE_ROOT } from './root.ts';

const { version, description } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));

/** Says what is wrong and ends with a code of its own: 127 and 126 are the shell's words for a command that cannot start. */
function fail(message: string, code: number): never {
  process.stderr.write(`buddymalloc: ${message}\n`);
  process.exit(code);
}

function libraryOrFail(): string {
  return libraryPath() ?? fail('libbuddymalloc.so has not been built: run "npm rebuild buddymalloc"', 1);
}

const program = new Command('buddymalloc').description(description).version(version).enablePositionalOptions();

program
  .command('run')
  .description('start a command with buddymalloc as its malloc')
  .argument('<command>', 'the program to start, found on the PATH')
  .argument('[args...]', 'its arguments')
  .passThroughOptions()
  .addHelpText('after', '\nExample:\n  $ buddymalloc run -- node server.js')
  .action(async (command: string, args: string[]) => {
    const failure = await runPreloaded(libraryOrFail(), command, args);
    fail(failure.message, failure.code);
  });

program
  .command('path')
  .description('print the path of the library, for LD_PRELOAD')
  .action(() => {
    process.stdout.write(`${libraryOrFail()}\n`);
  });

await program.parseAsync();
