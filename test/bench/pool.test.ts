import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { build } from '../../bench/build.ts';
import { launch } from '../../bench/launch.ts';
import { measure, type Plan, runsIn } from '../../bench/measure.ts';
import { type Measured, OURS, type Sample } from '../../bench/model.ts';
import { NODE_PROGRAMS } from '../../bench/places.ts';
import { figureTable } from '../../bench/report/figures.ts';
import { page } from '../../bench/report/page.ts';
import { poolTargets } from '../../bench/report/pool-targets.ts';
import { targetsOf, verdict } from '../../bench/report/targets.ts';
import { pool, poolRow, ringRow } from '../../bench/workloads/pool.ts';
import { sample } from './samples.ts';

const place = { patterns: '', node: NODE_PROGRAMS, inputs: '', quick: true };
const plan: Plan = { workloads: [], allocators: [{ name: OURS }], rounds: 2, place, systemLibrary: undefined };
const running = process.versions.node.split('.')[0] ?? '';
/** One row of each program: the rest differ in numbers. */
const programs = new Map(
  pool
    .filter(({ name }) => name.startsWith(poolRow(running, '')))
    .map((workload) => [workload.command(place, OURS).args.find((arg) => arg.endsWith('.mjs')), workload]),
);

const runs = [...programs.values()].flatMap((workload) => (workload.ways ?? []).map((way) => ({ workload, way })));

/** A row's results: nanoseconds of each round by way. */
function measuredOf(row: string, ns: Record<string, number[]>): Measured {
  const workload = pool.find(({ name }) => name === row);
  if (workload === undefined) throw new Error(`there is no row ${row}`);
  const samples = Object.entries(ns).map(([way, values]): [string, Sample[]] => [
    way,
    values.map((value) => sample(1, 2 ** 20, { ns: value })),
  ]);
  return { workload, samples: new Map(samples), failures: new Map() };
}

const row = poolRow('20', ringRow(4096));

describe('the rows of the pool', () => {
  beforeAll(build);
  afterAll(() => {
    const files = runs.flatMap(({ workload, way }) => workload.command(place, way).args.at(-1) ?? []);
    for (const file of files.filter((arg) => arg.startsWith('/dev/shm/'))) rmSync(file, { force: true });
  });

  test.each(runs)('$workload.name: $way runs and prints what it took', async ({ workload, way }) => {
    await workload.prepare?.(place);
    const { program, args } = workload.command(place, way);
    const { figures, rssPeakBytes } = await launch({ name: way }, { program, args });
    expect(Number(figures['ns'] ?? figures['ms'])).toBeGreaterThan(0);
    expect(rssPeakBytes).toBeGreaterThan(2 ** 20);
  });

  test('every way has its turn in each round, and is named to the program', async () => {
    const workload = { ...measuredOf(row, {}).workload, ways: [OURS, 'allocUnsafe'] };
    const turns: string[] = [];
    const [measured] = await measure(
      { ...plan, workloads: [workload] },
      { running: () => {}, finished: () => {} },
      async ({ name }, { command }) => {
        turns.push(command(place, name).args.includes(name) ? name : 'another');
        return sample(1);
      },
    );
    expect(turns).toEqual([OURS, 'allocUnsafe', 'allocUnsafe', OURS]);
    expect(runsIn({ ...plan, workloads: [workload] })).toBe(4);
    expect(measured?.samples.get('allocUnsafe')).toHaveLength(2);
  });
});

describe('the targets of the pool', () => {
  const results = [measuredOf(row, { [OURS]: [300, 100], allocUnsafe: [500, 900], '@thi.ng/malloc': [250, 400] })];

  test('compare the best rounds of both sides', () => {
    const [holds] = poolTargets(results).filter(({ what }) => what === `${row}: against allocUnsafe`);
    expect(holds).toMatchObject({ limit: 0.2, measured: 0.2 });
    const [falls] = poolTargets(results).filter(({ what }) => what === `${row}: against @thi.ng/malloc`);
    expect([falls?.measured, falls && verdict(falls)]).toEqual([0.4, 'falls short']);
  });

  test('stand among the others, of which none takes the pool’s rows for allocators', () => {
    const measured = targetsOf(results).filter((target) => target.measured !== undefined);
    expect(measured.map(({ what }) => what)).toEqual([`${row}: against allocUnsafe`, `${row}: against @thi.ng/malloc`]);
  });

  test('and their figures are in the tables and on the page', () => {
    expect(figureTable(results[0] as Measured)?.rows[0]).toEqual(['one of them', '200 ns', '700 ns', '325 ns']);
    const html = page(results, plan, new Date(0));
    expect(html).toContain('<h2>pool</h2>');
    expect(html).toContain('pool: time, Node 20');
  });
});
