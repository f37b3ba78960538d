import { Buffer } from 'node:buffer';
import { BuddyMallocError, type PoolBinding } from '../binding.ts';
import { disposeBy } from './dispose.ts';
import { fail } from './status.ts';

/**
 * A block that several threads see at once, made by {@link Pool.share} and {@link Pool.openShared}.
 *
 * Where Node can make one (22.23, 24.16, 26.1 and newer), `buffer` is a SharedArrayBuffer: Atomics work on it, `Atomics.wait`
 * and `notify` included, and postMessage carries it to further threads as it is. The block is freed when the garbage collectors
 * of all threads have found the last of them.
 *
 * Elsewhere, or if `plain` was asked for, every thread has an ArrayBuffer of its own over the same memory. JavaScript takes
 * such a one to be its own: it may see writes of other threads late or in another order, or not at all within one function.
 * So let one thread at a time use it, and pass it on with a message, which orders everything before it; Atomics on it work
 * on the memory, but `Atomics.wait` throws. The block is freed when the last thread has released it.
 */
export class SharedBlock {
  /** Opens the block in other threads, any number of times; a number to send with postMessage. */
  readonly handle: number;
  /** Bytes of it. */
  readonly length: number;
  /** Whether `buffer` is a SharedArrayBuffer. */
  readonly isAtomic: boolean;
  /** Releases it unless that was done. */
  declare readonly [Symbol.dispose]: () => void;
  readonly #native: PoolBinding;
  readonly #user: number;
  #buffer: SharedArrayBuffer | ArrayBuffer | undefined;

  /** @internal */
  constructor(binding: PoolBinding, handle: number, plain: boolean, second: () => number) {
    const buffer = binding.useShared(handle, plain);
    if (typeof buffer === 'number') fail(buffer);
    this.handle = handle;
    this.length = buffer.byteLength;
    this.isAtomic = buffer instanceof SharedArrayBuffer;
    this.#native = binding;
    this.#user = second();
    this.#buffer = buffer;
  }

  /**
   * The memory.
   * @throws BuddyMallocError `ERR_USE_AFTER_FREE` if it was released
   */
  get buffer(): SharedArrayBuffer | ArrayBuffer {
    if (this.#buffer !== undefined) return this.#buffer;
    throw new BuddyMallocError('ERR_USE_AFTER_FREE', 'the shared block was released');
  }

  /** Whether this thread is done with it. */
  get isReleased(): boolean {
    return this.#buffer === undefined;
  }

  /**
   * A Buffer over it.
   * @throws BuddyMallocError `ERR_USE_AFTER_FREE` if it was released
   */
  get bytes(): Buffer {
    return Buffer.from(this.buffer);
  }

  /**
   * This thread is done with it. An ArrayBuffer is detached at once; a SharedArrayBuffer cannot be, and is only let go of. What
   * is never released is let go of when the garbage collector finds it, or the thread ends.
   * @throws BuddyMallocError `ERR_DOUBLE_FREE` if it was released before
   * @example
   * const pool = createPool();
   * const shared = pool.share(pool.alloc(64), { plain: true });
   * shared.release();
   * pool.stats().shared; // 0
   * pool.destroy();
   */
  release(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) throw new BuddyMallocError('ERR_DOUBLE_FREE', 'the shared block was released before');
    this.#buffer = undefined;
    if (this.isAtomic) return;
    this.#native.releaseShared(this.#user, buffer as ArrayBuffer);
  }
}

disposeBy(SharedBlock.prototype, (shared) => {
  if (!shared.isReleased) shared.release();
});
