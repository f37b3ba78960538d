import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BitVec, type Bool, init } from 'z3-solver';
import { OUT, ROOT } from '../../build/project.ts';

const RUN_MS = 120_000;
const PAGE = 4096n;
const SLOT = 65536n;
const CHUNK = 2n ** 22n;
const PTRDIFF_MAX = 2n ** 63n - 1n;
const WORD_MAX = 2n ** 64n - 1n;
const CLASSES = 41;

const { Context, em } = await init();
const { BitVec: Bits, Solver, And, Implies, Not, ULE, ULT, UGT, If } = new Context('main');

type Word = BitVec<64, 'main'>;
type Claim = Bool<'main'>;
const word = (name: string): Word => Bits.const(name, 64);
const value = (number: bigint | number): Word => Bits.val(number, 64);
const flag = (claim: Claim) => If(claim, value(1), value(0)) as Word;

/** The inputs for which the claim does not hold; undefined if it holds for all. */
async function counterexample(claim: Claim): Promise<string | undefined> {
  const solver = new Solver();
  solver.add(Not(claim));
  const answer = await solver.check();
  if (answer === 'unknown') throw new Error('the solver gave up');
  return answer === 'unsat' ? undefined : solver.model().toString();
}

/** The number that an expression without variables is. */
async function evaluated(expression: Word): Promise<bigint> {
  const solver = new Solver();
  const result = word('result');
  solver.add(result.eq(expression));
  await solver.check();
  return BigInt(solver.model().eval(result).toString().replace('#x', '0x'));
}

/* ---- The library's expressions, as the solver sees them ---- */

const osRoundUp = (bytes: Word) => bytes.add(value(PAGE - 1n)).and(value(PAGE - 1n).not());
const heapRoundUp = (address: Word) => address.add(value(CHUNK - 1n)).and(value(CHUNK - 1n).not());
const heapContains = (address: Word, base: Word, span: Word) => ULT(address.sub(base), span);
const slotNumber = (address: Word, base: Word) => address.sub(base).lshr(value(16));
const blockBuddy = (address: Word, order: Word) => address.xor(value(1).shl(order));
const slotProduct = (address: Word, reciprocal: Word) => address.and(value(SLOT - 1n)).mul(reciprocal);
const low32 = (bits: Word) => bits.and(value(2n ** 32n - 1n));
const slotIsStart = (product: Word, reciprocal: Word) => ULT(low32(product), low32(reciprocal));

const EXPRESSIONS: { name: string; model: (a: Word, b: Word, c: Word) => Word; most?: bigint }[] = [
  { name: 'os_round_up', model: osRoundUp },
  { name: 'heap_round_up', model: heapRoundUp },
  { name: 'heap_contains', model: (address, base, span) => flag(heapContains(address, base, span)) },
  { name: 'slot_number', model: slotNumber },
  { name: 'block_buddy', model: blockBuddy, most: 63n },
  { name: 'slot_product', model: slotProduct },
  { name: 'slot_is_start', model: (product, reciprocal) => flag(slotIsStart(product, reciprocal)) },
];

/** Edges, and numbers of every length. */
function points(count: number): bigint[] {
  const numbers = [
    0n,
    1n,
    PAGE - 1n,
    PAGE,
    PAGE + 1n,
    SLOT - 1n,
    SLOT,
    CHUNK - 1n,
    PTRDIFF_MAX,
    WORD_MAX - PAGE,
    WORD_MAX,
  ];
  let state = 0x9e3779b97f4a7c15n;
  while (numbers.length < count) {
    state = (state * 6364136223846793005n + 1442695040888963407n) & WORD_MAX;
    numbers.push(state >> BigInt((numbers.length * 7) % 64));
  }
  return numbers;
}

const program = join(ROOT, '.cache/arithmetic/arithmetic');

/** Calls the library's own functions: a name and three numbers each. */
async function evaluateInC(calls: [string, bigint, bigint, bigint][]): Promise<bigint[]> {
  const { stdout } = await execa(program, ['evaluate'], { input: calls.map((call) => call.join(' ')).join('\n') });
  return stdout.split('\n').map(BigInt);
}

