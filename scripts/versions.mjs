// Runs the package's tests under other versions of Node, all with the one addon that was built for this one.
// Vitest's reports go to .cache/test-report-<version>.json.
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { installNode } from './nodes.mjs';
import { BUILD_STEPS, ROOT, setUp } from './setup.mjs';

const VERSIONS = ['22', '24', '26'];
/** Not these: they test the machine and the tarball, which are the same under every Node, and programs that run for seconds. */
const LEFT_OUT = ['test/package/publish.test.ts', 'test/package/setup.test.ts', 'test/pool/examples.test.ts'];

await setUp(BUILD_STEPS);
let failed = false;
for (const version of VERSIONS) {
  const programs = installNode(version);
  if (programs === undefined) process.exit(1);
  const PATH = [programs, process.env.PATH].join(delimiter);
  process.stderr.write(`  the package's tests under Node ${version}\n`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=.cache/test-report-${version}.json`];
  const args = ['run', '--project', 'package', '--project', 'pool', ...reporters];
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const { status } = spawnSync('node', [vitest, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, PATH, TESTS_LEFT_OUT: LEFT_OUT.join() },
  });
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
