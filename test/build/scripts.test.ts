import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './project.ts';

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** What is there, and git does not leave out. */
function isKept(file: string): boolean {
  try {
    execFileSync('git', ['check-ignore', '--quiet', '--no-index', file], { cwd: ROOT });
    return false;
  } catch {
    return readFileSync(join(ROOT, file)).length > 0;
  }
}

const JOBS = 'scripts/job.mjs';
const FILES = /\b[\w-]+(?:\/[\w-]+)*\/[\w.-]+\.m?[jt]s\b/g;

test('every file that a script of package.json runs is in the repository', () => {
  const inScripts = Object.values(scripts).flatMap((command) => command.match(FILES) ?? []);
  const inJobs = (readFileSync(join(ROOT, JOBS), 'utf8').match(FILES) ?? []).filter((file) => file.endsWith('.ts'));
  expect(inScripts.length).toBeGreaterThan(5);
  expect(inJobs.length).toBeGreaterThan(3);
  expect([...inScripts, ...inJobs].filter((file) => !isKept(file))).toEqual([]);
});

test('every job that a script of package.json names is there, and no other is', () => {
  const named = Object.values(scripts).flatMap((command) => /job\.mjs (\S+)/.exec(command)?.[1] ?? []);
  const { stderr, status } = spawnSync(process.execPath, [JOBS, 'nothing'], { cwd: ROOT, encoding: 'utf8' });
  expect(status).toBe(1);
  const [, list = ''] = /^there is no job nothing; the jobs are (.*)$/m.exec(stderr) ?? [];
  expect(list.split(', ').sort()).toEqual(named.sort());
});
