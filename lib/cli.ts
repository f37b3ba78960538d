#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { type LibraryChoice, libraryName, libraryPath, runPreloaded } from './preload.ts';
import { PACKAGE_ROOT } from './root.ts';

const { version, description } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));

/** Says what is wrong and ends with a code of its own: 127 and 126 are the shell's words for a command that cannot start. */
function fail(message: string, code: number): never {
  process.stderr.write(`buddymalloc: ${message}\n`);
  process.exit(code);
}

function libraryOrFail(choice: LibraryChoice): string {
  return libraryPath(choice) ?? fail(`${libraryName(choice)} has not been built: run "npm rebuild buddymalloc"`, 1);
}

const HARDENED = ['--hardened', 'the build that finds more misuse, and costs more'] as const;

const program = new Command('buddymalloc').description(description).version(version).enablePositionalOptions();

program
  .command('run')
  .description('start a command with buddymalloc as its malloc')
  .option(...HARDENED)
  .argument('<command>', 'the program to start, found on the PATH')
  .argument('[args...]', 'its arguments')
  .passThroughOptions()
  .addHelpText(
    'after',
    '\nExamples:\n  $ buddymalloc run -- node server.js\n  $ buddymalloc run --hardened -- node server.js',
  )
  .action(async (command: string, args: string[], choice: LibraryChoice) => {
    const failure = await runPreloaded(libraryOrFail(choice), command, args);
    fail(failure.message, failure.code);
  });

program
  .command('path')
  .description('print the path of the library, for LD_PRELOAD')
  .option(...HARDENED)
  .action((choice: LibraryChoice) => {
    process.stdout.write(`${libraryOrFail(choice)}\n`);
  });

await program.parseAsync();
