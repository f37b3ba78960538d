import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { build } from '../../bench/build.ts';
import { figuresOf } from '../../bench/launch.ts';
import { LIBRARY, PATTERNS_PROGRAM } from '../../bench/places.ts';

beforeAll(build);

/** Small enough to take a moment each; what a pattern needs besides. */
const TINY: Record<string, string[]> = {
  pair: ['count=1000', 'size=4K'],
  lifo: ['count=5000', 'burst=100'],
  fifo: ['count=5000', 'burst=100'],
  random: ['count=5000', 'burst=100', 'high=512'],
  replace: ['count=5000'],
  stack: ['count=5000'],
  calloc: ['count=200', 'size=1M', 'touch=1', 'live=4'],
  start: [],
  large: ['count=5', 'slots=2', 'low=3M', 'high=4M'],
  'realloc-double': ['count=1', 'vectors=2'],
  'realloc-step': ['max=4M'],
  'realloc-small': ['count=5000'],
  own: ['count=4000', 'threads=4'],
  'producer-consumer': ['count=4000', 'pairs=2'],
  exchange: ['count=4000', 'threads=4'],
  strangers: ['count=4000', 'threads=4', 'each=400'],
  neighbours: ['count=2000', 'inherited=1'],
  wander: ['count=20000', 'steps=500'],
  'thread-exit': ['count=20'],
  'memory-random': ['bytes=4M', 'idle_ms=1'],
  'memory-runs': ['bytes=4M', 'idle_ms=1', 'threads=2'],
  'memory-all': ['bytes=4M', 'idle_ms=1'],
  latency: ['count=20000'],
  'live-set': ['bytes=1M', 'count=5000'],
  'block-size': ['size=64M', 'count=20'],
  age: ['bytes=1M', 'count=40000'],
};

async function run(args: string[]) {
  const { stdout } = await execa(PATTERNS_PROGRAM, args, { env: { LD_PRELOAD: LIBRARY } });
  return figuresOf(stdout);
}

describe('the patterns', () => {
  test('are all tried here', async () => {
    const { stdout } = await execa(PATTERNS_PROGRAM, []);
    const names = stdout.split('\n').map((line) => line.split(' ')[0]);
    expect(names.sort()).toEqual(Object.keys(TINY).sort());
  });

  for (const [name, args] of Object.entries(TINY)) {
    test(`${name} runs under our library and prints its figures`, async () => {
      const figures = await run([name, ...args]);
      if (name !== 'start') expect(figures['operations']).toBeGreaterThan(0);
    });
  }

  test('latency prints quantiles in their order', async () => {
    const { malloc_p50, malloc_p999, malloc_max } = await run(['latency', 'count=20000']);
    expect(malloc_p50).toBeLessThanOrEqual(Number(malloc_p999));
    expect(malloc_p999).toBeLessThanOrEqual(Number(malloc_max));
  });

  test('memory-runs frees nine of ten runs', async () => {
    const { live, rss_peak } = await run(['memory-runs', 'bytes=8M', 'idle_ms=1']);
    expect(Number(live)).toBeGreaterThan(0.05 * 8 * 2 ** 20);
    expect(Number(live)).toBeLessThan(0.2 * 8 * 2 ** 20);
    expect(Number(rss_peak)).toBeGreaterThan(8 * 2 ** 20);
  });

  test('age prints one point for each part of its life', async () => {
    const { ns_by_age } = await run(['age', 'bytes=1M', 'count=40000']);
    expect(ns_by_age).toHaveLength(40);
  });

  test('an unknown pattern is an error', async () => {
    await expect(execa(PATTERNS_PROGRAM, ['no-such-pattern'])).rejects.toThrow('no such pattern');
  });
});
