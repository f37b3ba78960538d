/** Runs a C test program and reads its TAP output, so that each case can be reported as one test. */
import { spawnSync } from 'node:child_process';

export interface CaseResult {
  name: string;
  passed: boolean;
  /** What the case wrote, and how it ended. */
  notes: string[];
}

/** The cases that the program would run, in order. */
export function listCases(program: string, env: NodeJS.ProcessEnv): string[] {
  const { stdout, status, stderr } = spawnSync(program, ['--list'], { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${program} --list: ${stderr}`);
  return stdout.trim().split('\n');
}

/** The result of every line `ok` or `not ok`; lines that begin with `#` belong to the one before. */
export function readTap(text: string): CaseResult[] {
  const results: CaseResult[] = [];
  for (const line of text.split('\n')) {
    const [, not, name] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? [];
    if (name !== undefined) results.push({ name, passed: not === undefined, notes: [] });
    else if (line.startsWith('# ')) results.at(-1)?.notes.push(line.slice(2));
  }
  return results;
}