beforeAll(async () => {
  mkdirSync(join(ROOT, '.cache/arithmetic'), { recursive: true });
  const source = join(ROOT, 'test/verify/arithmetic/arithmetic.c');
  const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', `-I${ROOT}/csrc`, `-I${ROOT}/csrc/include`];
  await execa('gcc', [...flags, source, join(OUT, 'libbuddymalloc.a'), '-lpthread', '-o', program]);
}, RUN_MS);

// The solver's threads would keep the process.
afterAll(() => em?.PThread?.terminateAllThreads?.());

test(
  'the arithmetic of blocks, slots and regions is right for every input that can be counted',
  async () => {
    const { stdout } = await execa(program, ['enumerate'], { reject: false });
    const counts = stdout.split('\n').map((line) => Number.parseInt(line, 10));
    expect(counts, stdout).toHaveLength(6);
    expect(Math.min(...counts), stdout).toBeGreaterThan(60_000);
  },
  RUN_MS,
);

test.each(EXPRESSIONS)(
  '$name is in C what the solver takes it for, at its edges and at numbers of every length',
  async ({ name, model, most = WORD_MAX }) => {
    const numbers = points(60);
    const at = (index: number) => numbers[index % numbers.length] ?? 0n;
    const calls = numbers.map((a, i): [string, bigint, bigint, bigint] => [
      name,
      a,
      at(i * 7 + 3) & most,
      at(i * 13 + 5),
    ]);
    const expected = await evaluateInC(calls);
    const actual: bigint[] = [];
    for (const [, a, b, c] of calls) actual.push(await evaluated(model(value(a), value(b), value(c))));
    expect(actual).toEqual(expected);
  },
  RUN_MS,
);

describe('for all 64-bit values', () => {
  const [a, base, span, order] = [word('a'), word('base'), word('span'), word('order')];
  const isWindow = And(
    base.and(value(CHUNK - 1n)).eq(value(0)),
    ULE(base, value(2n ** 47n)),
    ULE(span, value(2n ** 47n)),
  );
  const isInside = And(ULE(base, a), ULT(a, base.add(span)));
  const slotBase = base.add(slotNumber(a, base).shl(value(16)));
  const isPowerOfTwo = (bits: Word) => And(Not(bits.eq(value(0))), bits.and(bits.sub(value(1))).eq(value(0)));
  const [start, bytes, alignment] = [word('start'), word('bytes'), word('alignment')];
  const address = start
    .add(alignment)
    .sub(value(1))
    .and(alignment.sub(value(1)).not());
  const room = bytes.add(alignment).sub(value(PAGE));

  const THEOREMS: { name: string; claim: Claim }[] = [
    {
      name: 'rounding up to pages loses nothing, and less than a page, up to PTRDIFF_MAX',
      claim: Implies(
        ULE(a, value(PTRDIFF_MAX)),
        And(
          ULE(a, osRoundUp(a)),
          ULT(osRoundUp(a).sub(a), value(PAGE)),
          osRoundUp(a)
            .and(value(PAGE - 1n))
            .eq(value(0)),
        ),
      ),
    },
    {
      name: 'one comparison tells whether an address lies in the window',
      claim: Implies(isWindow, heapContains(a, base, span).eq(isInside)),
    },
    {
      name: 'an address in the window lies in the slot of its number, at the offset that its low 16 bits are',
      claim: Implies(And(isWindow, isInside), a.sub(slotBase).eq(a.and(value(SLOT - 1n)))),
    },
    {
      name: 'a block and its buddy are distinct, each other’s buddy, equally aligned, and together the next order’s block',
      claim: Implies(
        And(ULT(order, value(62)), a.and(value(1).shl(order).sub(value(1))).eq(value(0))),
        And(
          Not(blockBuddy(a, order).eq(a)),
          blockBuddy(blockBuddy(a, order), order).eq(a),
          blockBuddy(a, order)
            .and(value(1).shl(order).sub(value(1)))
            .eq(value(0)),
          a
            .and(blockBuddy(a, order))
            .and(
              value(1)
                .shl(order.add(value(1)))
                .sub(value(1)),
            )
            .eq(value(0)),
        ),
      ),
    },
    {
      name: 'what huge_alloc() lets through cannot overflow when it is rounded up and aligned',
      claim: Implies(
        And(ULE(bytes, value(PTRDIFF_MAX - PAGE)), ULE(alignment, value(PTRDIFF_MAX).sub(bytes))),
        And(ULE(bytes, osRoundUp(bytes)), ULE(osRoundUp(bytes), osRoundUp(bytes).add(alignment))),
      ),
    },
    {
      name: 'a mapping cut out for its alignment is aligned and lies in the room that was mapped for it',
      claim: Implies(
        And(
          isPowerOfTwo(alignment),
          UGT(alignment, value(PAGE)),
          ULE(alignment, value(2n ** 46n)),
          ULE(bytes, value(2n ** 46n)),
          ULE(start, value(2n ** 47n)),
          start.and(value(PAGE - 1n)).eq(value(0)),
        ),
        And(
          address.and(alignment.sub(value(1))).eq(value(0)),
          ULE(start, address),
          ULE(address.add(bytes), start.add(room)),
        ),
      ),
    },
  ];

  test.each(THEOREMS)('$name', async ({ claim }) => expect(await counterexample(claim)).toBeUndefined(), RUN_MS);

  test(
    'a check that is one page too generous is refuted',
    async () => {
      const generous = Implies(ULE(bytes, value(WORD_MAX - PAGE + 2n)), ULE(bytes, osRoundUp(bytes)));
      expect(await counterexample(generous)).toBeDefined();
    },
    RUN_MS,
  );
});

