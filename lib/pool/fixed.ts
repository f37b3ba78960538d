import { BuddyMallocError } from '../binding.ts';
import { homeOfBuffer, type PoolBuffer, placeOfBuffer, setPlaceOfBuffer } from './block.ts';
import { Home } from './home.ts';
import type { Pool } from './pool.ts';

/** A recycler of blocks of one size, made by {@link Pool.fixed}. */
export class Fixed {
  /** Bytes of each block. */
  readonly size: number;
  readonly #home: Home;
  readonly #idle: PoolBuffer[] = [];
  readonly #make: (home: Home) => PoolBuffer;

  /** @internal */
  constructor(pool: Pool, size: number, make: (home: Home) => PoolBuffer) {
    this.size = size;
    this.#make = make;
    this.#home = new Home(pool, -1, 1, 0);
    this.#home.fixed = this;
  }

  /**
   * Takes a block out, a new one if none is idle.
   * @returns a Buffer with the contents that it was released with
   * @throws the errors of {@link Pool.alloc}
   */
  acquire(): PoolBuffer {
    const block = this.#idle.pop();
    if (block === undefined) return this.#make(this.#home);
    setPlaceOfBuffer(block, -placeOfBuffer(block) - 16);
    return block;
  }

  /**
   * Puts a block back.
   * @throws BuddyMallocError `ERR_DOUBLE_FREE` if it was released before, `ERR_FOREIGN_BUFFER` if it is not of this recycler
   */
  release(block: PoolBuffer): void {
    if (homeOfBuffer(block) !== this.#home) {
      throw new BuddyMallocError('ERR_FOREIGN_BUFFER', 'the buffer is not a block of this recycler');
    }
    const place = placeOfBuffer(block);
    if (place < 0) throw new BuddyMallocError('ERR_DOUBLE_FREE', 'the block was released or freed before');
    setPlaceOfBuffer(block, -place - 16);
    this.#idle.push(block);
  }
}
