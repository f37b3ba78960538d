/** Runs the workloads: all allocators in turn within each round, round after round. */
import { launch } from './launch.ts';
import type { Allocator, Measured, Place, Sample, Workload } from './model.ts';

/** Told before every run, so that a person sees what goes on. */
export interface Watcher {
  running(step: { done: number; total: number; workload: Workload; round: number; allocator: Allocator }): void;
  finished(measured: Measured): void;
}

export interface Plan {
  workloads: Workload[];
  allocators: Allocator[];
  rounds: number;
  place: Place;
  /** The C library, to preload where a program is linked with an allocator of its own. */
  systemLibrary: string | undefined;
  /** Ends the bench early: what was measured until then is kept. */
  stop?: AbortSignal;
}

export function roundsOf(plan: Plan, workload: Workload): number {
  return Math.min(plan.rounds, workload.roundsMax ?? plan.rounds);
}

/** What has its turn in each round. */
export function fieldOf(plan: Plan, workload: Workload): Allocator[] {
  return workload.ways?.map((name) => ({ name })) ?? plan.allocators;
}

function runsOf(plan: Plan, workload: Workload): number {
  return roundsOf(plan, workload) * fieldOf(plan, workload).length;
}

export function runsIn(plan: Plan): number {
  return plan.workloads.reduce((sum, workload) => sum + runsOf(plan, workload), 0);
}

/** Each round begins with another allocator, so that none always follows the same one. */
export function turnsOf<T>(items: readonly T[], round: number): T[] {
  const start = items.length > 0 ? round % items.length : 0;
  return [...items.slice(start), ...items.slice(0, start)];
}

type Runner = (allocator: Allocator, workload: Workload) => Promise<Sample>;

async function measureOne(
  plan: Plan,
  workload: Workload,
  watcher: Watcher,
  run: Runner,
  done: number,
): Promise<Measured> {
  const measured: Measured = { workload, samples: new Map(), failures: new Map() };
  const field = fieldOf(plan, workload);
  for (const allocator of field) measured.samples.set(allocator.name, []);
  const total = runsIn(plan);
  const [first] = turnsOf(field, 0);
  // The system may give memory out more slowly the first time: with one round alone, whoever comes first would pay for all.
  if (workload.roundsMax === 1 && first !== undefined && !plan.stop?.aborted)
    await run(first, workload).catch(() => undefined);
  for (let round = 0; round < roundsOf(plan, workload); round++) {
    for (const allocator of turnsOf(field, round)) {
      watcher.running({ done: done++, total, workload, round, allocator });
      if (measured.failures.has(allocator.name) || plan.stop?.aborted) continue;
      try {
        measured.samples.get(allocator.name)?.push(await run(allocator, workload));
      } catch (error) {
        // An interrupt at the terminal ends the program that is measured too: that is no failure of its allocator.
        if (!plan.stop?.aborted) measured.failures.set(allocator.name, (error as Error).message);
      }
    }
  }
  for (const [name, samples] of measured.samples) if (samples.length === 0) measured.samples.delete(name);
  return measured;
}

export async function measure(plan: Plan, watcher: Watcher, run: Runner = launcherFor(plan)): Promise<Measured[]> {
  const results: Measured[] = [];
  let done = 0;
  for (const workload of plan.workloads) {
    if (plan.stop?.aborted) break;
    await workload.prepare?.(plan.place);
    const measured = await measureOne(plan, workload, watcher, run, done);
    done += runsOf(plan, workload);
    results.push(measured);
    watcher.finished(measured);
  }
  return results;
}

function launcherFor(plan: Plan): Runner {
  return (allocator, workload) => {
    const system = workload.linkedWithAllocator ? plan.systemLibrary : undefined;
    return launch(allocator, workload.command(plan.place, allocator.name), system);
  };
}
