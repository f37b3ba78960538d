/** The targets as a table for a terminal. */
import Table from 'cli-table3';
import { type Target, verdict } from './targets.ts';

export function formatTarget(target: Target, value: number): string {
  if (target.unit === 'ratio') return value.toFixed(target.limit < 0.1 ? 3 : 2);
  return `${value.toFixed(2)} ${target.unit}`;
}

export function targetsTable(targets: readonly Target[]): string {
  const table = new Table({
    head: ['what', 'target', 'measured', '', 'worst'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'right', 'right', 'left', 'left'],
  });
  for (const target of targets) {
    const measured = target.measured === undefined ? '' : formatTarget(target, target.measured);
    table.push([target.what, `≤ ${formatTarget(target, target.limit)}`, measured, verdict(target), target.worst ?? '']);
  }
  return table.toString();
}
