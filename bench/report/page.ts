/** One self-contained page: the targets, the summary, and the charts and figures of every group. */
import type { Plan } from '../measure.ts';
import { GROUPS, type Measured, OURS } from '../model.ts';
import { isNoisy, METRICS, type MetricName, medianOf, preloaded, ratioOf, timeOf } from '../statistics.ts';
import { age, curves } from '../workloads/growth.ts';
import { NODES, poolRow } from '../workloads/pool.ts';
import { ageChart, allocatorsIn, curveChart, groupChart, ratioChart, summaryChart } from './charts.ts';
import { figureTable } from './figures.ts';
import { machine } from './json.ts';
import { formatRatio, formatValue, warnings } from './table.ts';
import { targetsOf, verdict } from './targets.ts';
import { formatTarget } from './targets-table.ts';

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 980px; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; background: #fff; }
h2 { margin-top: 3rem; }
table { border-collapse: collapse; font-size: 14px; width: 100%; }
th, td { padding: 3px 8px; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
.holds { color: #1a7f37; } .falls { color: #b00020; font-weight: 600; } .not { color: #777; }
.scroll { overflow-x: auto; } svg { max-width: 100%; height: auto; }
summary { cursor: pointer; }`;

const toHtml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function row(cells: string[], tag = 'td'): string {
  return `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
}

function table(head: string[], rows: string[][]): string {
  const body = rows.map((cells) => row(cells)).join('\n');
  return `<div class="scroll"><table><thead>${row(head, 'th')}</thead><tbody>${body}</tbody></table></div>`;
}

function targetsSection(results: readonly Measured[]): string {
  const rows = targetsOf(results).map((target) => {
    const word = verdict(target);
    const measured = target.measured === undefined ? '' : formatTarget(target, target.measured);
    return [
      toHtml(target.what),
      `≤ ${formatTarget(target, target.limit)}`,
      measured + (target.worst === undefined ? '' : ` (${toHtml(target.worst)})`),
      `<span class="${word.split(' ')[0]}">${word}</span>`,
    ];
  });
  return `<h2>Targets</h2>${table(['what', 'target', 'measured', ''], rows)}`;
}

function mediansTable(metric: MetricName, results: readonly Measured[]): string {
  const names = allocatorsIn(results);
  const rows = results.map((measured) => [
    toHtml(measured.workload.name) + (isNoisy(measured, METRICS[metric]) ? ' (noisy)' : ''),
    ...names.map((name) => {
      const value = formatValue(metric, medianOf(measured, name, METRICS[metric]));
      return name === OURS ? value : `${value} (${formatRatio(ratioOf(measured, OURS, name, METRICS[metric]))})`;
    }),
  ]);
  const note = 'Medians; in brackets ours divided by it.';
  return `<details><summary>Figures: ${metric === 'rss' ? 'peak resident memory' : `${metric} time`}</summary><p>${note}</p>${table(['', ...names], rows)}</details>`;
}

function groupSection(group: (typeof GROUPS)[number], results: readonly Measured[]): string {
  const members = results.filter((measured) => measured.workload.group === group);
  if (members.length === 0) return '';
  if (group === 'pool') return `<h2>${group}</h2>${poolSection(members)}`;
  const charts =
    group === 'growth' ? growthCharts(members) : [groupChart(group, 'cpu', members), groupChart(group, 'rss', members)];
  const tables = (['cpu', 'wall', 'rss'] as const).map((metric) => mediansTable(metric, members));
  const own = members.flatMap((measured) => figureTable(measured) ?? []);
  if (own.length > 0 && group !== 'growth') {
    charts.push(...own.map(({ head, rows }) => table(head, rows)));
  }
  return `<h2>${group}</h2>${charts.join('\n')}${tables.join('\n')}`;
}

/** The pool's rows compare other things than allocators: a chart for each version of Node, and every row's figures. */
function poolSection(members: readonly Measured[]): string {
  const charts = NODES.flatMap((node) => {
    const rows = members.filter(({ workload }) => workload.name.startsWith(poolRow(node, '')));
    return rows.length === 0 ? [] : [ratioChart(`pool: time, Node ${node}`, timeOf, rows)];
  });
  const tables = members.flatMap((measured) => figureTable(measured) ?? []).map(({ head, rows }) => table(head, rows));
  return [...charts, ...tables].join('\n');
}

function growthCharts(members: readonly Measured[]): string[] {
  const lines = curves.flatMap((curve) => curveChart(curve, members) ?? []);
  const aged = members.find((measured) => measured.workload.name === age.name);
  if (aged === undefined) return lines;
  return [
    ...lines,
    ageChart('Cost by age', aged, 'ns_by_age', 'ns per operation'),
    ageChart('Memory by age', aged, 'rss_per_live_by_age', 'resident / live bytes'),
  ];
}

export function page(results: readonly Measured[], plan: Plan, date: Date): string {
  const { processor, cores, memoryBytes, kernel, node } = machine();
  const where = `${processor}, ${cores} cores, ${Math.round(memoryBytes / 2 ** 30)} GiB; Linux ${kernel}; Node ${node}`;
  const how = `${plan.rounds} round${plan.rounds === 1 ? '' : 's'}${plan.place.quick ? ', the quick version' : ''}`;
  const rivals = allocatorsIn(preloaded(results)).filter((name) => name !== OURS);
  const title = rivals.length > 0 ? `buddymalloc against ${rivals.join(', ')}` : 'buddymalloc';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>buddymalloc bench</title><style>${STYLE}</style></head><body>
<h1>${toHtml(title)}</h1>
<p>${date.toISOString().slice(0, 10)}; ${toHtml(where)}; ${how}.</p>
${preloaded(results).length > 0 ? summaryChart(preloaded(results), date) : ''}
${targetsSection(results)}
${GROUPS.map((group) => groupSection(group, results)).join('\n')}
<h2>What to know before believing this</h2>
<ul>${warnings(results)
    .map((line) => `<li>${toHtml(line)}</li>`)
    .join(
      '',
    )}<li>CPU time is user and system time of the program alone; memory is its peak resident set, both read by a small static launcher.</li></ul>
</body></html>
`;
}
