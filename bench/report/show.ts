/** Prints the tables and writes the files that were asked for. */
import { writeFileSync } from 'node:fs';
import type { Plan } from '../measure.ts';
import { GROUPS, type Measured } from '../model.ts';
import { preloaded } from '../statistics.ts';
import { resultsAsJson } from './json.ts';
import { figuresText, groupTable, warnings } from './table.ts';
import { targetsOf } from './targets.ts';
import { targetsTable } from './targets-table.ts';

export interface Files {
  json: string | undefined;
  html: string | undefined;
  svg: string | undefined;
}

export async function show(results: readonly Measured[], plan: Plan, files: Files): Promise<void> {
  for (const group of GROUPS) {
    const members = results.filter((measured) => measured.workload.group === group);
    if (members.length === 0) continue;
    console.log('');
    if (preloaded(members).length > 0) {
      for (const metric of ['cpu', 'wall', 'rss'] as const) console.log(groupTable(group, metric, members));
    }
    for (const measured of members) {
      const text = figuresText(measured);
      if (text !== undefined) console.log(text);
    }
  }
  console.log(`\n${targetsTable(targetsOf(results))}`);
  for (const line of warnings(results)) console.warn(line);
  const date = new Date();
  if (files.json !== undefined)
    writeFileSync(files.json, `${JSON.stringify(resultsAsJson(results, plan, date), null, 1)}\n`);
  // The chart library is large: it is loaded for those who want charts.
  if (files.html !== undefined) writeFileSync(files.html, (await import('./page.ts')).page(results, plan, date));
  if (files.svg !== undefined)
    writeFileSync(files.svg, (await import('./charts.ts')).summaryChart(preloaded(results), date));
}
