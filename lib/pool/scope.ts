import type { AsyncLocalStorage } from 'node:async_hooks';
import type { PoolBlock } from './block.ts';
import type { Pool } from './pool.ts';

/** Of blocks that a scope is to free. */
const scopeOf = new WeakMap<PoolBlock, Scope>();

/** What runs in {@link Pool.scope}: the blocks to free at its end. */
export class Scope {
  readonly #pool: Pool;
  readonly #free: (block: PoolBlock) => void;
  readonly #outer: Scope | undefined;
  readonly #blocks = new Set<PoolBlock>();
  #ended = false;

  /** @internal */
  constructor(pool: Pool, free: (block: PoolBlock) => void, outer: Scope | undefined) {
    this.#pool = pool;
    this.#free = free;
    this.#outer = outer;
    // So that it can be taken out of the scope: `pool.scope(({ keep }) => …)`.
    this.keep = this.keep.bind(this);
  }

  /**
   * Leaves a block allocated at the end of the scope.
   * @returns the block
   * @example
   * const pool = createPool();
   * const block = pool.scope((scope) => scope.keep(pool.alloc(10)));
   * pool.free(block);
   * pool.destroy();
   */
  keep<T extends PoolBlock>(block: T): T {
    this.#blocks.delete(block);
    return block;
  }

  /** @internal The innermost scope of this pool that has not ended takes the block. */
  add(pool: Pool, block: PoolBlock): void {
    if (pool !== this.#pool || this.#ended) {
      this.#outer?.add(pool, block);
      return;
    }
    this.#blocks.add(block);
    scopeOf.set(block, this);
  }

  /** @internal A block that has come to its end is nothing to a scope, which may go on for long. */
  static forget(block: PoolBlock): void {
    const scope = scopeOf.get(block);
    if (scope !== undefined) scope.#blocks.delete(block);
  }

  /** @internal A resized block stays in the scope in which it was allocated. */
  static replace(old: PoolBlock, block: PoolBlock): void {
    const scope = scopeOf.get(old);
    if (scope === undefined || !scope.#blocks.delete(old)) return;
    scope.add(scope.#pool, block);
  }

  /** @internal */
  run<T>(current: AsyncLocalStorage<Scope>, fn: (scope: Scope) => T, done: () => void): T {
    const end = () => {
      done();
      this.#end();
    };
    let result: T;
    let isPromise: boolean;
    try {
      result = current.run(this, fn, this);
      isPromise = typeof (result as { then?: unknown } | undefined)?.then === 'function';
    } catch (error) {
      end();
      throw error;
    }
    // One of our own: the program's may have a `finally` of its own, or none.
    if (isPromise) return new Promise((resolve) => resolve(result)).finally(end) as T;
    end();
    return result;
  }

  #end(): void {
    this.#ended = true;
    for (const block of this.#blocks) this.#free(block);
    this.#blocks.clear();
  }
}
