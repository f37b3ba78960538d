// What the command line needs: the library to preload, and a child process that this one stands in for.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { toFlag } from './options.ts';
import { PACKAGE_ROOT } from './root.ts';

/**
 * Where the library may be, the first that exists wins: a clone's own build, what npm built, what came with the package. npm
 * builds where what came does not run, for want of the same C library say, so that it must not win there.
 */
const PLACES = ['out/Release', 'build/Release', `prebuilds/${process.platform}-${process.arch}`];

/** Signals that a terminal or a supervisor sends to this process and means for the command. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

/** Which library: the default build, or the hardened one, which finds more misuse and costs more (docs/misuse.md). */
export interface LibraryChoice {
  /** Whether it is to be the hardened one; default false. */
  hardened?: boolean;
}

/** The file name of the library. */
export function libraryName({ hardened = false }: LibraryChoice = {}): string {
  return hardened ? 'libbuddymalloc-hardened.so' : 'libbuddymalloc.so';
}

/**
 * The path of the library, to put into LD_PRELOAD, if it has been built.
 * @example
 * const library = libraryPath();
 * const strict = libraryPath({ hardened: true });
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if `choice` is no object, or `hardened` no boolean
 */
export function libraryPath(choice: LibraryChoice = {}): string | undefined {
  toFlag(choice, 'hardened');
  return PLACES.map((place) => join(PACKAGE_ROOT, place, libraryName(choice))).find((file) => existsSync(file));
}

/** LD_PRELOAD with the library in front of what was there. */
export function preloadList(library: string, before = process.env['LD_PRELOAD']): string {
  return before === undefined || before === '' ? library : `${library}:${before}`;
}

/** Why a command could not be started, and the shell's exit code for that. */
export interface StartFailure {
  message: string;
  code: number;
}

/**
 * Runs the command with the library preloaded and ends this process as the command ended: with its exit code, or by the
 * same signal. Returns only if the command could not be started.
 */
export function runPreloaded(library: string, command: string, args: string[]): Promise<StartFailure> {
  // The handlers first: the command may already run, and a signal arrive, before spawn() returns.
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of FORWARDED) process.on(signal, forward);
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: { ...process.env, LD_PRELOAD: preloadList(library) },
  });
  return new Promise((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve(
        error.code === 'ENOENT'
          ? { message: `${command}: command not found`, code: 127 }
          : { message: `${command}: ${error.message}`, code: 126 },
      );
    });
    child.on('exit', (code, signal) => {
      if (signal === null) process.exit(code ?? 1);
      for (const forwarded of FORWARDED) process.off(forwarded, forward);
      process.kill(process.pid, signal);
      // The signal ends this process unless it was set to be ignored; then the shell's code tells of it.
      process.exitCode = 128 + constants.signals[signal];
    });
  });
}
