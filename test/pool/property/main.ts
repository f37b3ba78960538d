// Runs random programs in this process: `main.ts SEED RUNS LENGTH`. Prints the seed and the program that fails, with FAST_CHECK_SHRINK in the
// environment the smallest such.
import fc from 'fast-check';
import { program, Run } from './program.ts';
import { Threads } from './threads.ts';

const [seed = 0, runs = 10, length = 60] = process.argv.slice(2).map(Number);
const threads = new Threads();
const property = fc.asyncProperty(program(length), (each) => new Run(threads).run(each));
const endOnFailure = process.env.FAST_CHECK_SHRINK === undefined;
const details = await fc.check(property, { seed, numRuns: runs, endOnFailure });
if (details.failed) {
  const { errorInstance, counterexample, numRuns } = details;
  const program = JSON.stringify(counterexample, undefined, 1);
  process.stdout.write(`seed ${seed}, program ${numRuns}: ${program}\n${(errorInstance as Error).stack}\n`);
}
process.exit(details.failed ? 1 : 0);
