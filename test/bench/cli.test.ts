import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findAllocators } from '../../bench/allocators.ts';
import { build } from '../../bench/build.ts';
import { BASELINE, CONTROL, OURS } from '../../bench/model.ts';
import { LIBRARY, ROOT } from '../../bench/places.ts';

const folder = mkdtempSync(join(tmpdir(), 'bench-cli-'));
const bench = (...args: string[]) =>
  execa(join(ROOT, 'node_modules/.bin/tsx'), [join(ROOT, 'bench/cli.ts'), ...args], { cwd: ROOT, reject: false });

beforeAll(build);
afterAll(() => rmSync(folder, { recursive: true }));

describe('npm run bench', () => {
  test('runs what was chosen, and writes JSON, a page and the summary chart', async () => {
    const [json, html, svg] = ['r.json', 'r.html', 'r.svg'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const only = ['--only', OURS, BASELINE, CONTROL];
    const result = await bench(
      '--quick',
      '--filter',
      '^start$',
      '--rounds',
      '2',
      ...only,
      '--json',
      json,
      '--html',
      html,
      '--svg',
      svg,
    );
    expect(result.exitCode, result.stderr).toBe(0);
    expect(result.stdout).toContain('patterns: CPU time');
    expect(result.stdout).toContain('start of a trivial program: time over glibc');
    const { workloads } = JSON.parse(readFileSync(json, 'utf8'));
    expect(workloads.map((workload: { name: string }) => workload.name)).toEqual(['start']);
    expect(workloads[0].samples[OURS]).toHaveLength(2);
    expect(readFileSync(html, 'utf8')).toContain('</html>');
    expect(readFileSync(svg, 'utf8')).toContain('</svg>');
  });

  test('--list names workloads and allocators and runs nothing', async () => {
    const { stdout } = await bench('--list', '--group', 'latency');
    expect(stdout).toMatch(/^latency\s+latency\s+quantiles/);
    expect(stdout).toContain(`Allocators: ${OURS}`);
  });

  test.each([
    [['--rounds', '0'], '1 or more'],
    [['--filter', '('], 'Unterminated group'],
    [['--allocator', 'mimalloc'], 'name=path.so'],
    [['--filter', 'no-such-workload'], 'no workload is left'],
    [['--group', 'speed'], 'Allowed choices are patterns'],
    [['--library', '/no/such.so'], 'npm run build'],
  ])('%j is refused with a sentence that helps', async (args, words) => {
    const result = await bench(...args);
    expect(result.exitCode).not.toBe(0);
    expect(result.stderr).toContain(words);
  });
});

describe('the allocators', () => {
  test('are ours first, and the system’s twice at the end', async () => {
    const { allocators } = await findAllocators(LIBRARY, []);
    const names = allocators.map(({ name }) => name);
    expect(names[0]).toBe(OURS);
    expect(names.slice(-2)).toEqual([BASELINE, CONTROL]);
  });

  test('one that a trivial program does not run with is named as broken', async () => {
    const library = join(folder, 'text.so');
    writeFileSync(library, 'this is no library');
    const { allocators, broken } = await findAllocators(LIBRARY, [{ name: 'text', library }]);
    expect(broken).toEqual(['text']);
    expect(allocators.map(({ name }) => name)).not.toContain('text');
  });
});
