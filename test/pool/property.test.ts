// Random programs over several pools and threads, against a model. FAST_CHECK_SEED=n runs that one seed again, in which
// FAST_CHECK_SHRINK=1 looks for the smallest program that fails; POOL_PROPERTY_SEEDS=n runs n seeds of chance.
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../lib/root.ts';

const PROGRAMS = 25;
const LENGTH = 80;
/** The same ones on every run, so that a change is what makes it fail. */
const SEEDS = [1, 2, 3];
const count = process.env.POOL_PROPERTY_SEEDS;
const chosen = process.env.FAST_CHECK_SEED;

function seedsOf(): number[] {
  if (chosen !== undefined) return [Number(chosen)];
  if (count === undefined) return SEEDS;
  return Array.from({ length: Number(count) }, () => Math.floor(Math.random() * 2 ** 31));
}

it.each(seedsOf())('random programs of several threads do as the model says (FAST_CHECK_SEED=%i)', async (seed) => {
  // In a process of its own, so that a crash is a failure with its seed.
  const args = ['--expose-gc', '--import', 'tsx', 'test/pool/property/main.ts', seed, PROGRAMS, LENGTH].map(String);
  const { all, exitCode, signal } = await execa(process.execPath, args, {
    cwd: PACKAGE_ROOT,
    reject: false,
    all: true,
  });
  expect({ seed, exitCode, signal, all }).toEqual({ seed, exitCode: 0, signal: undefined, all: '' });
});
