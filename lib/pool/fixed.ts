import { BuddyMallocError } from '../binding.ts';
import { wrongType } from '../options.ts';
import {
  bufferBlock,
  FREED,
  homeOfBuffer,
  idlePlace,
  type PoolBuffer,
  placeOfBuffer,
  setPlaceOfBuffer,
} from './block.ts';
import type { Home } from './home.ts';
import { Inside } from './inside.ts';
import type { Pool } from './pool.ts';

/**
 * A recycler of blocks of one size, made by {@link Pool.fixed}, in one thread. Its idle blocks count as used; they go back to
 * the pool by {@link Fixed.trim}, when another request of this thread finds no room, when one of any thread waits for some, and when
 * the recycler is garbage.
 *
 * The Buffer that is released is the very one that is acquired next: who keeps it can still write to it, at every guard level.
 */
export class Fixed {
  /** Bytes of each block. */
  readonly size: number;
  readonly #pool: Pool;
  readonly #inside: Inside;
  readonly #stock: Int32Array;
  readonly #idle: PoolBuffer[] = [];
  #home: Home;
  #word: number;

  /** @internal */
  constructor(pool: Pool, size: number, inside: Inside) {
    if (!Inside.isOne(inside)) throw wrongType('a recycler is made by pool.fixed()');
    this.size = size;
    this.#pool = pool;
    this.#inside = inside;
    this.#stock = inside.quick.stock;
    inside.look();
    this.#word = inside.quick.word;
    this.#home = inside.homes.ofRecycler();
    inside.addRecycler(this, this.#idle);
  }

  /** Blocks that wait to be acquired. */
  get idle(): number {
    this.#look();
    return this.#idle.length;
  }

  /**
   * Takes a block out, a new one if none is idle.
   * @returns a Buffer with the contents that it was released with
   * @throws the errors of {@link Pool.alloc}
   * @example
   * const pool = createPool();
   * const frames = pool.fixed(4096);
   * frames.acquire().length; // 4096
   * pool.destroy();
   */
  acquire(): PoolBuffer {
    if (this.#stock[0] !== this.#word) this.#look();
    const block = this.#idle.pop();
    if (block === undefined) return this.#make();
    setPlaceOfBuffer(block, idlePlace(placeOfBuffer(block)));
    return block;
  }

  /**
   * Puts a block back.
   * @throws BuddyMallocError `ERR_DOUBLE_FREE` if it was released before, or the pool was reset since; `ERR_FOREIGN_BUFFER` if
   * it is not of this recycler; `ERR_BLOCK_MOVED` if it was handed over or shared
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * const frames = pool.fixed(4096);
   * frames.release(frames.acquire());
   * frames.idle; // 1
   * pool.destroy();
   */
  release(block: PoolBuffer): void {
    const home = typeof block === 'object' && block !== null ? homeOfBuffer(block) : undefined;
    const isAwaited = this.#stock[0] !== this.#word && this.#look();
    if (home !== this.#home) this.#refuse(home);
    const place = placeOfBuffer(block);
    if (place < 0) {
      const isGone = place <= idlePlace(0) || place === FREED;
      throw isGone
        ? new BuddyMallocError('ERR_DOUBLE_FREE', 'the block was released or freed before')
        : new BuddyMallocError('ERR_BLOCK_MOVED', 'the block was handed over or shared before');
    }
    if (isAwaited) {
      this.#pool.free(block);
      return;
    }
    setPlaceOfBuffer(block, idlePlace(place));
    this.#idle.push(block);
  }

  /**
   * Frees the idle blocks.
   * @returns how many
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * const frames = pool.fixed(4096);
   * frames.release(frames.acquire());
   * frames.trim(); // 1
   * pool.destroy();
   */
  trim(): number {
    this.#look();
    return this.#inside.giveUp(this.#idle);
  }

  #make(): PoolBuffer {
    const place = this.#inside.takeOrThrow(this.size, 0);
    this.#inside.prepare(place, this.size);
    const { memory, offset } = this.#inside.open(place, this.size, this.#home);
    return bufferBlock(memory, offset, this.size, this.#home, place);
  }

  #refuse(home: Home | undefined): never {
    if (home?.pool === this.#pool && home.era.stale) {
      throw new BuddyMallocError('ERR_DOUBLE_FREE', 'the pool was reset since');
    }
    throw new BuddyMallocError('ERR_FOREIGN_BUFFER', 'the buffer is not a block of this recycler');
  }

  /** Takes notice of what has happened to the pool; true if others wait for room. */
  #look(): boolean {
    const inside = this.#inside;
    inside.look();
    if (inside.quick.word !== this.#word) {
      // Everything was freed at once.
      this.#word = inside.quick.word;
      this.#home = inside.homes.ofRecycler();
      this.#idle.length = 0;
    }
    return inside.isAwaited;
  }
}
