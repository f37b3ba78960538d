import { describe, expect, test } from 'vitest';
import { BASELINE, CONTROL, OURS } from '../../bench/model.ts';
import {
  bestRival,
  isNoisy,
  METRICS,
  meanOf,
  medianOf,
  noiseOf,
  ratioOf,
  ratioToBest,
  spreadOf,
} from '../../bench/statistics.ts';
import { example, measuredOf } from './samples.ts';

describe('the statistics of the bench', () => {
  test('the median of three rounds is the middle one', () => {
    expect(medianOf(example(), OURS, METRICS.cpu)).toBe(2);
  });

  test('an allocator that did not run has no median', () => {
    expect(medianOf(example(), 'snmalloc', METRICS.cpu)).toBeUndefined();
  });

  test('a ratio is our median divided by the rival’s', () => {
    expect(ratioOf(example(), OURS, 'mimalloc', METRICS.cpu)).toBe(0.5);
  });

  test('the spread is the range of the rounds divided by their median', () => {
    expect(spreadOf(example(), OURS, METRICS.cpu)).toBe(1);
  });

  test('the best rival is the one with the smallest median', () => {
    expect(bestRival(example(), METRICS.cpu)).toEqual({ rival: 'jemalloc', value: 1.6 });
    expect(ratioToBest(example(), METRICS.cpu)).toBe(1.25);
  });

  test('neither the control nor another build of ours counts as a rival', () => {
    const measured = measuredOf('x', 'patterns', {
      [OURS]: [2],
      [`${OURS}-unchecked`]: [1],
      [CONTROL]: [1],
      [BASELINE]: [3],
    });
    expect(bestRival(measured, METRICS.cpu)?.rival).toBe(BASELINE);
  });

  test('the mean of ratios is geometric, so that half and double cancel out', () => {
    expect(meanOf([0.5, 2, undefined])).toBeCloseTo(1);
    expect(meanOf([undefined])).toBeUndefined();
  });

  test('a control that differs from the baseline by more than five percent makes a row noisy', () => {
    const quiet = measuredOf('x', 'patterns', { [BASELINE]: [1], [CONTROL]: [1.04] });
    const noisy = measuredOf('x', 'patterns', { [BASELINE]: [1], [CONTROL]: [0.9] });
    expect(isNoisy(quiet, METRICS.cpu)).toBe(false);
    expect(isNoisy(noisy, METRICS.cpu)).toBe(true);
  });

  test('noise is the same whichever of the two was slower', () => {
    const up = measuredOf('x', 'patterns', { [BASELINE]: [1], [CONTROL]: [2] });
    const down = measuredOf('x', 'patterns', { [BASELINE]: [2], [CONTROL]: [1] });
    expect(noiseOf(up, METRICS.cpu)).toBe(noiseOf(down, METRICS.cpu));
  });
});
