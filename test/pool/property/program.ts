// Random programs, and what runs one against the model.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Answer, Command, Kind, Verb } from './actor.ts';
import { FIXED_SIZE } from './actor.ts';
import { type Block, PoolModel } from './model.ts';
import { THREADS, type Threads } from './threads.ts';

const POOLS = 2;
const PAGE = 4096;
const GUARDS = ['check', 'check', 'detach', 'off'] as const;
const KINDS: Kind[] = [
  'alloc',
  'alloc',
  'alloc',
  'zeroed',
  'aligned',
  'try',
  'async',
  'typed',
  'own',
  'fixed',
  'fixed',
];
const VERBS: Verb[] = ['free', 'free', 'realloc', 'handle', 'send', 'share', 'release'];
const DISGUISES = ['slice', 'copy', 'proxy', 'nothing'] as const;

const nat = fc.nat(1000);
const thread = fc.nat(THREADS - 1);
const pool = fc.nat(POOLS - 1);
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(5000) },
  { weight: 2, arbitrary: fc.nat(70_000) },
  { weight: 1, arbitrary: fc.nat(300_000) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 64, 65, 4096, 65_536, 65_537, 131_072) },
);

const at = { thread, pool };
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      ...at,
      op: fc.constant('alloc' as const),
      kind: fc.constantFrom(...KINDS),
      size,
      alignment: fc.constantFrom(64, 256, 4096, 65_536, 1_048_576),
    }),
  },
  { weight: 8, arbitrary: fc.record({ ...at, op: fc.constantFrom('free' as const, 'release' as const), pick: nat }) },
  { weight: 3, arbitrary: fc.record({ ...at, op: fc.constant('realloc' as const), pick: nat, size }) },
  { weight: 4, arbitrary: fc.record({ ...at, op: fc.constantFrom('handle' as const, 'adopt' as const), pick: nat }) },
  {
    weight: 4,
    arbitrary: fc.record({
      ...at,
      op: fc.constantFrom('share' as const, 'openShared' as const, 'leave' as const),
      pick: nat,
    }),
  },
  { weight: 4, arbitrary: fc.record({ ...at, op: fc.constant('send' as const), to: thread, pick: nat }) },
  { weight: 4, arbitrary: fc.record({ ...at, op: fc.constant('take' as const) }) },
  { weight: 1, arbitrary: fc.record({ ...at, op: fc.constant('closeInbox' as const), pick: nat }) },
  { weight: 2, arbitrary: fc.record({ ...at, op: fc.constant('forgery' as const), pick: nat }) },
  {
    weight: 6,
    arbitrary: fc.record({ ...at, op: fc.constant('late' as const), verb: fc.constantFrom(...VERBS), pick: nat }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      ...at,
      op: fc.constant('foreign' as const),
      verb: fc.constantFrom(...VERBS),
      as: fc.constantFrom(...DISGUISES, 'elsewhere' as const),
      pick: nat,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...at,
      op: fc.constant('scope' as const),
      sizes: fc.array(fc.nat(8000), { maxLength: 5 }),
      keep: fc.boolean(),
      throws: fc.boolean(),
      isAsync: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ ...at, op: fc.constantFrom('trim' as const, 'reclaim' as const, 'look' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ ...at, op: fc.constantFrom('reset' as const, 'forget' as const), pick: nat }) },
  { weight: 1, arbitrary: fc.record({ ...at, op: fc.constantFrom('gc' as const, 'verify' as const) }) },
);
const rare = fc.record({ ...at, op: fc.constantFrom('destroy' as const, 'terminate' as const) });

/** What closes a pool's quick ways of allocating and freeing. */
const rarely = fc.constantFrom(false, false, false, false, false, true);

const options = fc.record({
  guard: fc.constantFrom(...GUARDS),
  limit: fc.constantFrom(262_144, 1_048_576, 4_194_304),
  regionSize: fc.constantFrom(65_536, 262_144),
  alignment: fc.constantFrom(64, 64, 512),
  zeroOnAlloc: rarely,
  poison: rarely,
  trace: rarely,
});

type Of<T> = T extends fc.Arbitrary<infer U> ? U : never;
export type Step = Of<typeof step> | Of<typeof rare>;
export interface Program {
  pools: Of<typeof options>[];
  steps: Step[];
}

