import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { OUT } from '../build/project.ts';
import { type CaseResult, listCases, readTap } from './tap.ts';

const LIBRARY = join(OUT, 'Release/libbuddymalloc.so');
const HARDENED = join(OUT, 'Release/libbuddymalloc-hardened.so');
const PROGRAM_SECONDS = 600;

interface Door {
  door: string;
  program: string;
  env: NodeJS.ProcessEnv;
}

const DOORS: Door[] = [
  { door: 'libc’s own malloc, which shows a wrong test', program: 'test-libc', env: {} },
  { door: 'LD_PRELOAD', program: 'test-libc', env: { LD_PRELOAD: LIBRARY } },
  {
    door: 'LD_PRELOAD, the heap grown by mmap',
    program: 'test-libc',
    env: { LD_PRELOAD: LIBRARY, BUDDYMALLOC_SBRK: '0' },
  },
  { door: 'LD_PRELOAD of the hardened library', program: 'test-libc', env: { LD_PRELOAD: HARDENED } },
  { door: 'the hardened static library', program: 'test-hardened', env: {} },
  { door: 'the static library', program: 'test-static', env: {} },
  {
    door: 'the static library, called before libc is ready',
    program: 'preinit-static',
    env: { BUDDYMALLOC_PURGE_DELAY: '77' },
  },
  { door: 'LD_PRELOAD, called before libc is ready', program: 'preinit-libc', env: { LD_PRELOAD: LIBRARY } },
  { door: 'a static position-independent program', program: 'test-static-pie', env: {} },
  { door: 'the static library, the heap grown by mmap', program: 'test-static', env: { BUDDYMALLOC_SBRK: '0' } },
];

function run(program: string, env: NodeJS.ProcessEnv): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.on('error', reject);
    child.on('close', () => resolve(text));
  });
}

describe.each(DOORS)('through $door', ({ program, env }) => {
  const path = join(OUT, 'tests', program);
  const whole = { ...process.env, ...env };
  let results: Map<string, CaseResult>;

  beforeAll(async () => {
    results = new Map(readTap(await run(path, whole)).map((result) => [result.name, result]));
  }, PROGRAM_SECONDS * 1000);

  test.each(listCases(path, whole))('%s', (name) => {
    expect(results.get(name)).toEqual({ name, passed: true, notes: [] });
  });
});
