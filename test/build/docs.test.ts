import { execa } from 'execa';
import { expect, test } from 'vitest';
import { ROOT } from './project.ts';

/** typedoc.json makes an error of every export, parameter of options and property without a description. */
test('everything that the package exports is documented, and every link leads somewhere', {
  timeout: 120_000,
}, async () => {
  const { exitCode, all } = await execa('node_modules/.bin/typedoc', ['--emit', 'none'], {
    cwd: ROOT,
    all: true,
    reject: false,
  });
  expect(exitCode, all).toBe(0);
});
