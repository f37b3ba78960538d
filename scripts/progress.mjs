// Runs one long step: says that it runs, keeps its output in a file, and shows the end of that file if it fails.
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const LINES_SHOWN_ON_FAILURE = 60;

/** @param {string} label @returns {() => void} */
function showProgress(label) {
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  if (!process.stderr.isTTY) {
    process.stderr.write(`  ${label} …\n`);
    const timer = setInterval(() => process.stderr.write(`  ${label} … ${seconds()}\n`), 15_000);
    return () => clearInterval(timer);
  }
  let frame = 0;
  const timer = setInterval(() => {
    frame = (frame + 1) % FRAMES.length;
    process.stderr.write(`\r\u001b[2K${FRAMES[frame]} ${label} ${seconds()}`);
  }, 100);
  return () => {
    clearInterval(timer);
    process.stderr.write(`\r\u001b[2K✓ ${label} ${seconds()}\n`);
  };
}

/**
 * @param {string} label
 * @param {string[]} command
 * @param {{ root: string, cache: string, log: string, env?: Record<string, string> }} settings `env` is added to ours
 */
export async function runStep(label, command, { root, cache, log, env = {} }) {
  mkdirSync(cache, { recursive: true });
  const logFile = join(cache, `${log}.log`);
  const output = createWriteStream(logFile);
  const stop = showProgress(label);
  const [file = '', ...args] = command;
  const child = spawn(file, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pipe(output, { end: false });
  child.stderr.pipe(output, { end: false });
  const code = await new Promise((resolve) => {
    child.on('error', (error) => {
      output.write(`${error.message}\n`);
      resolve(127);
    });
    child.on('close', (status, signal) => resolve(status ?? signal));
  });
  output.end();
  await finished(output);
  stop();
  if (code !== 0) {
    const tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LINES_SHOWN_ON_FAILURE);
    process.stderr.write(`${tail.join('\n')}\n\n${label} failed (${code}). The whole output: ${logFile}\n`);
    process.exit(1);
  }
}