export const program = (length: number): fc.Arbitrary<Program> =>
  fc.record({
    pools: fc.array(options, { minLength: POOLS, maxLength: POOLS }),
    steps: fc.array(fc.oneof({ weight: 60, arbitrary: step }, { weight: 1, arbitrary: rare }), {
      minLength: 5,
      maxLength: length,
      size: 'max',
    }),
  });

/** One of them, or undefined. */
const pickOf = <T>(all: readonly T[], pick: number): T | undefined => all[pick % all.length];

let lastPool = 0;

/** Runs programs on threads, and throws where they do not do as the model says. */
export class Run {
  readonly #threads: Threads;
  readonly #pools: PoolModel[] = [];
  #lastId = 0;

  constructor(threads: Threads) {
    this.#threads = threads;
  }

  async run({ pools, steps }: Program): Promise<void> {
    await this.#threads.begin();
    for (const each of pools) await this.#open(this.#pools.length, each);
    for (const each of steps) await this.#step(each);
    for (const model of this.#pools) await this.#close(model);
  }

  // ---- Telling threads what to do, and what they answer --------------------------------------------------------------

  async #tell(on: number, command: Command): Promise<Answer> {
    const answer = await this.#threads.run(on, command);
    const model = 'pool' in command ? this.#pools.find(({ number }) => number === command.pool) : undefined;
    if (model !== undefined && answer.stats !== undefined) this.#lastStats = answer.stats;
    // A thread's own requests that find no room get what its recycler keeps idle.
    if (['alloc', 'realloc', 'scope'].includes(command.op) && answer.idle === 0) model?.freeIdle(on);
    return answer;
  }

  #lastStats: Record<string, number> = {};

