import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../../build/project.ts';
import { canTest } from '../../left-out.ts';
import { build, type Fault, run, TARGETS, type Target } from './target.ts';

const SECONDS = 6;
const TIMEOUT_MS = 300_000;
const KEPT_BYTES = 200 * 1024;

/** Faults that the kept inputs must show, each of another kind. */
const FAULTS: (Fault & { target: Target; name: string })[] = [
  {
    target: 'operations',
    name: 'a thread that takes in the blocks of slots that it gave away',
    file: 'remote.c',
    find: 'if (LIKELY(slot_owner(slot) == arena))',
    replace: 'if (1)',
  },
  {
    target: 'operations',
    name: 'a purge of pages that are in use',
    file: 'slot.c',
    find: 'wanted &= ~busy;',
    replace: '',
  },
  {
    target: 'operations',
    name: 'a large block that is not zeroed',
    file: 'large.c',
    find: 'if (zeroed) zero(address, size, kept, dirty);',
    replace: '(void)zero, (void)zeroed, (void)kept, (void)dirty;',
  },
  {
    target: 'hardened',
    name: 'a freed large block that keeps what it held',
    file: 'hardened/pages.c',
    find: '  wipe_large(slot);\n',
    replace: '',
  },
  {
    target: 'hardened',
    name: 'a tail that is missed where the pages of the block before were given back',
    file: 'hardened/verbs.c',
    find: 'if (__atomic_load_n(state - 1, __ATOMIC_ACQUIRE) == BLOCK_PURGED) return;',
    replace: '',
  },
  {
    target: 'hardened',
    name: 'slack that is not looked at',
    file: 'hardened/verbs.c',
    find: 'if (UNLIKELY(request == PATTERN_BROKEN)) fatal(FATAL_OVERFLOW, block);',
    replace: '',
  },
  {
    target: 'pool',
    name: 'a tail of a block that is not given back',
    file: 'region.c',
    find: 'if (fit.eighths != 7) put_free(region, unit + (6u << eighth), eighth + 1);',
    replace: '',
  },
  {
    target: 'pool',
    name: 'a grant that outlives a reset',
    file: 'pool_holder.c',
    find: 'give_all(pool);\n      wait_recall(pool);',
    replace: 'give_all(pool);',
  },
];

if (canTest('clang', 'clang', 'the fuzzer')) {
  describe.each(TARGETS)('the fuzzer of %s', (target) => {
    test('keeps less than 200 KiB of inputs', () => {
      expect(statSync(join(ROOT, `test/verify/fuzz/corpus/${target}.txt`)).size).toBeLessThan(KEPT_BYTES);
    });

    test(
      'finds nothing in the kept inputs and their variations',
      async () => {
        const { found, executions, text } = await run(target, await build(target), SECONDS);
        expect(found, text).toBeUndefined();
        expect(executions).toBeGreaterThan(0);
      },
      TIMEOUT_MS,
    );

    test.each(FAULTS.filter((fault) => fault.target === target))(
      'finds $name planted in it',
      async (fault) => {
        const { found } = await run(target, await build(target, fault), 0);
        expect(found).toBeDefined();
      },
      TIMEOUT_MS,
    );
  });
}
