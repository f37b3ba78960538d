// Builds what the published package brings along: for each target prebuilds/<platform>-<arch> with the addon, which
// node-gyp-build finds there, and the libraries to preload beside it. Every target is built from a copy of the sources,
// so that the build folder of the clone stays as it is.
//   npm run prebuilds                            # for this machine
//   npm run prebuilds -- linux-x64 linux-arm64   # for these
//   npm run prebuilds -- --out folder            # into folder/prebuilds
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runStep } from './progress.mjs';
import { CACHE, ROOT, setUp } from './setup.mjs';
import { missingCommands, nodedirArguments } from './tools.mjs';

/** What an addon is built from; the rest of the package takes no part. */
const INPUTS = ['csrc', 'binding.gyp', 'package.json'];

/**
 * The prefix of the compiler for each target, as in Debian's packages, which have the same.
 * @type {Record<string, { arch: string, prefix: string, debian: string[] }>}
 */
const TARGETS = {
  'linux-x64': { arch: 'x64', prefix: 'x86_64-linux-gnu-', debian: ['g++-x86-64-linux-gnu'] },
  'linux-arm64': { arch: 'arm64', prefix: 'aarch64-linux-gnu-', debian: ['g++-aarch64-linux-gnu'] },
};
const HOST = `${process.platform}-${process.arch}`;

/** @param {string} name @returns {{ arch: string, env: Record<string, string>, needs: string[], debian: string[] }} */
function toolsFor(name) {
  const target = TARGETS[name];
  if (target === undefined) {
    process.stderr.write(`there is no target ${name}; the targets are ${Object.keys(TARGETS).join(', ')}\n`);
    process.exit(1);
  }
  const { arch, prefix, debian } = target;
  if (name === HOST) return { arch, env: { PREBUILD_STRIP_BIN: 'strip' }, needs: [], debian: [] };
  const env = {
    CC: `${prefix}gcc`,
    CXX: `${prefix}g++`,
    LINK: `${prefix}g++`,
    AR: `${prefix}ar`,
    PREBUILD_STRIP_BIN: `${prefix}strip`,
  };
  return { arch, env, needs: [...new Set(Object.values(env))], debian };
}

/** @param {string} name @param {string} out */
async function prebuild(name, out) {
  const { arch, env, needs, debian } = toolsFor(name);
  const missing = missingCommands(needs);
  if (missing.length > 0) {
    process.stderr.write(`${name} needs ${missing.join(', ')}: apt-get install ${debian.join(' ')}\n`);
    process.exit(1);
  }
  const folder = join(CACHE, 'prebuild', name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const input of INPUTS) cpSync(join(ROOT, input), join(folder, input), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  rmSync(join(out, 'prebuilds', name), { recursive: true, force: true });
  const [nodedir] = nodedirArguments();
  const prebuildify = [join(ROOT, 'node_modules/.bin/prebuildify'), '--strip', '--tag-libc', '--arch', arch];
  await runStep(`building for ${name} (prebuildify)`, [...prebuildify, '--libc', 'glibc', '--out', out], {
    root: folder,
    cache: CACHE,
    log: `prebuild-${name}`,
    env: {
      ...env,
      JOBS: '2',
      ...(nodedir === undefined ? {} : { npm_config_nodedir: nodedir.replace('--nodedir=', '') }),
    },
  });
}

/** What the command line says; an error in it is told in a line. */
function readArguments() {
  try {
    return parseArgs({ options: { out: { type: 'string' } }, allowPositionals: true });
  } catch (error) {
    process.stderr.write(`${/** @type {Error} */ (error).message}\n`);
    process.exit(1);
  }
}

const { values, positionals } = readArguments();
await setUp(['dependencies']);
for (const name of positionals.length > 0 ? positionals : [HOST]) await prebuild(name, resolve(values.out ?? ROOT));
