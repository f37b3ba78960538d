// A job of package.json: sets up what it needs, then runs its program and takes over its fate.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { BUILD_STEPS, ROOT, setUp } from './setup.mjs';

/**
 * @param {string} program an absolute path, or a file of node_modules/.bin
 * @param {string[]} args
 * @returns {Promise<number>} its exit code; 128 and the signal's number if a signal ended it
 */
function run(program, args) {
  const file = isAbsolute(program) ? program : join(ROOT, 'node_modules/.bin', program);
  const child = spawn(file, args, { cwd: ROOT, stdio: 'inherit' });
  // An interrupt at the terminal reaches the child too; wait for what it makes of it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve) => {
    child.on('error', (error) => {
      process.stderr.write(`${program}: ${error.message}\n`);
      resolve(127);
    });
    child.on('close', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
  });
}

const [job = '', ...rest] = process.argv.slice(2);

/** @type {Record<string, { needs: string[], programs: [string, ...string[]][] }>} */
const JOBS = {
  start: { needs: [...BUILD_STEPS, 'demo'], programs: [[process.execPath, '.cache/demo/demo/main.js', ...rest]] },
  'demo:upload': {
    needs: [...BUILD_STEPS, 'demo'],
    programs: [[process.execPath, '.cache/demo/upload/main.js', ...rest]],
  },
  test: { needs: BUILD_STEPS, programs: [['vitest', 'run', ...rest]] },
  bench: { needs: BUILD_STEPS, programs: [['tsx', 'bench/cli.ts', ...rest]] },
  misuse: { needs: BUILD_STEPS, programs: [['tsx', 'bench/misuse/cli.ts', ...rest]] },
  lint: {
    needs: ['dependencies', 'typescript'], // the examples import the built package's types
    programs: [
      ['biome', 'check', '--error-on-warnings', ...rest],
      ['tsc', '--noEmit'],
    ],
  },
  build: { needs: BUILD_STEPS, programs: [] },
  // These build what they need themselves.
  matrix: { needs: ['dependencies'], programs: [['tsx', 'test/ports/matrix.ts', ...rest]] },
  fuzz: { needs: ['dependencies'], programs: [['tsx', 'test/verify/fuzz/cli.ts', ...rest]] },
  coverage: { needs: ['dependencies'], programs: [['tsx', 'test/verify/coverage/cli.ts', ...rest]] },
  docs: { needs: ['dependencies'], programs: [['typedoc', ...rest]] },
  format: { needs: ['dependencies'], programs: [['biome', 'check', '--write', ...rest]] },
};

const { needs, programs } = JOBS[job] ?? { needs: undefined, programs: [] };
if (needs === undefined) {
  process.stderr.write(`there is no job ${job}; the jobs are ${Object.keys(JOBS).join(', ')}\n`);
  process.exit(1);
}
await setUp(needs);
for (const [program, ...args] of programs) {
  const code = await run(program, args);
  if (code !== 0) process.exit(code);
}
