/** Programs that run with other rights, or under other limits, than those that started them. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { OUT, ROOT } from '../build/project.ts';

const NOBODY = 65534;
const MIB = 1 << 20;
const isRoot = process.getuid?.() === 0;
const leaveOut = (what: string, why: string) => console.log(`left out: ${what} (${why})`);

const folder = mkdtempSync(join(tmpdir(), 'buddymalloc-started-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Every variable of docs/options.md with a value that is not its default. */
function everyVariable(): Record<string, string> {
  const rows = readFileSync(join(ROOT, 'docs/options.md'), 'utf8').matchAll(
    /^\| `(BUDDYMALLOC_\w+)` .*\| (-?\d+) \|/gm,
  );
  return Object.fromEntries([...rows].map(([, name, initial]) => [name, initial === '0' ? '1' : '0']));
}

if (isRoot) {
  test('a set-user-ID program takes no option from the environment of who starts it', () => {
    const program = join(folder, 'set-user-id');
    copyFileSync(join(OUT, 'tests/test-static'), program);
    chmodSync(folder, 0o755);
    chownSync(program, 0, 0);
    chmodSync(program, 0o4755);
    const env = { ...everyVariable(), TEST_SECURE: '1' };
    expect(Object.keys(env).length).toBeGreaterThan(5);
    const name = 'under secure execution every option keeps its default';
    const options = { env, uid: NOBODY, gid: NOBODY, encoding: 'utf8' } as const;
    const { status, stderr } = spawnSync(program, ['--in-process', name], options);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
} else {
  leaveOut('set-user-ID programs', 'only root can make one that is not its own');
}

/** The files that limit and admit, of the one version of control groups or the other; undefined where there is none. */
function memoryGroups(): { folder: string; limit: string } | undefined {
  const first = '/sys/fs/cgroup/memory';
  if (existsSync(join(first, 'memory.limit_in_bytes'))) return { folder: first, limit: 'memory.limit_in_bytes' };
  const controllers = '/sys/fs/cgroup/cgroup.subtree_control';
  if (existsSync(controllers) && readFileSync(controllers, 'utf8').includes('memory'))
    return { folder: '/sys/fs/cgroup', limit: 'memory.max' };
  return undefined;
}

/** A control group of 64 MiB, or undefined if this machine lets us make none. */
function makeGroup(): string | undefined {
  const groups = memoryGroups();
  if (groups === undefined) return undefined;
  const group = join(groups.folder, `buddymalloc-${process.pid}`);
  try {
    mkdirSync(group);
    writeFileSync(join(group, groups.limit), String(64 * MIB));
    return group;
  } catch {
    return undefined;
  }
}

const group = makeGroup();
if (group === undefined) leaveOut('the memory limit of a control group', 'none can be made here');
else
  test('a program whose control group may have 64 MiB reuses memory freed in one size in every other', () => {
    const name = 'a program with few addresses has most of them for blocks of any size';
    const enter = `echo $$ > ${group}/cgroup.procs && exec ${join(OUT, 'tests/test-static')} --in-process '${name}'`;
    const { status, signal, stderr } = spawnSync('/bin/sh', ['-c', enter], { encoding: 'utf8' });
    rmdirSync(group);
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  });
