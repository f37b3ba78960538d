// What the command line needs: the library to preload, and a child process that this one stands in for.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { toFlag } from './options.ts';
import { PACKAGE_ROOT } from './root.ts';

/**
 * Where the library may be; the first that exists wins: a clone's own build, what npm built, what came with the package. npm
 * builds one where the one that came does not load, for want of the same C library for instance.
 */
const PLACES = ['out/Release', 'build/Release', `prebuilds/${process.platform}-${process.arch}`];

/** Signals that a terminal or a supervisor sends to this process and means for the command. */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

/** Those of a terminal's keys, which it sends to every process in its foreground, so to the command too. */
const KEYS: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);

/** Whether this process, and the command with it, is in the foreground of a terminal (proc_pid_stat(5)). */
function isInForeground(): boolean {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === foreground;
}

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

/** Whether LD_PRELOAD can name the library: there a name ends at a space or a colon, and nothing quotes one. */
export const isNameable = (library: string): boolean => !/[ :]/.test(library);

/** A list for the dynamic linker, with `first` in front of what was there. */
const listOf = (first: string, before = '') => (before === '' ? first : `${first}:${before}`);

/** The environment with the library in front of what is preloaded already; undefined if the linker's lists cannot name it. */
function preloadingEnvironment(library: string): NodeJS.ProcessEnv | undefined {
  const { LD_PRELOAD, LD_LIBRARY_PATH } = process.env;
  if (isNameable(library)) return { ...process.env, LD_PRELOAD: listOf(library, LD_PRELOAD) };
  // In the list of folders a space ends nothing.
  const folder = dirname(library);
  if (/[:;]/.test(folder)) return undefined;
  const lists = { LD_PRELOAD: listOf(basename(library), LD_PRELOAD), LD_LIBRARY_PATH: listOf(folder, LD_LIBRARY_PATH) };
  return { ...process.env, ...lists };
}

/** Why a command could not be started, and the shell's exit code for that. */
export interface StartFailure {
  message: string;
  code: number;
}

/** What a shell says of a command that cannot be started, and returns. */
function startFailure(command: string, { code, message }: NodeJS.ErrnoException): StartFailure {
  if (code === 'EACCES') return { message: `${command}: permission denied`, code: 126 };
  if (code !== 'ENOENT') return { message: `${command}: ${message}`, code: 126 };
  if (!command.includes('/')) return { message: `${command}: command not found`, code: 127 };
  const what = existsSync(command) ? 'the interpreter that it names was not found' : 'no such file';
  return { message: `${command}: ${what}`, code: 127 };
}

/**
 * Runs the command with the library preloaded and ends this process as the command ended: with its exit code, or by the
 * same signal. Returns only if the command could not be started.
 */
export async function runPreloaded(library: string, command: string, args: string[]): Promise<StartFailure> {
  const env = preloadingEnvironment(library);
  if (env === undefined) return { message: `LD_PRELOAD cannot name ${library}, whose path has a colon`, code: 126 };
  // The handlers first: the command may already run, and a signal arrive, before spawn() returns.
  const forward = (signal: NodeJS.Signals) => {
    if (!KEYS.has(signal) || !isInForeground()) child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  const child = spawn(command, args, { stdio: 'inherit', env });
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(startFailure(command, error)));
    child.on('exit', (code, signal) => {
      if (signal === null) process.exit(code ?? 1);
      for (const forwarded of FORWARDED) process.off(forwarded, forward);
      process.kill(process.pid, signal);
      // The signal ends this process unless it was set to be ignored; then the shell's code tells of it.
      process.exitCode = 128 + constants.signals[signal];
    });
  });
}
