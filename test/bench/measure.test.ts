import { describe, expect, test } from 'vitest';
import { measure, type Plan, runsIn, turnsOf } from '../../bench/measure.ts';
import type { Workload } from '../../bench/model.ts';
import { sample } from './samples.ts';

const workload = (name: string, rest: Partial<Workload> = {}): Workload => ({
  name,
  group: 'patterns',
  what: 'made up',
  quick: true,
  command: () => ({ program: 'true', args: [] }),
  ...rest,
});

function planOf(workloads: Workload[], rounds: number): Plan {
  const place = { patterns: '', node: '', inputs: '', quick: true };
  return {
    workloads,
    allocators: [{ name: 'a' }, { name: 'b' }, { name: 'c' }],
    rounds,
    place,
    systemLibrary: undefined,
  };
}

const silent = { running: () => {}, finished: () => {} };

describe('the rounds of the bench', () => {
  test('every allocator has its turn in each round, and each round begins with another one', async () => {
    const order: string[] = [];
    await measure(planOf([workload('x')], 3), silent, async (allocator) => {
      order.push(allocator.name);
      return sample(1);
    });
    expect(order.join('')).toBe('abcbcacab');
  });

  test('turns are taken from a round’s place in the list', () => {
    expect(turnsOf(['a', 'b', 'c'], 4)).toEqual(['b', 'c', 'a']);
    expect(turnsOf([], 1)).toEqual([]);
  });

  test('a workload may ask for fewer rounds', async () => {
    const plan = planOf([workload('long', { roundsMax: 2 }), workload('short')], 5);
    expect(runsIn(plan)).toBe(2 * 3 + 5 * 3);
    const [long] = await measure(plan, silent, async () => sample(1));
    expect(long?.samples.get('a')).toHaveLength(2);
  });

  test('an allocator that fails is reported with its reason and not tried again', async () => {
    let tries = 0;
    const [measured] = await measure(planOf([workload('x')], 3), silent, async (allocator) => {
      if (allocator.name !== 'b') return sample(1);
      tries++;
      throw new Error('exit code 139');
    });
    expect(tries).toBe(1);
    expect(measured?.failures.get('b')).toBe('exit code 139');
    expect(measured?.samples.has('b')).toBe(false);
    expect(measured?.samples.get('c')).toHaveLength(3);
  });

  test('a workload is prepared once, before its first run', async () => {
    const events: string[] = [];
    const prepared = workload('x', { prepare: async () => void events.push('prepare') });
    await measure(planOf([prepared], 2), silent, async () => {
      events.push('run');
      return sample(1);
    });
    expect(events).toEqual(['prepare', 'run', 'run', 'run', 'run', 'run', 'run']);
  });

  test('an interrupt keeps what was measured and starts nothing more', async () => {
    const controller = new AbortController();
    const plan = { ...planOf([workload('x'), workload('y')], 2), stop: controller.signal };
    let runs = 0;
    const results = await measure(plan, silent, async () => {
      if (++runs < 4) return sample(1);
      controller.abort();
      throw new Error('exit code 130');
    });
    expect(runs).toBe(4);
    expect(results).toHaveLength(1);
    expect(results[0]?.samples.get('a')).toHaveLength(1);
    expect(results[0]?.failures.size).toBe(0);
  });

  test('progress counts up to the number of runs that was announced', async () => {
    const steps: number[] = [];
    const plan = planOf([workload('x'), workload('y', { roundsMax: 1 })], 2);
    await measure(plan, { ...silent, running: ({ done }) => void steps.push(done) }, async () => sample(1));
    expect(steps).toEqual(Array.from({ length: runsIn(plan) }, (_, i) => i));
  });
});
