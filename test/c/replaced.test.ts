/** C++ programs that replace some of the operators new and delete: the preloaded library checks sizes where none is replaced, and is not noticed elsewhere. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OUT } from '../build/project.ts';

const DOORS = [
  { door: 'libc’s own malloc', env: {} },
  { door: 'the preloaded library', env: { LD_PRELOAD: join(OUT, 'Release/libbuddymalloc.so') } },
  { door: 'the preloaded hardened library', env: { LD_PRELOAD: join(OUT, 'Release/libbuddymalloc-hardened.so') } },
];
const REPLACED = ['nothing', 'new-and-delete', 'delete-alone', 'new-alone', 'arrays', 'aligned', 'every-sized'];

function run(env: NodeJS.ProcessEnv, program: string, ...args: string[]) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  const { status, signal, stdout, stderr } = spawnSync(join(OUT, 'tests', program), args, options);
  return { status, signal, stdout, stderr };
}

describe.each(DOORS)('with $door', ({ env }) => {
  test.each(REPLACED)('a program that replaces %s ends as it does with libc’s own malloc', (replaced) => {
    const expected = run({}, `replaced-${replaced}`);
    expect(expected).toMatchObject({ status: 0, stderr: '' });
    expect(run(env, `replaced-${replaced}`)).toEqual(expected);
  });

  test.each(REPLACED.slice(1))('a wrong size is none of its business where a program replaces %s', (replaced) => {
    expect(run(env, `replaced-${replaced}`, 'wrong')).toMatchObject({ status: 0, stderr: '' });
  });

  test('a C++ library that a C program loads gets each of its blocks back', () => {
    const { status, stdout, stderr } = run(env, 'replaced-host', join(OUT, 'tests/replaced-library.so'));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^\d+ made and deleted\n$/);
  });
});

test.each(REPLACED)(
  'a program that is linked with the library, has its C++ library within itself and replaces %s ends so too',
  (replaced) => {
    const { status, stdout, stderr } = run({}, `linked-${replaced}`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toBe(run({}, `replaced-${replaced}`).stdout);
  },
);

test.each(DOORS.slice(1))('with $door a wrong size ends a program that replaces nothing', ({ env }) => {
  const { status, signal, stderr } = run(env, 'replaced-nothing', 'wrong');
  expect({ status, signal }).toEqual({ status: null, signal: 'SIGABRT' });
  expect(stderr).toMatch(/^buddymalloc: wrong size: 0x[0-9a-f]+\n$/);
});