describe('the reciprocal of a class', () => {
  const [index, rest] = [word('index'), word('rest')];

  /** Of index * size + rest below 64 KiB: the high word is the index, the low one tells whether the rest is 0. */
  const claim = (size: bigint, reciprocal: bigint) => {
    const offset = index.mul(value(size)).add(rest);
    const product = slotProduct(offset, value(reciprocal));
    const isOffset = And(ULT(rest, value(size)), ULT(index, value(SLOT)), ULT(offset, value(SLOT)));
    const isRight = And(
      product.lshr(value(32)).eq(index),
      slotIsStart(product, value(reciprocal)).eq(rest.eq(value(0))),
    );
    return Implies(isOffset, isRight);
  };

  test(
    'divides every offset by the class’s size, and one less does not, for the first class of each odd factor',
    async () => {
      const numbers = [...Array(CLASSES).keys()].map(BigInt);
      const sizes = await evaluateInC(numbers.map((number) => ['class_size', 0n, number, 0n]));
      const reciprocals = await evaluateInC(numbers.map((number) => ['reciprocal', 0n, number, 0n]));
      // The solver takes seconds for each; the enumeration has them all.
      const odd = (size: bigint) => size / (size & -size);
      const factors = sizes.map(odd);
      for (const [class_, size] of sizes.entries()) {
        if (factors.indexOf(odd(size)) !== class_) continue;
        const reciprocal = reciprocals[class_] ?? 0n;
        expect(await counterexample(claim(size, reciprocal)), `of ${size} bytes`).toBeUndefined();
        expect(await counterexample(claim(size, reciprocal - 1n)), `of ${size} bytes, one less`).toBeDefined();
      }
    },
    RUN_MS,
  );
});

test('an overflow of a product is told as a product of unlimited length tells it', async () => {
  const numbers = points(200);
  const pairs = numbers.map((a, i): [bigint, bigint] => [a, numbers[(i * 31 + 7) % numbers.length] ?? 0n]);
  const told = await evaluateInC(pairs.map(([a, b]) => ['mul_overflow', a, b, 0n]));
  expect(told).toEqual(pairs.map(([a, b]) => BigInt(a * b > WORD_MAX)));
});