  /** Does what must work, and returns the answer's value. */
  async #expect(on: number, command: Command, value?: unknown): Promise<unknown> {
    const answer = await this.#tell(on, command);
    assert.equal(answer.code, undefined, `${JSON.stringify(command)} threw ${answer.code}`);
    if (value !== undefined) assert.deepEqual(answer.value, value, JSON.stringify(command));
    return answer.value;
  }

  async #refused(on: number, command: Command, code: string): Promise<void> {
    assert.equal((await this.#tell(on, command)).code, code, JSON.stringify(command));
  }

  /** The pool's figures are the model's, as far as the garbage collector leaves a choice. */
  #compare(model: PoolModel): void {
    const there = model.occupying();
    const { usedBlocks = 0, usedBytes = 0, handedOver, shared, threads, stockedBytes = 0 } = this.#lastStats;
    const most = there.length + model.maybe;
    assert.ok(
      usedBlocks >= there.length && usedBlocks <= most,
      `${usedBlocks} blocks in use, and not ${there.length} to ${most}`,
    );
    assert.equal(handedOver, model.transits.filter(({ users }) => users === undefined).length, 'handed over');
    assert.equal(shared, model.transits.filter(({ users }) => users !== undefined).length, 'shared');
    assert.equal(threads, THREADS, 'threads');
    assert.ok(usedBytes + stockedBytes <= model.options.limit, 'the limit');
    if (usedBlocks === there.length && there.every(({ bytes }) => bytes !== undefined)) {
      const sum = there.reduce((total, { bytes = 0 }) => total + bytes, 0);
      assert.equal(usedBytes, sum, 'bytes in use');
    }
    // What the garbage collector has found is gone for good.
    if (usedBlocks === there.length) model.maybe = 0;
  }

  async #open(index: number, each: Program['pools'][number]): Promise<void> {
    const model = new PoolModel(++lastPool, { ...each, name: `property ${process.pid} ${lastPool}` });
    this.#pools[index] = model;
    for (let on = 0; on < THREADS; on++) {
      await this.#expect(on, { op: 'open', pool: model.number, options: model.options });
    }
  }

  /** All blocks have their contents, all can be freed, and the walker is content. */
  async #close(model: PoolModel): Promise<void> {
    const { number } = model;
    for (const block of model.in('sent')) await this.#take(model, block);
    await this.#verify(model);
    await this.#expect(0, { op: 'check', pool: number }, 0);
    for (const block of model.in('live')) {
      await this.#expect(block.thread, { op: 'free', pool: number, id: block.id });
      block.state = 'dead';
    }
    for (const transit of [...model.transits]) {
      for (const [user, on] of transit.users ?? []) await this.#expect(on, { op: 'leave', pool: number, user });
      if (transit.users !== undefined) model.endTransit(transit);
    }
    await this.#expect(0, { op: 'reclaim', pool: number }, model.transits.length);
    model.transits.length = 0;
    this.#compare(model);
    for (let on = 0; on < THREADS; on++) await this.#expect(on, { op: 'trim', pool: number });
    this.#compare(model);
    await this.#expect(0, { op: 'check', pool: number }, 0);
    await this.#expect(0, { op: 'destroy', pool: number });
    await this.#refused(1, { op: 'trim', pool: number }, 'ERR_POOL_DESTROYED');
  }

  /** The thread hears of the block that was sent to it first. */
  async #take(model: PoolModel, block: Block | undefined): Promise<void> {
    if (block === undefined) return;
    const { id, filledAs = 0, size } = block;
    await this.#expect(block.thread, { op: 'taken', pool: model.number, id, filledAs }, size);
    block.state = 'live';
  }

  async #verify(model: PoolModel): Promise<void> {
    for (let on = 0; on < THREADS; on++) {
      const ids = model
        .in('live')
        .filter((block) => block.thread === on)
        .map(({ id }) => id);
      await this.#expect(on, { op: 'verify', ids }, []);
    }
  }

  // ---- Steps ---------------------------------------------------------------------------------------------------------

  async #step(step: Step): Promise<void> {
    const model = this.#pools[step.pool] as PoolModel;
    await this.#do(step, model);
    if (step.op === 'destroy' || step.op === 'terminate' || step.op === 'gc') return;
    await this.#expect(step.thread, { op: 'look', pool: model.number });
    this.#compare(model);
  }

  async #do(step: Step, model: PoolModel): Promise<void> {
    const on = step.thread;
    const number = model.number;
    const mine = (...states: Block['state'][]) => model.in(...states).filter((block) => block.thread === on);
    switch (step.op) {
      case 'alloc':
        return this.#alloc(step, model);
      case 'realloc': {
        const block = pickOf(mine('live'), step.pick);
        if (block === undefined) return;
        const to = ++this.#lastId;
        const answer = await this.#tell(on, { op: 'realloc', pool: number, id: block.id, to, size: step.size });
        if (answer.code === 'ERR_POOL_FULL') return this.#excuse(model, step.size);
        assert.deepEqual(answer, { value: undefined, stats: answer.stats, idle: answer.idle }, 'realloc');
        block.state = 'dead';
        const resized = model.add(to, on, step.size);
        // In place, or elsewhere: only the pool knows.
        if (block.bytes === undefined && !block.isOwn) resized.bytes = undefined;
        return;
      }
      case 'free':
      case 'release': {
        const block = pickOf(
          mine('live').filter(({ isFixed }) => step.op === 'free' || isFixed),
          step.pick,
        );
        if (block === undefined) return;
        await this.#expect(on, { op: 'verify', ids: [block.id] }, []);
        await this.#expect(on, { op: step.op, pool: number, id: block.id });
        block.state = step.op === 'free' ? 'dead' : 'idle';
        return;
      }
      case 'handle': {
        const block = pickOf(mine('live'), step.pick);
        if (block === undefined) return;
        const handle = (await this.#expect(on, { op: 'handle', pool: number, id: block.id })) as number;
        model.transits.push({ handle, block: { ...block }, users: undefined });
        block.state = 'moved';
        return;
      }
      case 'adopt': {
        const transit = pickOf(
          model.transits.filter(({ users }) => users === undefined),
          step.pick,
        );
        if (transit === undefined) return;
        const { handle, block } = transit;
        const id = ++this.#lastId;
        await this.#expect(on, { op: 'adopt', pool: number, id, handle, filledAs: block.id }, block.size);
        model.endTransit(transit);
        model.add(id, on, block.size).bytes = block.bytes;
        await this.#refused(on, { op: 'adopt', pool: number, id, handle, filledAs: 0 }, 'ERR_STALE_HANDLE');
        return;
      }
      case 'send': {
        const block = pickOf(mine('live'), step.pick);
        if (block === undefined) return;
        const address = (await this.#expect(step.to, { op: 'inbox', pool: number })) as number;
        await this.#expect(on, { op: 'send', pool: number, id: block.id, address });
        block.state = 'moved';
        const sent = model.add(++this.#lastId, step.to, block.size);
        Object.assign(sent, { bytes: block.bytes, state: 'sent', filledAs: block.id });
        return;
      }
      case 'take':
        return this.#take(model, mine('sent')[0]);
      case 'closeInbox': {
        const address = (await this.#expect(on, { op: 'inbox', pool: number })) as number;
        const heard = (await this.#expect(on, { op: 'closeInbox', pool: number })) as number;
        // What the thread has not heard of is freed.
        for (const block of mine('sent').slice(heard)) model.blocks.delete(block.id);
        const block = pickOf(mine('live'), step.pick);
        if (block !== undefined)
          await this.#refused(on, { op: 'send', pool: number, id: block.id, address }, 'ERR_STALE_HANDLE');
        return;
      }
      case 'share': {
        const block = pickOf(mine('live'), step.pick);
        if (block === undefined) return;
        const user = ++this.#lastId;
        const handle = (await this.#expect(on, { op: 'share', pool: number, id: block.id, user })) as number;
        model.transits.push({ handle, block: { ...block }, users: new Map([[user, on]]) });
        block.state = 'shared';
        return;
      }
      case 'openShared': {
        const transit = pickOf(
          model.transits.filter(({ users }) => users !== undefined),
          step.pick,
        );
        if (transit === undefined) return;
        const user = ++this.#lastId;
        const { handle, block } = transit;
        await this.#expect(on, { op: 'openShared', pool: number, handle, user, filledAs: block.id });
        transit.users?.set(user, on);
        return;
      }
      case 'leave': {
        const used = model.transits.flatMap((transit) =>
          [...(transit.users ?? [])].filter(([, by]) => by === on).map(([user]) => ({ transit, user })),
        );
        const chosen = pickOf(used, step.pick);
        if (chosen === undefined) return;
        const { transit, user } = chosen;
        await this.#expect(on, { op: 'leave', pool: number, user });
        transit.users?.delete(user);
        if (transit.users?.size === 0) model.endTransit(transit);
        await this.#refused(on, { op: 'leave', pool: number, user }, 'ERR_DOUBLE_FREE');
        return;
      }
      case 'forgery': {
        const known = model.transits[0]?.handle ?? 1;
        const forged = [0, -1, 0.5, Number.NaN, known + 2 ** 40, known * 2, 2 ** 53, ...model.staleHandles];
        const handle = pickOf(forged, step.pick);
        await this.#refused(on, { op: 'adopt', pool: number, id: 0, handle, filledAs: 0 }, 'ERR_STALE_HANDLE');
        await this.#refused(on, { op: 'adopt', pool: number, id: 0, handle: '1', filledAs: 0 }, 'ERR_INVALID_ARG_TYPE');
        return;
      }
      case 'late':
        return this.#late(step, model, pickOf(mine('dead', 'moved', 'shared', 'idle', 'lingering'), step.pick));
      case 'foreign':
        return this.#foreign(step, model);
      case 'scope': {
        const id = ++this.#lastId;
        const { sizes, keep, throws, isAsync } = step;
        const kept = await this.#expect(on, { op: 'scope', pool: number, id, sizes, keep, throws, isAsync });
        if (kept === true) model.add(id, on, sizes.at(-1) ?? 0);
        return;
      }
      case 'reset':
        await this.#expect(on, { op: 'reset', pool: number });
        for (let each = 0; each < THREADS; each++) await this.#expect(each, { op: 'dropArrivals', pool: number });
        return model.reset();
      case 'trim':
        await this.#expect(on, { op: 'trim', pool: number });
        return;
      case 'reclaim': {
        const waiting = model.transits.filter(({ users }) => users === undefined);
        await this.#expect(on, { op: 'reclaim', pool: number }, waiting.length);
        for (const transit of waiting) model.endTransit(transit);
        return;
      }
      case 'look': {
        const [leaks, mapped] = (await this.#expect(on, { op: 'look', pool: number })) as [number, number];
        assert.equal(leaks, mapped);
        return;
      }
      case 'forget': {
        const block = pickOf(mine('live', 'lingering', 'dead'), step.pick);
        if (block === undefined) return;
        await this.#expect(on, { op: 'forget', pool: number, id: block.id });
        return model.forget(block);
      }
      case 'verify':
        return this.#verify(model);
      case 'gc':
        await this.#expect(on, { op: 'gc' });
        return;
      case 'destroy':
        return this.#destroy(step, model);
      case 'terminate': {
        if (on === 0) return;
        await this.#threads.end(on);
        for (const each of this.#pools) {
          each.endThread(on);
          await this.#expect(0, { op: 'check', pool: each.number }, 0);
          await this.#expect(on, { op: 'open', pool: each.number, options: each.options });
        }
        return;
      }
    }
  }

  async #alloc(step: Step & { op: 'alloc' }, model: PoolModel): Promise<void> {
    const { thread: on, kind, alignment } = step;
    const id = ++this.#lastId;
    const size = kind === 'fixed' ? FIXED_SIZE : kind === 'typed' ? step.size - (step.size % 4) : step.size;
    const answer = await this.#tell(on, { op: 'alloc', pool: model.number, id, kind, size, alignment });
    if (kind === 'async' && (answer.code === 'ABORTED' || answer.code === 'ERR_POOL_FULL')) model.shakeIdle();
    if (answer.code !== undefined || answer.value === 'null') {
      assert.ok(
        ['ERR_POOL_FULL', 'ABORTED', undefined].includes(answer.code),
        `${kind} of ${size} threw ${answer.code}`,
      );
      return this.#excuse(model, size);
    }
    if (kind === 'async') model.shakeIdle();
    const idle = model.in('idle').filter((block) => block.thread === on);
    if (kind === 'fixed' && typeof answer.value === 'number') {
      // The very same Buffer: its old number is no more.
      model.blocks.delete(answer.value);
    } else {
      assert.equal(answer.value, undefined, `${kind} of ${size}`);
      if (kind === 'fixed') assert.equal(idle.length, 0, 'a recycler makes a block only if none is idle');
    }
    model.add(id, on, size, {
      ...(kind === 'aligned' ? { alignment } : {}),
      isOwn: kind === 'own',
      isFixed: kind === 'fixed',
    });
  }

  /** A pool may be full only if the limit, or what is mapped in pieces, leaves no room. */
  #excuse(model: PoolModel, size: number): void {
    const { usedBytes = 0, mappedBytes = 0 } = this.#lastStats;
    const bytes = model.bytesFor(size) ?? Math.ceil(size / PAGE) * PAGE;
    const { limit } = model.options;
    assert.ok(usedBytes + bytes > limit || mappedBytes >= limit, `full at ${usedBytes} of ${limit} for ${size}`);
  }

  /** What was freed, or handed over, or shared before. */
  async #late(step: Step & { op: 'late' }, model: PoolModel, block: Block | undefined): Promise<void> {
    if (block === undefined) return;
    const { verb, thread: on } = step;
    const isMoved = block.state === 'moved' || block.state === 'shared';
    const isRelease = verb === 'free' || verb === 'release';
    let code = isMoved ? 'ERR_BLOCK_MOVED' : isRelease ? 'ERR_DOUBLE_FREE' : 'ERR_USE_AFTER_FREE';
    if (verb === 'release' && !block.isFixed) return;
    // Of those before a reset a recycler knows no more than that.
    if (verb === 'release' && isMoved) code = '';
    // Nothing is noted of a block of a pool without checks.
    if (model.options.guard === 'off') return;
    const answer = await this.#tell(on, { op: 'misuse', pool: model.number, id: block.id, verb, as: 'itself' });
    if (code === '')
      assert.ok(['ERR_BLOCK_MOVED', 'ERR_DOUBLE_FREE'].includes(answer.code ?? ''), `late ${answer.code}`);
    else assert.equal(answer.code, code, `${verb} of a block that is ${block.state}`);
  }

  async #foreign(step: Step & { op: 'foreign' }, model: PoolModel): Promise<void> {
    const { thread: on, verb, as } = step;
    const from = as === 'elsewhere' ? (this.#pools[1 - step.pool] as PoolModel) : model;
    const block = pickOf(
      from.in('live').filter((each) => each.thread === on),
      step.pick,
    );
    if (block === undefined) return;
    const disguise = as === 'elsewhere' ? 'itself' : as;
    await this.#refused(
      on,
      { op: 'misuse', pool: model.number, id: block.id, verb, as: disguise },
      'ERR_FOREIGN_BUFFER',
    );
  }

  async #destroy(step: Step, model: PoolModel): Promise<void> {
    await this.#verify(model);
    await this.#expect(step.thread, { op: 'check', pool: model.number }, 0);
    await this.#expect(step.thread, { op: 'destroy', pool: model.number });
    for (const { thread: on, id } of model.in('live')) {
      await this.#refused(on, { op: 'free', pool: model.number, id }, 'ERR_POOL_DESTROYED');
    }
    for (let on = 0; on < THREADS; on++) {
      await this.#refused(on, { op: 'trim', pool: model.number }, 'ERR_POOL_DESTROYED');
    }
    await this.#open(step.pool, model.options as Program['pools'][number]);
  }
}
