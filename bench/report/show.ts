/** Prints the tables and writes the files that were asked for. */
import { writeFileSync } from 'node:fs';
import type { Plan } from '../measure.ts';
import { GROUPS, type Measured } from '../model.ts';
import { groupTable, warnings } from './table.ts';

export interface Files {
  json: string | undefined;
  html: string | undefined;
}

export async function show(results: readonly Measured[], plan: Plan, files: Files): Promise<void> {
  for (const group of GROUPS) {
    const members = results.filter((measured) => measured.workload.group === group);
    if (members.length === 0) continue;
    console.log(`\n${groupTable(group, 'cpu', members)}`);
    console.log(groupTable(group, 'rss', members));
  }
  for (const line of warnings(results)) console.warn(line);
}
