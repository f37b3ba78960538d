import type { AsyncLocalStorage } from 'node:async_hooks';
import type { PoolBlock } from './block.ts';
import type { Pool } from './pool.ts';

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
    if (pool === this.#pool && !this.#ended) this.#blocks.add(block);
    else this.#outer?.add(pool, block);
  }

  /** @internal A resized block stays in the scope in which it was allocated. */
  replace(old: PoolBlock, block: PoolBlock): void {
    if (this.#blocks.delete(old)) this.#blocks.add(block);
    else this.#outer?.replace(old, block);
  }

  /** @internal */
  run<T>(current: AsyncLocalStorage<Scope>, fn: (scope: Scope) => T, done: () => void): T {
    const end = () => {
      done();
      this.#end();
    };
    let result: T;
    try {
      result = current.run(this, fn, this);
    } catch (error) {
      end();
      throw error;
    }
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') {
      return Promise.resolve(result).finally(end) as T;
    }
    end();
    return result;
  }

  #end(): void {
    this.#ended = true;
    for (const block of this.#blocks) this.#free(block);
    this.#blocks.clear();
  }
}
