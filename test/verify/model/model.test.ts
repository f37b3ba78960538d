import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../../build/project.ts';
import { canTest } from '../../left-out.ts';
import { brokenVariants, check, modelNames, readModel, stepNames } from './spin.ts';

const RUN_MS = 300_000;

/** Steps that are no function of the C code, and why. */
const STEPS_OF_THEIR_OWN: Record<string, string> = {
  accept_orphan: 'accept() of orphan.c: what it does to the slot is accept()',
  futex_wait: 'the kernel’s',
  push_rest: 'the second half of push()',
  wake_one: 'wake() with count 1',
  wake_all: 'wake() with count INT_MAX',
};

const csrc = join(ROOT, 'csrc');
const sources = readdirSync(csrc)
  .filter((file) => /\.[ch]$/.test(file))
  .map((file) => readFileSync(join(csrc, file), 'utf8'))
  .join('\n');

/** Whether the C code defines a function of that name. */
function isFunction(name: string): boolean {
  return new RegExp(`^(?!\\s)(?!.*;$).*\\b${name}\\([^;]*\\{`, 'm').test(sources);
}

const documentation = readFileSync(join(ROOT, 'docs/verification.md'), 'utf8');

/** The number of states in the documentation's table. */
function statedStates(model: string): number {
  const [, states = ''] = new RegExp(`^\\| \\[${model}\\]\\(.*\\| ([\\d,]+) \\|$`, 'm').exec(documentation) ?? [];
  return Number(states.replaceAll(',', ''));
}

const models = modelNames().map((model) => ({ model, text: readModel(model) }));

test('a name that the C code does not define is told', () => {
  expect(isFunction('orphan_drain')).toBe(true);
  expect(isFunction('orphan_drained')).toBe(false);
});

describe.each(models)('the model of $model', ({ model, text }) => {
  test('has steps named after functions of the C code, or with a reason', () => {
    const unknown = stepNames(text).filter((name) => !isFunction(name) && !(name in STEPS_OF_THEIR_OWN));
    expect(unknown).toEqual([]);
  });

  if (canTest('spin', 'spin', `the model ${model}.pml`)) {
    test(
      'is violated in none of the states that can be reached',
      async () => {
        const { violation, states, isWhole } = await check(model, []);
        expect({ violation, isWhole }).toEqual({ violation: undefined, isWhole: true });
        // As the documentation says; another version of spin may cut the same search a little differently.
        const stated = statedStates(model);
        expect(states).toBeGreaterThan(stated * 0.9);
        expect(states).toBeLessThan(stated * 1.1);
      },
      RUN_MS,
    );

    test.each(brokenVariants(text))(
      'with %s is found to be broken',
      async (variant) => {
        const { violation } = await check(model, [variant]);
        expect(violation).toMatch(/assertion violated|invalid end state/);
      },
      RUN_MS,
    );
  }
});
