import { execFileSync } from 'node:child_process';
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

test('every file that a script of package.json runs is in the repository', () => {
  const files = Object.values(scripts).flatMap((command) =>
    command.match(/\b[\w-]+(?:\/[\w-]+)*\/[\w.-]+\.m?[jt]s\b/g),
  );
  expect(files.length).toBeGreaterThan(5);
  expect(files.filter((file) => file !== null && !isKept(file))).toEqual([]);
});
