/** Runs one command with one allocator and reads what it cost. */
import { execa } from 'execa';
import { type Allocator, BASELINE, type Command, type Sample } from './model.ts';
import { LAUNCHER_PROGRAM } from './places.ts';

interface LauncherReport {
  wall_s: number;
  user_s: number;
  sys_s: number;
  rss_peak_kib: number;
  minor_faults: number;
  status: number;
}

const OUTPUT_LIMIT = 64 * 1024 * 1024;
const TIME_LIMIT_MS = 90_000;

/** A run that failed: the reason is what is shown to a person. */
export class RunError extends Error {
  override name = 'RunError';
}

function launcherArguments(command: Command, settings: Record<string, string>): string[] {
  const args: string[] = [];
  for (const [name, value] of Object.entries(settings)) args.push('-e', `${name}=${value}`);
  if (command.folder !== undefined) args.push('-d', command.folder);
  if (command.repeat !== undefined) args.push('-n', String(command.repeat));
  return [...args, '--', command.program, ...command.args];
}

/** The figures in the last line of output that is a JSON object; {} if there is none. */
export function figuresOf(output: string): Record<string, number | number[]> {
  const line = output
    .trimEnd()
    .split('\n')
    .findLast((text) => text.startsWith('{'));
  if (line === undefined) return {};
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

/** Where a library says that it cannot be preloaded, the program runs on without it: that is no measurement. */
export function preloadFault(errors: string): string | undefined {
  return errors.split('\n').find((line) => line.includes('cannot be preloaded'));
}

export async function launch(allocator: Allocator, command: Command, systemLibrary?: string): Promise<Sample> {
  const library = allocator.library ?? (allocator.name.startsWith(BASELINE) ? systemLibrary : undefined);
  const settings = { ...command.settings, ...(library === undefined ? {} : { LD_PRELOAD: library }) };
  const child = execa(LAUNCHER_PROGRAM, launcherArguments(command, settings), {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    reject: false,
    timeout: TIME_LIMIT_MS,
    maxBuffer: OUTPUT_LIMIT,
  });
  await command.client?.();
  const result = await child;
  const report = result.stdio[3];
  if (typeof report !== 'string' || !report.startsWith('{')) {
    throw new RunError(result.timedOut ? 'took longer than a minute and a half' : `did not start: ${result.stderr}`);
  }
  const cost: LauncherReport = JSON.parse(report);
  const fault = preloadFault(result.stderr);
  if (fault !== undefined) throw new RunError(fault);
  if (cost.status !== 0)
    throw new RunError(`exit code ${cost.status}: ${result.stderr.trim().split('\n').at(-1) ?? ''}`);
  return {
    wallSeconds: cost.wall_s,
    cpuSeconds: cost.user_s + cost.sys_s,
    rssPeakBytes: cost.rss_peak_kib * 1024,
    minorFaults: cost.minor_faults,
    figures: figuresOf(result.stdout),
  };
}
