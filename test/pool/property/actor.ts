// One thread of the property test: does what it is told to pools, one command at a time, and answers what came of it.
import { setImmediate as turn } from 'node:timers/promises';
import { createPool, type Pool, type PoolBlock, type PoolBuffer, type PoolOptions } from '../../../lib/index.ts';

type Fixed = ReturnType<Pool['fixed']>;
/** An inbox, if one is open, and the blocks that have come with their notes. */
interface Arrivals {
  inbox: ReturnType<Pool['receive']> | undefined;
  blocks: [PoolBuffer, number][];
}
type Shared = ReturnType<Pool['share']>;

export type Verb = 'free' | 'realloc' | 'handle' | 'send' | 'share' | 'release';
export type Kind = 'alloc' | 'zeroed' | 'aligned' | 'try' | 'async' | 'typed' | 'own' | 'fixed';

/** What a thread is told. Blocks go by numbers that the model gives them, and so do pools and users of shared blocks. */
export type Command =
  | { op: 'open'; pool: number; options: PoolOptions }
  | { op: 'alloc'; pool: number; id: number; kind: Kind; size: number; alignment: number }
  | { op: 'realloc'; pool: number; id: number; to: number; size: number }
  | { op: 'free' | 'release' | 'handle' | 'forget'; pool: number; id: number }
  | { op: 'adopt'; pool: number; id: number; handle: unknown; filledAs: number }
  | { op: 'inbox' | 'closeInbox' | 'dropArrivals'; pool: number }
  | { op: 'send'; pool: number; id: number; address: number }
  | { op: 'taken'; pool: number; id: number; filledAs: number }
  | { op: 'share'; pool: number; id: number; user: number }
  | { op: 'openShared'; pool: number; handle: number; user: number; filledAs: number }
  | { op: 'leave'; pool: number; user: number }
  | { op: 'misuse'; pool: number; id: number; verb: Verb; as: 'itself' | 'slice' | 'copy' | 'proxy' | 'nothing' }
  | { op: 'scope'; pool: number; id: number; sizes: number[]; keep: boolean; throws: boolean; isAsync: boolean }
  | { op: 'reset' | 'trim' | 'destroy' | 'reclaim' | 'check' | 'look'; pool: number }
  | { op: 'verify'; ids: number[] }
  | { op: 'gc' | 'begin' };

export interface Answer {
  /** The error's code, or its name and message if it has none. */
  code?: string;
  value?: unknown;
  stats?: Record<string, number>;
  /** Blocks that the thread's recycler keeps idle. */
  idle?: number;
}

/** The size that recyclers have. */
export const FIXED_SIZE = 1000;
/** What a program throws in a scope. */
class Thrown extends Error {
  readonly code = 'THROWN';
}

const pattern = (id: number) => Buffer.from([id & 0xff, id >>> 8, 0x5a]);

/** The bytes of a block, or of a slice of it that is none. */
const bytesOf = (block: PoolBlock): Buffer =>
  ArrayBuffer.isView(block) ? Buffer.from(block.buffer, block.byteOffset, block.byteLength) : Buffer.from(block);

const fill = (bytes: Buffer, id: number) => void (bytes.length > 0 && bytes.fill(pattern(id)));

/** The first byte that is not as it was filled, or -1. */
function firstWrong(bytes: Buffer, id: number): number {
  const expected = Buffer.alloc(bytes.length);
  fill(expected, id);
  return bytes.equals(expected) ? -1 : bytes.findIndex((byte, i) => byte !== expected[i]);
}

export class Actor {
  readonly #pools = new Map<number, Pool>();
  readonly #fixed = new Map<number, Fixed>();
  readonly #blocks = new Map<number, PoolBlock>();
  readonly #ids = new WeakMap<PoolBlock, number>();
  readonly #users = new Map<number, Shared>();
  readonly #arrivals = new Map<number, Arrivals>();

  async run(command: Command): Promise<Answer> {
    const answer: Answer = {};
    try {
      answer.value = await this.#do(command);
    } catch (error) {
      const { code, name, message } = error as { code?: string; name: string; message: string };
      answer.code = code ?? `${name}: ${message}`;
    }
    if ('pool' in command) {
      const pool = this.#pools.get(command.pool);
      if (pool !== undefined && !pool.isDestroyed) {
        answer.stats = { ...pool.stats() };
        answer.idle = this.#fixed.get(command.pool)?.idle ?? 0;
      }
    }
    return answer;
  }

