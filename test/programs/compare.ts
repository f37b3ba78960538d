import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hardenedPath, libraryPath } from './library.js';
import { loadLog, programsWith } from './loaded.js';
import { type Executable, packageOf } from './packages.js';
import { find, type Outcome, run } from './run.js';

/** One line of a table: a real program and what it is to do. To add a program, add a line. */
export interface Program {
  /** What runs, the beginning of its tests' names. */
  name: string;
  /** The programs it takes; every one of them must be seen to load the library. */
  needs: readonly [Executable, ...Executable[]];
  command: readonly [string, ...string[]];
  /** Further programs, parts of those it needs, that must be seen to load the library. */
  parts?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** The exit status to expect; 0 unless said. */
  status?: number;
  /** Runs under the hardened library too. */
  hardened?: boolean;
}

/** Bound of one run. */
const SECONDS = 60;

/** The absolute path of a file in fixtures/. */
export function fixture(name: string): string {
  return join(import.meta.dirname, 'fixtures', name);
}

/** The command that runs a bash script of fixtures/, which stops at its first failure. */
export function script(name: string): [string, ...string[]] {
  return ['bash', '-euo', 'pipefail', fixture(name)];
}

/** Registers the tests of a table, and says what this machine lacks a program for. In CI it may lack none. */
export function compareAll(table: readonly Program[]): void {
  const library = libraryPath();
  const leftOut: string[] = [];
  for (const program of table) {
    const missing = program.needs.filter((need) => find(need) === undefined);
    for (const need of missing) {
      leftOut.push(`left out: ${program.name} (${need} is not on this machine; it comes with ${packageOf(need)})`);
    }
    if (missing.length === 0) compare(program, library);
  }
  test('leaves no program out in CI, and elsewhere says which and why', () => {
    if (leftOut.length > 0) console.warn(leftOut.join('\n'));
    if (process.env['CI']) expect(leftOut).toEqual([]);
  });
}

/** Registers the tests of one program: it runs once without the library and then in three ways with it. */
function compare(program: Program, library: string): void {
  // A time limit above that of the run, whose message says more.
  describe(program.name, { timeout: (SECONDS + 5) * 1000 }, () => {
    let base: string;
    let expected: Outcome;

    /** Every run starts in the same folder, empty, so that no path differs between two outputs. */
    async function start(env: Readonly<Record<string, string>>): Promise<Outcome> {
      const folder = join(base, 'run');
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      return await run(program.command, folder, { ...program.env, FIXTURES: fixture(''), ...env }, SECONDS);
    }

    beforeAll(async () => {
      base = mkdtempSync(join(tmpdir(), 'bm-'));
      expected = await start({});
      expect(expected).toMatchObject({ status: program.status ?? 0, signal: null });
    });

    afterAll(() => rmSync(base, { recursive: true, force: true }));

    test('gives the same output and status under the preload library', async () => {
      expect(await start({ LD_PRELOAD: library })).toEqual(expected);
    });

    test.runIf(program.hardened)(
      'does so under the hardened library, with every invariant checked at exit',
      async () => {
        const env = { LD_PRELOAD: hardenedPath(), BUDDYMALLOC_CHECK_AT_EXIT: '1' };
        expect(await start(env)).toEqual(expected);
      },
    );

    test('does so when the heap grows by mmap alone', async () => {
      expect(await start({ LD_PRELOAD: library, BUDDYMALLOC_SBRK: '0' })).toEqual(expected);
    });

    test('does so with every invariant checked at exit, and loads the library in each of its programs', async () => {
      const logs = join(base, 'logs');
      mkdirSync(logs);
      const env = { LD_PRELOAD: library, BUDDYMALLOC_CHECK_AT_EXIT: '1', ...loadLog(logs) };
      expect(await start(env)).toEqual(expected);
      const processes = program.needs.map((need) => (need === 'npm' ? 'node' : need)); // npm is a script that node runs
      expect(programsWith(library, logs)).toEqual(expect.arrayContaining([...processes, ...(program.parts ?? [])]));
    });
  });
}
