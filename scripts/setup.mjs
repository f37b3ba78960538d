// Brings a clone to where a job can run: tools checked, packages installed, everything built. A step whose inputs have the
// same contents as when it last succeeded is left out, so that a second run takes a moment. Plain JavaScript without
// dependencies, since it is what installs them.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runStep } from './progress.mjs';
import { missingTools, nodedirArguments } from './tools.mjs';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const CACHE = join(ROOT, '.cache');
const STAMPS = join(CACHE, 'stamps.json');
const NPM = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
const bin = (/** @type {string} */ name) => join(ROOT, 'node_modules/.bin', name);

/**
 * @typedef {object} Step
 * @property {string} label what a person reads while it runs
 * @property {string[]} inputs files and folders whose contents decide whether it must run again
 * @property {string[]} outputs what must exist for it to be left out
 * @property {() => string[]} command
 * @property {() => boolean} [isDone] decides instead of the inputs
 */

/** @type {Record<string, Step>} */
const STEPS = {
  dependencies: {
    label: 'installing the packages (npm ci)',
    inputs: ['package-lock.json'],
    outputs: ['node_modules/.package-lock.json'],
    command: () => [...NPM, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'],
    isDone: packagesAreInstalled,
  },
  typescript: {
    label: 'compiling TypeScript (tsdown)',
    inputs: ['lib', 'package.json', 'tsconfig.json', 'tsdown.config.ts', 'package-lock.json'],
    outputs: ['dist/index.js', 'dist/index.cjs', 'dist/cli.js'],
    command: () => [bin('tsdown')],
  },
  demo: {
    label: 'compiling the examples (tsdown)',
    inputs: ['examples', 'tsdown.demo.config.ts', 'package-lock.json'],
    outputs: ['.cache/demo/demo/main.js', '.cache/demo/upload/main.js'],
    command: () => [bin('tsdown'), '--config', 'tsdown.demo.config.ts'],
  },
  native: {
    label: 'building the addon (node-gyp)',
    inputs: ['csrc', 'binding.gyp', 'package-lock.json'],
    outputs: ['build/Release/buddymalloc.node'],
    command: () => [bin('node-gyp'), 'configure', 'build', '--jobs', '2', ...nodedirArguments()],
  },
  library: {
    label: 'building the C library and its tests (cmake-js)',
    inputs: ['csrc', 'CMakeLists.txt', 'cmake', 'test/c', 'thread-test', 'package-lock.json'],
    outputs: ['out/Release/libbuddymalloc.so', 'out/Release/libbuddymalloc-hardened.so'],
    command: () => [bin('cmake-js'), 'compile', '--out', 'out', '--parallel', '2'],
  },
};

/** Whether node_modules has every package of package-lock.json, but those for other systems, in its version. */
function packagesAreInstalled() {
  /** @type {(file: string) => Record<string, { version?: string, optional?: boolean }>} */
  const packagesOf = (file) => JSON.parse(readFileSync(join(ROOT, file), 'utf8')).packages;
  const wanted = packagesOf('package-lock.json');
  const installed = packagesOf('node_modules/.package-lock.json');
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  );
}

/** @param {string} path @returns {string[]} */
function filesUnder(path) {
  if (!existsSync(join(ROOT, path))) return [];
  if (!statSync(join(ROOT, path)).isDirectory()) return [path];
  return readdirSync(join(ROOT, path))
    .sort()
    .flatMap((name) => filesUnder(join(path, name)));
}

/** @param {Step} step */
function stampOf(step) {
  const hash = createHash('sha256');
  for (const file of step.inputs.flatMap(filesUnder)) {
    hash.update(`${file}\0`).update(readFileSync(join(ROOT, file)));
  }
  return hash.digest('hex');
}

/** @returns {Record<string, string>} */
function readStamps() {
  try {
    return JSON.parse(readFileSync(STAMPS, 'utf8'));
  } catch {
    return {};
  }
}

/** @param {string[]} names which steps the job needs, in order */
export async function setUp(names) {
  const lines = missingTools();
  if (lines.length > 0) {
    process.stderr.write(`${lines.join('\n')}\n`);
    process.exit(1);
  }
  const stamps = readStamps();
  for (const name of names) {
    const step = /** @type {Step} */ (STEPS[name]);
    const stamp = stampOf(step);
    const isThere = step.outputs.every((file) => existsSync(join(ROOT, file)));
    if (isThere && (step.isDone?.() ?? stamps[name] === stamp)) continue;
    await runStep(step.label, step.command(), { root: ROOT, cache: CACHE, log: name });
    stamps[name] = stamp;
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(STAMPS, `${JSON.stringify(stamps, null, 2)}\n`);
  }
}

/** What every job but the demo's needs. */
export const BUILD_STEPS = ['dependencies', 'typescript', 'native', 'library'];
