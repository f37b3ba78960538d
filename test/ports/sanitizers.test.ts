/** The C tests with the library itself under ASan, UBSan and TSan. No suppression is in use. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, failures, threadFailures, threadTargets } from './build.ts';

const SECONDS = 300_000;

describe('under ASan and UBSan', () => {
  let folder = '';
  beforeAll(() => {
    const targets = ['test-static', 'test-hardened', ...threadTargets('static')];
    folder = build('address', targets, { BUDDYMALLOC_SANITIZE: 'address,undefined' });
  }, SECONDS);

  test(
    'the library makes no invalid access and does nothing undefined in the C tests',
    () => {
      const words = [
        'aligned_test',
        'block_test',
        'calloc_test',
        'check_test',
        'chunk_test',
        'early_test',
        'free_test',
      ];
      words.push('misuse_test', 'orphan_test', 'stats_test', 'random steps', 'realloc_test', 'wander between threads');
      words.push('medium_test', 'options_test', 'park_test', 'pool_test', 'fork() from a signal handler');
      expect(failures([join(folder, 'tests/test-static')], words)).toEqual([]);
    },
    SECONDS,
  );

  test(
    'nor does the hardened library',
    () => {
      const words = ['aligned_test', 'calloc_test', 'free_test', 'hardened_test', 'malloc_test', 'misuse_test'];
      words.push('orphan_test', 'realloc_test', 'wander between threads', 'whole slots survive');
      expect(failures([join(folder, 'tests/test-hardened')], words)).toEqual([]);
    },
    SECONDS,
  );

  test(
    'the programs of threads end well',
    () => {
      expect(threadFailures(folder)).toEqual([]);
    },
    SECONDS,
  );
});

describe('under TSan', () => {
  let folder = '';
  beforeAll(() => {
    const targets = ['test-static', 'test-hardened', ...threadTargets('static'), ...threadTargets('hardened')];
    folder = build('thread', targets, { BUDDYMALLOC_SANITIZE: 'thread' });
  }, SECONDS);

  /** TSan itself cannot start threads in a child of a process of many, and hands no signal to a handler that ends the thread. */
  const OF_THREADS = [
    'threads that allocate and free',
    'wander between threads',
    'threads that ended',
    'after the thread',
    'cancelled threads',
    'high rate',
    'later thread',
    'while others are created',
    'orphan_test',
    'vfork',
    'fork() from a signal handler',
    'small blocks survive',
  ];

  test(
    'no two threads race in the C tests',
    () => {
      expect(failures([join(folder, 'tests/test-static')], [...OF_THREADS, 'stats_test'])).toEqual([]);
    },
    SECONDS,
  );

  test(
    'nor in those of the hardened build',
    () => {
      const words = [...OF_THREADS, 'were given back after their thread ended'];
      expect(failures([join(folder, 'tests/test-hardened')], words)).toEqual([]);
    },
    SECONDS,
  );

  test.each(['static', 'hardened'] as const)(
    'no two threads race in the programs of threads, %s',
    (linked) => {
      expect(threadFailures(folder, [], linked)).toEqual([]);
    },
    SECONDS,
  );
});
