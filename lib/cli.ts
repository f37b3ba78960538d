#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { isNameable, type LibraryChoice, libraryName, libraryPath, runPreloaded } from './preload.ts';
import { HOW_TO_BUILD, PACKAGE_ROOT } from './root.ts';

const { version, description } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));

/** Says what is wrong and ends with a code of its own: 127 and 126 are the shell's words for a command that cannot start. */
function fail(message: string, code: number): never {
  process.stderr.write(`buddymalloc: ${message}\n`);
  process.exit(code);
}

function libraryOrFail(choice: LibraryChoice): string {
  return libraryPath(choice) ?? fail(`${libraryName(choice)} has not been built: ${HOW_TO_BUILD}`, 1);
}

const HARDENED = ['--hardened', 'the build that finds more misuse, and costs more'] as const;

const program = new Command('buddymalloc')
  .description(description)
  .version(version)
  .enablePositionalOptions()
  .showHelpAfterError('See "buddymalloc --help".');

program
  .command('run')
  .description('start a command, and whatever it starts, with buddymalloc as their malloc')
  .option(...HARDENED)
  .argument('<command>', 'the program to start, found on the PATH')
  .argument('[args...]', 'its arguments')
  .passThroughOptions()
  .addHelpText(
    'after',
    `
Its standard input, output and error, signals and exit code are the command's.
Set-user-ID programs and statically linked ones keep their own malloc. The
library's options are environment variables: docs/options.md in the package.

Examples:
  $ buddymalloc run -- node server.js
  $ buddymalloc run --hardened -- node server.js
  $ BUDDYMALLOC_STATS_AT_EXIT=1 buddymalloc run -- node server.js`,
  )
  .action(async (command: string, args: string[], choice: LibraryChoice) => {
    const failure = await runPreloaded(libraryOrFail(choice), command, args);
    fail(failure.message, failure.code);
  });

program
  .command('path')
  .description('print the path of the library, for LD_PRELOAD')
  .option(...HARDENED)
  .addHelpText('after', '\nExample:\n  $ LD_PRELOAD=$(buddymalloc path) redis-server')
  .action((choice: LibraryChoice) => {
    const library = libraryOrFail(choice);
    if (!isNameable(library))
      fail(`LD_PRELOAD cannot name ${library}, whose path has a space or a colon: use "buddymalloc run"`, 1);
    process.stdout.write(`${library}\n`);
  });

await program.parseAsync();