  #pool(number: number): Pool {
    return this.#pools.get(number) as Pool;
  }

  #block(id: number): PoolBlock {
    return this.#blocks.get(id) as PoolBlock;
  }

  #keep(id: number, block: PoolBlock): void {
    this.#blocks.set(id, block);
    this.#ids.set(block, id);
  }

  async #do(command: Command): Promise<unknown> {
    switch (command.op) {
      case 'open':
        this.#pools.set(command.pool, createPool(command.options));
        this.#fixed.delete(command.pool);
        this.#arrivals.delete(command.pool);
        return;
      case 'alloc':
        return this.#alloc(command);
      case 'realloc': {
        const old = this.#block(command.id);
        const kept = Math.min(old.byteLength, command.size);
        const block = this.#pool(command.pool).realloc(old, command.size);
        if (block.length !== command.size) return `length ${block.length}`;
        const wrong = firstWrong(block.subarray(0, kept), command.id);
        fill(block, command.to);
        this.#keep(command.to, block);
        return wrong < 0 ? undefined : `byte ${wrong} was lost`;
      }
      case 'free':
        return this.#pool(command.pool).free(this.#block(command.id));
      case 'release':
        return this.#fixedOf(command.pool).release(this.#block(command.id) as never);
      case 'handle':
        return this.#pool(command.pool).handle(this.#block(command.id));
      case 'forget':
        return void this.#blocks.delete(command.id);
      case 'adopt': {
        const block = this.#pool(command.pool).adopt(command.handle as number);
        this.#keep(command.id, block);
        const wrong = firstWrong(block, command.filledAs);
        fill(block, command.id);
        return wrong < 0 ? block.length : `byte ${wrong} of ${block.length} is wrong`;
      }
      case 'inbox':
        return this.#inboxOf(command.pool).address;
      case 'closeInbox': {
        const arrivals = this.#arrivalsAt(command.pool);
        arrivals.inbox?.close();
        arrivals.inbox = undefined;
        return arrivals.blocks.length;
      }
      case 'dropArrivals':
        return void this.#arrivalsAt(command.pool).blocks.splice(0);
      case 'send':
        return this.#pool(command.pool).send(this.#block(command.id), command.address, command.id);
      case 'taken':
        return this.#taken(command);
      case 'share': {
        const shared = this.#pool(command.pool).share(this.#block(command.id), { plain: true });
        this.#users.set(command.user, shared);
        return shared.handle;
      }
      case 'openShared': {
        const shared = this.#pool(command.pool).openShared(command.handle, { plain: true });
        this.#users.set(command.user, shared);
        const wrong = shared.length > 1 ? firstWrong(shared.bytes, command.filledAs) : -1;
        return wrong < 0 ? undefined : `byte ${wrong} of ${shared.length} is wrong`;
      }
      case 'leave':
        return this.#users.get(command.user)?.release();
      case 'misuse':
        return this.#misuse(command);
      case 'scope':
        return this.#scope(command);
      case 'reset':
      case 'trim':
      case 'destroy':
      case 'reclaim':
      case 'check':
        return this.#pool(command.pool)[command.op]();
      case 'look': {
        const pool = this.#pool(command.pool);
        const mapped = pool.map().regions.flatMap(({ blocks }) => blocks.filter(({ state }) => state !== 'stocked'));
        return [pool.leaks().length, mapped.length];
      }
      case 'verify':
        return command.ids.filter((id) => firstWrong(bytesOf(this.#block(id)), id) >= 0);
      case 'begin':
        for (const { inbox } of this.#arrivals.values()) inbox?.close();
        for (const map of [this.#pools, this.#fixed, this.#blocks, this.#users, this.#arrivals]) map.clear();
        return;
      case 'gc':
        for (let i = 0; i < 3; i++) {
          (globalThis.gc as () => void)();
          await turn();
        }
        return;
    }
  }

  #fixedOf(pool: number): Fixed {
    let fixed = this.#fixed.get(pool);
    if (fixed === undefined) {
      fixed = this.#pool(pool).fixed(FIXED_SIZE);
      this.#fixed.set(pool, fixed);
    }
    return fixed;
  }

  #arrivalsAt(pool: number): Arrivals {
    const known = this.#arrivals.get(pool);
    if (known !== undefined) return known;
    const arrivals: Arrivals = { inbox: undefined, blocks: [] };
    this.#arrivals.set(pool, arrivals);
    return arrivals;
  }

  #inboxOf(pool: number): ReturnType<Pool['receive']> {
    const arrivals = this.#arrivalsAt(pool);
    arrivals.inbox ??= this.#pool(pool).receive((block, note) => arrivals.blocks.push([block, note]));
    return arrivals.inbox;
  }

  /** The length of the block that was sent. */
  async #taken({ pool, id, filledAs }: Command & { op: 'taken' }): Promise<unknown> {
    const { blocks } = this.#arrivalsAt(pool);
    while (blocks.length === 0) await turn();
    const [block, note] = blocks.shift() as [PoolBuffer, number];
    const wrong = firstWrong(block, filledAs);
    fill(block, id);
    this.#keep(id, block);
    if (note !== filledAs) return `note ${note}`;
    return wrong < 0 ? block.length : `byte ${wrong} of ${block.length} is wrong`;
  }

  /** The number that the block had before, for a recycled one. */
  async #alloc({ pool, id, kind, size, alignment }: Command & { op: 'alloc' }): Promise<unknown> {
    const block = await this.#make(this.#pool(pool), pool, kind, size, alignment);
    if (block === null) return 'null';
    const expected = kind === 'typed' ? size - (size % 4) : kind === 'fixed' ? FIXED_SIZE : size;
    if (block.byteLength !== expected) return `length ${block.byteLength}`;
    const bytes = bytesOf(block);
    if (kind === 'zeroed' && bytes.some((byte) => byte !== 0)) return 'not zeroed';
    const before = this.#ids.get(block);
    fill(bytes, id);
    this.#keep(id, block);
    return before;
  }

  async #make(pool: Pool, number: number, kind: Kind, size: number, alignment: number): Promise<PoolBlock | null> {
    switch (kind) {
      case 'zeroed':
        return pool.allocZeroed(size);
      case 'aligned':
        return pool.allocAligned(size, alignment);
      case 'try':
        return pool.tryAlloc(size);
      case 'typed':
        return pool.typed(Uint32Array, Math.floor(size / 4));
      case 'own':
        return pool.allocArrayBuffer(size);
      case 'fixed':
        return this.#fixedOf(number).acquire();
      case 'async': {
        const controller = new AbortController();
        const waiting = pool.allocAsync(size, { signal: controller.signal });
        waiting.catch(() => {});
        for (let i = 0; i < 3; i++) await turn();
        controller.abort(Object.assign(new Error('gave up'), { code: 'ABORTED' }));
        return waiting;
      }
      default:
        return pool.alloc(size);
    }
  }

  #misuse({ pool: number, id, verb, as }: Command & { op: 'misuse' }): unknown {
    const pool = this.#pool(number);
    const block = this.#disguise(id, as) as never;
    if (verb === 'realloc') return pool.realloc(block, 100);
    if (verb === 'send') return pool.send(block, 1);
    if (verb === 'release') return this.#fixedOf(number).release(block);
    return pool[verb](block);
  }

  #disguise(id: number, as: string): unknown {
    if (as === 'nothing') return Buffer.alloc(64);
    const block = this.#block(id);
    if (as === 'slice') return bytesOf(block).subarray(0, 1);
    if (as === 'copy') return Object.create(block);
    if (as === 'proxy') return new Proxy(block, {});
    return block;
  }

  /** How many blocks it has allocated: the last of them, numbered `id`, stays if `keep` says so. */
  async #scope({ pool: number, id, sizes, keep, throws, isAsync }: Command & { op: 'scope' }): Promise<unknown> {
    const pool = this.#pool(number);
    let kept: PoolBlock | undefined;
    const work = (scope: { keep<T extends PoolBlock>(block: T): T }) => {
      for (const [i, size] of sizes.entries()) {
        const block = pool.tryAlloc(size);
        if (block === null) continue;
        fill(block, id);
        if (keep && i === sizes.length - 1) kept = scope.keep(block);
        else if (i % 3 === 1) pool.free(block);
      }
      if (throws) throw new Thrown();
    };
    try {
      if (isAsync) {
        await pool.scope(async (scope) => {
          await turn();
          work(scope);
        });
      } else {
        pool.scope(work);
      }
    } catch (error) {
      if (!(error instanceof Thrown)) throw error;
    }
    if (kept !== undefined) this.#keep(id, kept);
    return kept !== undefined;
  }
}
