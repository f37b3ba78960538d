import type { AsyncLocalStorage } from 'node:async_hooks';
import { MOVED, placeOf } from './block.ts';
import type { Pool, PoolBlock } from './pool.ts';

/** What runs in {@link Pool.scope}: the blocks to free at its end. */
export class Scope {
  readonly #pool: Pool;
  readonly #blocks = new Set<PoolBlock>();

  /** @internal */
  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /**
   * Leaves a block allocated at the end of the scope.
   * @returns the block
   */
  keep<T extends PoolBlock>(block: T): T {
    this.#blocks.delete(block);
    return block;
  }

  /** @internal */
  add(pool: Pool, block: PoolBlock): void {
    if (pool === this.#pool) this.#blocks.add(block);
  }

  /** @internal */
  run<T>(current: AsyncLocalStorage<Scope>, fn: (scope: Scope) => T, end: () => void): T {
    let result: T;
    try {
      result = current.run(this, fn, this);
    } catch (error) {
      end();
      throw error;
    }
    if (result instanceof Promise) return result.finally(end) as T;
    end();
    return result;
  }

  /** @internal */
  end(): void {
    for (const block of this.#blocks) if (placeOf(block) > MOVED && placeOf(block) >= 0) this.#pool.free(block);
    this.#blocks.clear();
  }
}
