/** The C tests with the library itself under ASan, UBSan and TSan. No suppression is in use. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, failures, THREAD_TARGETS, threadFailures } from './build.ts';

const SECONDS = 300_000;

describe('under ASan and UBSan', () => {
  let folder = '';
  beforeAll(() => {
    const targets = ['test-static', 'test-hardened', ...THREAD_TARGETS];
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
    folder = build('thread', ['test-static', ...THREAD_TARGETS], { BUDDYMALLOC_SANITIZE: 'thread' });
  }, SECONDS);

  test(
    'no two threads race in the C tests',
    () => {
      // TSan itself cannot start threads in a child of a process of many, and hands no signal to a handler that ends the thread.
      const words = [
        'threads that allocate and free',
        'wander between threads',
        'threads that ended',
        'after the thread',
      ];
      words.push(
        'cancelled threads',
        'high rate',
        'later thread',
        'while others are created',
        'orphan_test',
        'stats_test',
      );
      words.push('vfork', 'fork() from a signal handler', 'small blocks survive');
      expect(failures([join(folder, 'tests/test-static')], words)).toEqual([]);
    },
    SECONDS,
  );

  test(
    'no two threads race in the programs of threads',
    () => {
      expect(threadFailures(folder)).toEqual([]);
    },
    SECONDS,
  );
});
