import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** One project per room of test/, so that `npm test -- --project c` runs one of them. */
const ROOMS = ['package', 'build', 'c', 'programs', 'pool', 'ports', 'bench', 'verify'];

/** What scripts/versions.mjs leaves out: --exclude on the command line does not reach the projects. */
const LEFT_OUT = process.env['TESTS_LEFT_OUT']?.split(',') ?? [];

export default defineConfig({
  test: {
    pool: 'forks',
    // Much of the time goes into programs that the tests start; the default leaves one of two processors idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 180_000,
    projects: [...ROOMS.map((name) => [name, `test/${name}`]), ['threads', 'thread-test']].map(([name, folder]) => ({
      extends: true,
      test: { name: `${name}`, include: [`${folder}/**/*.test.ts`], exclude: ['**/fixtures/**', ...LEFT_OUT] },
    })),
  },
});
