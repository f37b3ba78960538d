import { expect } from 'vitest';
import { runNode } from '../package/run-node.ts';

/**
 * Runs a script in which `start(code)` makes a worker of this code that has `pool`.
 * @param worker - the code of a worker, which the script has as `workerCode`
 * @returns what it logs as JSON
 */
export async function withWorkers(script: string, flags: string[] = [], worker = ''): Promise<unknown> {
  const { stdout, stderr, exitCode, signal } = await runNode(
    `import { once } from 'node:events';
     import { Worker } from 'node:worker_threads';
     import { setImmediate as turn } from 'node:timers/promises';
     import { createPool, openPool } from 'buddymalloc';
     const start = (code, workerData) => new Worker(
       "const { createPool, openPool } = require('buddymalloc');" +
       "const { parentPort, workerData } = require('node:worker_threads'); const pool = openPool('p');" + code,
       { eval: true, workerData, execArgv: [] });
     const workerCode = process.argv.at(-1);
     const say = (value) => console.log(JSON.stringify(value));
     const codeOf = (action) => { try { action(); } catch (error) { return error.code; } };
     ${script}`,
    flags,
    {},
    [worker],
  );
  expect({ stderr, exitCode, signal }).toEqual({ stderr: '', exitCode: 0, signal: undefined });
  return JSON.parse(stdout);
}
