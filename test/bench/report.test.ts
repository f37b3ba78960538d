import { describe, expect, test } from 'vitest';
import type { Plan } from '../../bench/measure.ts';
import { BASELINE, CONTROL, type Measured, OURS } from '../../bench/model.ts';
import { resultsAsJson } from '../../bench/report/json.ts';
import { page } from '../../bench/report/page.ts';
import { groupTable, warnings } from '../../bench/report/table.ts';
import { type Target, targetsOf, verdict, worstOperation } from '../../bench/report/targets.ts';
import { curves } from '../../bench/workloads/growth.ts';
import { example, measuredOf, sample } from './samples.ts';

const place = { patterns: '', node: '', inputs: '', quick: true };
const plan: Plan = { workloads: [], allocators: [{ name: OURS }], rounds: 3, place, systemLibrary: undefined };

function targetCalled(results: Measured[], words: string): Target | undefined {
  return targetsOf(results).find((target) => target.what.includes(words));
}

describe('the targets', () => {
  test('without results none is measured, and none is said to hold', () => {
    for (const target of targetsOf([])) expect(verdict(target)).toBe('not measured');
  });

  test('a target holds at its limit and falls short above it', () => {
    const target: Target = { what: '', limit: 1, unit: 'ratio', measured: 1 };
    expect(verdict(target)).toBe('holds');
    expect(verdict({ ...target, measured: 1.01 })).toBe('falls short');
  });

  test('the mean over patterns is against the best rival of each', () => {
    const target = targetCalled([example()], 'patterns: geometric mean');
    expect(target?.measured).toBeCloseTo(2 / 1.6);
  });

  test('the worst pattern is named', () => {
    const good = measuredOf('good', 'patterns', { [OURS]: [1], [BASELINE]: [2] });
    const bad = measuredOf('bad', 'patterns', { [OURS]: [3], [BASELINE]: [2] });
    expect(targetCalled([good, bad], 'patterns: the worst')).toMatchObject({ measured: 1.5, worst: 'bad' });
  });

  test('a share that a program printed is read from its figures', () => {
    const measured = measuredOf('memory-all', 'memory', {});
    measured.samples.set(OURS, [sample(1, 1, { later_per_peak: 0.02 })]);
    expect(targetCalled([measured], 'all of 1 GiB freed')?.measured).toBe(0.02);
  });

  test('of several rounds the shortest worst operation counts, since noise only makes it longer', () => {
    const measured = measuredOf('latency', 'latency', {});
    const figures = (malloc_max: number, free_max: number) => sample(1, 1, { malloc_max, free_max });
    measured.samples.set(OURS, [figures(100, 900), figures(300, 200), figures(5000, 1)]);
    expect(worstOperation(measured, OURS)).toBe(300);
  });

  test('start-up is the time over the system’s, in milliseconds', () => {
    const measured = measuredOf('start', 'patterns', { [OURS]: [0.0015], [BASELINE]: [0.001] });
    expect(targetCalled([measured], 'start of a trivial program: time')?.measured).toBeCloseTo(0.5);
  });

  test('a curve of ours that bends where the rivals’ do not is found', () => {
    const points = curves[0]?.points.slice(0, 3) ?? [];
    const results = points.map(({ workload }, i) => {
      const measured = measuredOf(workload.name, 'growth', {});
      measured.samples.set(OURS, [sample(1, 1, { ns_per_op: i === 2 ? 40 : 10 })]);
      measured.samples.set(BASELINE, [sample(1, 1, { ns_per_op: 20 })]);
      return measured;
    });
    expect(targetCalled(results, 'bend')).toMatchObject({ measured: 4, worst: points[2]?.workload.name });
  });
});

describe('the report', () => {
  test('a table has a column for each rival and the geometric mean in its last row', () => {
    const text = groupTable('patterns', 'cpu', [example()]);
    expect(text).toContain('÷ mimalloc');
    expect(text.split('\n').at(-2)).toContain('geometric mean');
    expect(text).not.toContain(`÷ ${CONTROL}`);
  });

  test('a noisy row is named in a warning', () => {
    expect(warnings([example()]).join()).toContain('too noisy to tell in 1 of 1 rows');
  });

  test('a failure is named in a warning', () => {
    const measured = example();
    measured.failures.set('scudo', 'exit code 139');
    expect(warnings([measured])).toContain('pair size=64: scudo failed: exit code 139');
  });

  test('the JSON has every sample, the ratios and the targets with their verdicts', () => {
    const json = JSON.parse(JSON.stringify(resultsAsJson([example()], plan, new Date(0))));
    expect(json.date).toBe('1970-01-01T00:00:00.000Z');
    expect(json.workloads[0].samples[OURS]).toHaveLength(3);
    expect(json.workloads[0].cpu.ratios.mimalloc).toBe(0.5);
    expect(json.targets[0].verdict).toBe('falls short');
  });

  test('the page has charts and loads nothing', () => {
    const html = page([example()], plan, new Date(0));
    expect(html.match(/<svg/g)?.length).toBeGreaterThanOrEqual(3);
    expect(html).not.toMatch(/<script|<link|src=|@import/);
  });

  test('names are escaped in the page', () => {
    const html = page([measuredOf('<b>', 'patterns', { [OURS]: [1], [BASELINE]: [1] })], plan, new Date(0));
    expect(html).toContain('&lt;b&gt;');
    expect(html).not.toContain('<td><b>');
  });
});
