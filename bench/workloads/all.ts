/** Every workload of the bench, and the choice among them. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Group, Workload } from '../model.ts';
import { NODE_PROGRAMS } from '../places.ts';
import { growth } from './growth.ts';
import { latency } from './latency.ts';
import { memory } from './memory.ts';
import { nodePrograms } from './node.ts';
import { patterns } from './patterns.ts';
import { pool } from './pool.ts';
import { programs } from './programs.ts';

export const workloads: Workload[] = [
  ...patterns,
  ...programs,
  ...nodePrograms,
  ...memory,
  ...latency,
  ...growth,
  ...pool,
];

export function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface Choice {
  groups: readonly Group[];
  filter?: RegExp | undefined;
  quick: boolean;
}

export interface Chosen {
  workloads: Workload[];
  /** Left out: the workload's name, and the programs and modules that are not here. */
  missing: { name: string; programs: string[] }[];
}

export function choose(choice: Choice, from: readonly Workload[] = workloads): Chosen {
  const chosen: Chosen = { workloads: [], missing: [] };
  for (const workload of from) {
    if (!choice.groups.includes(workload.group)) continue;
    if (choice.quick && !workload.quick) continue;
    if (choice.filter !== undefined && !choice.filter.test(workload.name)) continue;
    const absent = [
      ...(workload.needs ?? []).filter((program) => !isOnPath(program)),
      ...(workload.needsModules ?? []).filter((name) => !existsSync(join(NODE_PROGRAMS, 'node_modules', name))),
    ];
    if (absent.length > 0) chosen.missing.push({ name: workload.name, programs: absent });
    else chosen.workloads.push(workload);
  }
  return chosen;
}
