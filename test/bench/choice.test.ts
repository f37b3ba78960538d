import { describe, expect, test } from 'vitest';
import { parseAllocator } from '../../bench/allocators.ts';
import { GROUPS, type Workload } from '../../bench/model.ts';
import { choose, workloads } from '../../bench/workloads/all.ts';

const all = { groups: GROUPS, quick: false };
const row: Workload = {
  name: 'x',
  group: 'programs',
  what: '',
  quick: false,
  command: () => ({ program: '', args: [] }),
};

describe('the choice of workloads', () => {
  test('every group has workloads, in the quick bench too', () => {
    for (const group of GROUPS) {
      expect(workloads.filter((workload) => workload.group === group)).not.toHaveLength(0);
      expect(workloads.filter((workload) => workload.group === group && workload.quick)).not.toHaveLength(0);
    }
  });

  test('no two workloads have the same name', () => {
    const names = workloads.map((workload) => workload.name);
    expect(names).toEqual([...new Set(names)]);
  });

  test('a filter is a regular expression on the name', () => {
    const names = choose({ ...all, filter: /^pair size=16$/ }).workloads.map((workload) => workload.name);
    expect(names).toEqual(['pair size=16']);
  });

  test('a quick bench leaves out what is not quick', () => {
    expect(choose({ ...all, quick: true }, [row]).workloads).toEqual([]);
    expect(choose({ ...all, quick: true }, [{ ...row, quick: true }]).workloads).toHaveLength(1);
  });

  test('a workload whose program is not here is left out, and the program is named', () => {
    const chosen = choose(all, [{ ...row, needs: ['sh', 'no-such-program'] }]);
    expect(chosen.workloads).toEqual([]);
    expect(chosen.missing).toEqual([{ name: 'x', programs: ['no-such-program'] }]);
  });

  test('a workload whose module is not here is left out, and the module is named', () => {
    const chosen = choose(all, [{ ...row, needsModules: ['no-such-module'] }]);
    expect(chosen.missing).toEqual([{ name: 'x', programs: ['no-such-module'] }]);
  });
});

describe('--allocator', () => {
  test('name=path names a library', () => {
    expect(parseAllocator(`mine=${process.execPath}`)).toEqual({ name: 'mine', library: process.execPath });
  });

  test('a path that does not exist is an error that names it', () => {
    expect(() => parseAllocator('mine=/no/such/file.so')).toThrow('/no/such/file.so');
  });

  test('anything but name=path is an error that shows the form', () => {
    expect(() => parseAllocator('mimalloc')).toThrow('name=path.so');
  });
});
