import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** How a command ended and what it printed: what two runs must have in common. */
export interface Outcome {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Where programs are looked for: this Node first, then the system's own, so that no version manager's wrapper is met. */
const PATH = [dirname(process.execPath), '/usr/bin', '/bin', '/usr/local/bin', process.env.PATH ?? ''].join(delimiter);

/** The path of a program, or undefined if it is not on this machine. */
export function find(program: string): string | undefined {
  return PATH.split(delimiter)
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a command in `folder` with an environment of its own, the same for every run.
 * @param seconds - after which the command and all that it started are killed
 * @throws Error if the command could not be started or ran out of time
 */
export async function run(
  command: readonly [string, ...string[]],
  folder: string,
  env: Readonly<Record<string, string>>,
  seconds: number,
): Promise<Outcome> {
  const [program, ...args] = command;
  const child = spawn(program, args, {
    cwd: folder,
    detached: true, // a process group of its own, which can be killed as a whole
    env: { PATH, HOME: folder, TMPDIR: folder, LANG: 'C.UTF-8', TZ: 'UTC', USER: 'tester', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child.pid);
  }, seconds * 1000);
  try {
    const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...ended) => resolve(ended));
    });
    const outcome = { status, signal, stdout: text(stdout), stderr: text(stderr) };
    if (late) {
      throw new Error(`${command.join(' ')} was still running after ${seconds} s; so far: ${JSON.stringify(outcome)}`);
    }
    return outcome;
  } finally {
    clearTimeout(timer);
    killGroup(child.pid); // whatever it left behind
  }
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString();
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has ended: there is nothing to kill.
  }
}
