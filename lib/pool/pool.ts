import { AsyncLocalStorage } from 'node:async_hooks';
import type { PoolBinding } from '../binding.ts';
import { isAborted, reasonOf, requireObject, wrongType } from '../options.ts';
import {
  bufferBlock,
  extentOf,
  FREED,
  homeOfBuffer,
  type PoolBlock,
  type PoolBuffer,
  placeOfBuffer,
  setPlaceOfBuffer,
  stampBlock,
} from './block.ts';
import { disposeBy } from './dispose.ts';
import { leaksOf, mapOf, statsOf } from './figures.ts';
import { Fixed } from './fixed.ts';
import { adoptBlock, handOverBlock, openSharedBlock, sendBlock, shareBlock } from './handover.ts';
import type { Home } from './home.ts';
import { Inbox, type InboxListener } from './inbox.ts';
import { bytesOf, Inside } from './inside.ts';
import { MAX_BLOCK, type PoolConfig } from './options.ts';
import type { Quick } from './quick.ts';
import type { Leak, PoolMap, PoolStats } from './report.ts';
import { Scope } from './scope.ts';
import type { SharedBlock } from './share.ts';
import { type Size, toAlignment, toBytes } from './sizes.ts';
import { fail, STATUS } from './status.ts';
import { HEAD_BUSY, STOCKED_SIZE } from './stock.ts';
import { type TypedArrayConstructor, typedBlock } from './typed.ts';
import type { Waiters } from './waiters.ts';

/** The scope that the running code is in. */
const current = new AsyncLocalStorage<Scope>();

/** A pool of native memory, opened by {@link createPool} or {@link openPool}. */
export class Pool {
  /** The name under which other threads find it; empty if it has none. */
  readonly name: string;
  /** Its options, with nothing left out. */
  readonly options: Readonly<PoolConfig>;

  /** Destroys it. */
  declare readonly [Symbol.dispose]: () => void;
  readonly #inside: Inside;
  readonly #quick: Quick;

  /** @internal */
  constructor(name: string, binding: PoolBinding, waiters: Waiters) {
    this.name = name;
    this.#inside = new Inside(this, binding, waiters, current);
    this.options = this.#inside.options;
    this.#quick = this.#inside.quick;
  }

  // ---- Allocating ----------------------------------------------------------------------------------------------------

  /**
   * Allocates a block.
   * @param size - bytes, from 0 to {@link MAX_SIZE}, or text such as `'64 KiB'`
   * @returns a Buffer of exactly that many bytes over the pool's memory, its contents uninitialised
   * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if `size` is no size
   * @throws RangeError `ERR_OUT_OF_RANGE` if it is outside that interval
   * @throws BuddyMallocError `ERR_POOL_FULL` if the limit leaves no room
   * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if the system has no memory for it
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool({ limit: '64 MiB' });
   * const block = pool.alloc('64 KiB');
   * block.length; // 65536
   * pool.free(block);
   * pool.destroy();
   */
  alloc(size: Size): PoolBuffer {
    const quick = this.#quick;
    if (quick.isOpen && typeof size === 'number' && size >>> 0 === size && size <= STOCKED_SIZE) {
      // As in pop() of stock.ts, which costs a call.
      const home = quick.homes[quick.classOf[(size + 63) >>> 6] as number] as Home;
      const stock = quick.stock;
      stock[HEAD_BUSY] = 1;
      const count = stock[home.base] as number;
      if (stock[0] === quick.word && count > 0) {
        const place = stock[home.base + count] as number;
        stock[home.base] = count - 1;
        stock[HEAD_BUSY] = 0;
        const memory = quick.regions[place >>> quick.unitBits];
        // It is detached if the program has done so.
        if (memory !== undefined && memory.byteLength > 0) {
          return bufferBlock(memory, (place & quick.unitMask) * 64, size, home, place);
        }
        return this.#inside.view(place, size);
      }
      stock[HEAD_BUSY] = 0;
    }
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    return this.#inside.keep(this.#inside.view(this.#inside.takeOrThrow(bytes, 0), bytes));
  }

  /**
   * Allocates a zeroed block. Parameters and errors are those of {@link Pool.alloc}.
   * @example
   * const pool = createPool();
   * const block = pool.allocZeroed(100);
   * block.every((byte) => byte === 0); // true
   * pool.destroy();
   */
  allocZeroed(size: Size): PoolBuffer {
    const inside = this.#inside;
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const place = inside.takeOrThrow(bytes, 0);
    inside.native.zero(place, bytes);
    return inside.keep(inside.view(place, bytes));
  }

  /**
   * Allocates a block whose address is a multiple of `alignment`, for O_DIRECT or SIMD.
   * @param size - as for {@link Pool.alloc}
   * @param alignment - bytes, a power of two up to 1 GiB
   * @throws RangeError `ERR_OUT_OF_RANGE` if `alignment` is no power of two
   * @throws BuddyMallocError `ERR_NATIVE_FORBIDDEN` if this runtime forbids ArrayBuffers over native memory
   * @throws the errors of {@link Pool.alloc}
   * @example
   * const pool = createPool();
   * const page = pool.allocAligned(512, 4096);
   * pool.free(page);
   * pool.destroy();
   */
  allocAligned(size: Size, alignment: number): PoolBuffer {
    const inside = this.#inside;
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const align = toAlignment(alignment, 2 ** 30);
    inside.requireNative();
    return inside.keep(inside.view(inside.takeOrThrow(bytes, align), bytes));
  }

  /**
   * Allocates a block if there is room.
   * @returns the block, or null where {@link Pool.alloc} would throw `ERR_POOL_FULL`
   * @throws the other errors of {@link Pool.alloc}
   * @example
   * const pool = createPool({ limit: '64 KiB' });
   * const block = pool.tryAlloc('64 KiB');
   * pool.tryAlloc(1) === null; // true
   * pool.destroy();
   */
  tryAlloc(size: Size): PoolBuffer | null {
    const inside = this.#inside;
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const place = inside.take(bytes, 0);
    if (place === STATUS.FULL) return null;
    if (place < 0) fail(place, bytes);
    return inside.keep(inside.view(place, bytes));
  }

  /**
   * Allocates a block as soon as there is room. Requests are served in the order in which they were made, by any thread; a
   * stream that awaits its blocks is so held back until its consumer has freed some.
   * @param size - as for {@link Pool.alloc}
   * @param options - `signal` ends the waiting
   * @returns the block
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `signal` is no AbortSignal
   * @throws the errors of {@link Pool.alloc}, `ERR_POOL_FULL` only if the limit is smaller than the block; the signal's
   * reason if it was aborted
   * @example
   * const pool = createPool({ limit: '64 KiB' });
   * const first = pool.alloc('64 KiB');
   * const second = pool.allocAsync('64 KiB');
   * pool.free(first);
   * pool.free(await second);
   * pool.destroy();
   */
  async allocAsync(size: Size, options: { signal?: AbortSignal } = {}): Promise<PoolBuffer> {
    const inside = this.#inside;
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    requireObject(options);
    const { signal } = options;
    if (signal !== undefined && isAborted(signal)) throw reasonOf(signal);
    inside.look();
    if (!inside.isAwaited && inside.waiters.areNone) {
      const place = inside.take(bytes, 0);
      if (place >= 0) return inside.keep(inside.view(place, bytes));
    }
    const status = inside.waiters.begin(bytes, signal);
    if (typeof status === 'number') fail(status, bytes);
    const block = await status;
    return inside.keep(block);
  }

  /**
   * Allocates a typed array.
   * @param Class - its class, such as Float64Array
   * @param length - how many elements
   * @returns a typed array of that class and length over the pool's memory, its contents uninitialised; {@link Pool.free}
   * takes it, `using` does not
   * @throws the errors of {@link Pool.alloc}
   * @example
   * const pool = createPool();
   * const numbers = pool.typed(Float64Array, 1000);
   * pool.free(numbers);
   * pool.destroy();
   */
  typed<T extends NodeJS.ArrayBufferView<ArrayBuffer>>(Class: TypedArrayConstructor<T>, length: number): T {
    return typedBlock(this.#inside, Class, length);
  }

  /**
   * Allocates a block with an ArrayBuffer of its own, which {@link Pool.free} detaches: no view of it outlives the block. If
   * it is forgotten, it is freed when the garbage collector finds it.
   * @returns an ArrayBuffer of exactly `size` bytes, its contents uninitialised
   * @throws the errors of {@link Pool.alloc}
   * @example
   * const pool = createPool();
   * const block = pool.allocArrayBuffer(4096);
   * pool.free(block);
   * block.byteLength; // 0
   * pool.destroy();
   */
  allocArrayBuffer(size: Size): ArrayBuffer {
    const inside = this.#inside;
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const place = inside.takeOrThrow(bytes, 0);
    inside.prepare(place, bytes);
    return inside.keep(stampBlock(inside.memory.own(place, bytes), inside.homes.ownOf(bytes, place), place));
  }

  /**
   * Resizes a block, in place where the pool can. The old Buffer is no block any more, and the contents are in the new one,
   * up to the smaller of the two sizes. If it throws, the old block is as it was.
   * @param block - what an allocating function of this pool returned
   * @returns the block in its new size, as a Buffer
   * @throws BuddyMallocError `ERR_USE_AFTER_FREE` if the block was freed or resized before, `ERR_BLOCK_MOVED` if it was
   * handed over or shared, `ERR_FOREIGN_BUFFER` if it is not a block of this pool and thread
   * @throws the errors of {@link Pool.alloc}
   * @example
   * const pool = createPool();
   * let block = pool.alloc(100);
   * block = pool.realloc(block, 1000);
   * pool.free(block);
   * pool.destroy();
   */
  realloc(block: PoolBlock, size: Size): PoolBuffer {
    const inside = this.#inside;
    const place = inside.placeOf(block, 'ERR_USE_AFTER_FREE');
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    inside.requireMemory(block);
    let resized: PoolBuffer;
    if (inside.resize(block, place, bytes)) {
      resized = inside.view(place, bytes, extentOf(block).bytes);
      inside.replace(block, resized);
    } else {
      resized = inside.view(inside.takeOrThrow(bytes, 0), bytes);
      try {
        resized.set(bytesOf(block).subarray(0, bytes));
        inside.replace(block, resized);
        inside.free(block, 'ERR_USE_AFTER_FREE');
      } catch (error) {
        // Everything was freed meanwhile, the block with it.
        inside.freeIfLive(resized);
        throw error;
      }
    }
    return resized;
  }

  /**
   * Frees a block.
   * @param block - what an allocating function of this pool returned, in this thread, or {@link Pool.adopt}
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if it is no object
   * @throws BuddyMallocError `ERR_DOUBLE_FREE` if the block was freed or resized before, `ERR_BLOCK_MOVED` if it was handed
   * over or shared, `ERR_FOREIGN_BUFFER` if it is not a block of this pool and thread, such as a slice or a copy of one
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * pool.free(pool.alloc(100));
   * pool.destroy();
   */
  free(block: PoolBlock): void {
    const quick = this.#quick;
    if (quick.isOpen && typeof block === 'object' && block !== null) {
      const home = homeOfBuffer(block);
      if (home !== undefined && home.pool === this) {
        // As in push() of stock.ts, which costs a call.
        const place = placeOfBuffer(block);
        const stock = quick.stock;
        stock[HEAD_BUSY] = 1;
        const count = stock[home.base] as number;
        if (place >= 0 && !home.stale && stock[0] === quick.word && count < home.capacity) {
          // Marked first: a call may throw where the stack has no room, and the block must not be free and a block at once.
          if (quick.marks) setPlaceOfBuffer(block, FREED);
          stock[home.base + count + 1] = place;
          stock[home.base] = count + 1;
          stock[HEAD_BUSY] = 0;
          return;
        }
        stock[HEAD_BUSY] = 0;
      }
    }
    this.#inside.free(block);
  }

  // ---- Everything at once --------------------------------------------------------------------------------------------

  /**
   * Runs `fn` and frees what it, and whatever it calls or awaits, allocated from this pool in this thread and has not freed;
   * blocks given to `keep` stay, and so do those of a recycler. The body of a generator runs after the scope.
   * @param fn - a function, also an async one; it gets the scope
   * @returns what `fn` returns
   * @throws what `fn` throws, after freeing
   * @example
   * const pool = createPool();
   * const sum = pool.scope(() => pool.allocZeroed(10).reduce((a, b) => a + b, 0));
   * pool.stats().usedBlocks; // 0
   * pool.destroy();
   */
  scope<T>(fn: (scope: Scope) => T): T {
    if (typeof fn !== 'function') throw wrongType('fn must be a function');
    const inside = this.#inside;
    const scope = new Scope(this, (block) => inside.freeIfLive(block), current.getStore());
    inside.countScope(1);
    return scope.run(current, fn, () => inside.countScope(-1));
  }

  /**
   * Makes a recycler of blocks of one size, for the shortest way of all: it keeps the Buffers themselves.
   * @param size - as for {@link Pool.alloc}
   * @example
   * const pool = createPool();
   * const frames = pool.fixed('4 KiB');
   * const frame = frames.acquire();
   * frames.release(frame);
   * pool.destroy();
   */
  fixed(size: Size): Fixed {
    return new Fixed(this, toBytes(size, 'size', MAX_BLOCK), this.#inside);
  }

  /**
   * Frees every block of the pool, in every thread, those on their way to another included. Their Buffers are stale: to use
   * one as a block is an error.
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * pool.alloc(100);
   * pool.reset();
   * pool.stats().usedBlocks; // 0
   * pool.destroy();
   */
  reset(): void {
    this.#inside.look();
    this.#inside.native.reset();
    this.#inside.look();
  }

  /**
   * Gives free memory back to the system now: this thread's stock, the pages of free blocks, and whole regions.
   * @returns bytes given back
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * pool.free(pool.alloc('1 MiB').fill(1));
   * pool.trim() >= 2 ** 20; // true
   * pool.destroy();
   */
  trim(): number {
    this.#inside.look();
    const bytes = this.#inside.native.trim();
    this.#inside.memory.closeIdle();
    return bytes;
  }

  /**
   * Frees everything for good. In this thread every view of the pool's memory reads length 0 from here on; in other threads
   * they read zeros until that thread's event loop turns, and 0 bytes from then on; so do shared blocks and ArrayBuffers of a
   * block's own until the garbage collector finds them. Every function throws `ERR_POOL_DESTROYED`. To destroy a pool twice is
   * no error.
   * @example
   * const pool = createPool();
   * const block = pool.alloc(100);
   * pool.destroy();
   * block.length; // 0
   */
  destroy(): void {
    this.#inside.native.destroy();
    this.#inside.sync();
  }

  /** Whether the pool was destroyed, by any thread. */
  get isDestroyed(): boolean {
    return this.#inside.isDestroyed;
  }

  // ---- Looking -------------------------------------------------------------------------------------------------------

  /**
   * The pool's figures, of all threads.
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool({ limit: '1 MiB' });
   * pool.stats().limit; // 1048576
   * pool.destroy();
   */
  stats(): PoolStats {
    this.#inside.look();
    return statsOf(this.#inside);
  }

  /**
   * The pool's regions, and the blocks in each in the order of their addresses: what a picture needs.
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * const block = pool.alloc(1000);
   * pool.map().regions[0].blocks.filter(({ state }) => state === 'used').length; // 1
   * pool.destroy();
   */
  map(): PoolMap {
    this.#inside.look();
    return mapOf(this.#inside);
  }

  /**
   * The blocks that are allocated now, those that were forgotten among them.
   * @returns for each its size and whose it is; with the option `trace` also where this thread allocated it
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * pool.alloc(1000);
   * pool.leaks().length; // 1
   * pool.destroy();
   */
  leaks(): Leak[] {
    this.#inside.look();
    return leaksOf(this.#inside);
  }

  /**
   * Verifies the pool's invariants, for tests: while no other thread uses it.
   * @returns the number of violations, each of which is printed on standard error
   * @example
   * const pool = createPool();
   * pool.check(); // 0
   * pool.destroy();
   */
  check(): number {
    return this.#inside.native.check();
  }

  // ---- Handover ------------------------------------------------------------------------------------------------------

  /**
   * Takes a block out of this thread, so that another can {@link Pool.adopt} it: no byte is copied. The Buffer here is no
   * block any more. If nobody adopts it, it stays allocated until the pool is reset or destroyed, and {@link Pool.leaks} shows
   * it; the thread that has the handle can always adopt it itself.
   * @returns the block's handle, a number to send with postMessage; it works once
   * @throws BuddyMallocError `ERR_USE_AFTER_FREE` if the block was freed or resized before, `ERR_BLOCK_MOVED` if it was
   * handed over or shared before, `ERR_FOREIGN_BUFFER` if it is not a block of this pool and thread
   * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if two million blocks wait to be adopted already
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * const handle = pool.handle(pool.alloc(100)); // send it to another thread
   * pool.free(pool.adopt(handle)); // as a rule there
   * pool.destroy();
   */
  handle(block: PoolBlock): number {
    return handOverBlock(this.#inside, block);
  }

  /**
   * Takes in a block that another thread, or this one, has handed over.
   * @param handle - what {@link Pool.handle} returned
   * @returns a Buffer over the same memory, of the length that the block had there
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `handle` is not a number
   * @throws BuddyMallocError `ERR_STALE_HANDLE` if the block was adopted already, or there never was one
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * const block = pool.adopt(pool.handle(pool.alloc(100)));
   * block.length; // 100
   * pool.destroy();
   */
  adopt(handle: number): PoolBuffer {
    return adoptBlock(this.#inside, handle);
  }

  /**
   * Opens an inbox of this thread: other threads send blocks to its address by {@link Pool.send}, and each is given to `listener` in a
   * turn of the event loop. With a message for each block, most of the time goes into the messages; a thread that is busy with
   * the block before hears of the next one without any.
   * @param listener - gets each block, in the order in which one thread has sent them, and the number that was sent with it. The block is
   * this thread's: to be freed, handed over or sent on. What the listener throws is an uncaught exception.
   * @returns the inbox
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `listener` is no function
   * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if the system has no memory for it
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * const sent = await new Promise((resolve) => {
   *   const inbox = pool.receive((block, note) => {
   *     pool.free(block);
   *     inbox.close();
   *     resolve(note);
   *   });
   *   pool.send(pool.alloc(100), inbox.address, 7); // as a rule in another thread, which knows the address from a message
   * });
   * sent; // 7
   * pool.destroy();
   */
  receive(listener: InboxListener): Inbox {
    return new Inbox(this.#inside, listener);
  }

  /**
   * Sends a block to an inbox, as a rule of another thread: no byte is copied. The Buffer here is no block any more; the block is the
   * other thread's from here on, and is freed with all of its blocks if it ends.
   * @param block - what an allocating function of this pool returned
   * @param address - the `address` of an {@link Inbox}
   * @param note - a number that the listener gets with it, default 0
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `address` or `note` is not a number
   * @throws BuddyMallocError `ERR_STALE_HANDLE` if there is no such inbox, or none any more; the block is then still the caller's
   * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if 16 million blocks wait in the inbox already
   * @throws the other errors of {@link Pool.handle}
   * @example
   * const pool = createPool();
   * const inbox = pool.receive((block, note) => pool.free(block.fill(note)));
   * pool.send(pool.alloc(100), inbox.address, 7);
   * inbox.close();
   * pool.destroy();
   */
  send(block: PoolBlock, address: number, note = 0): void {
    sendBlock(this.#inside, block, address, note);
  }

  /**
   * Shares a block: several threads see it at once, and it is freed when the last of them is done with it. The Buffer here is
   * no block any more. {@link SharedBlock} says what to mind.
   * @param block - what an allocating function of this pool returned
   * @param options - `plain`: an ArrayBuffer in each thread, also where Node can make a SharedArrayBuffer
   * @throws BuddyMallocError `ERR_NATIVE_FORBIDDEN` if this runtime forbids ArrayBuffers over native memory
   * @throws the errors of {@link Pool.handle}
   * @example
   * const pool = createPool();
   * const shared = pool.share(pool.alloc(64).fill(1));
   * const again = pool.openShared(shared.handle); // as a rule in another thread
   * again.bytes[0]; // 1
   * again.release();
   * shared.release();
   * pool.destroy();
   */
  share(block: PoolBlock, options: { plain?: boolean } = {}): SharedBlock {
    return shareBlock(this.#inside, block, options);
  }

  /**
   * Opens a shared block.
   * @param handle - the `handle` of a {@link SharedBlock} that some thread has not released yet
   * @param options - as for {@link Pool.share}
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `handle` is not a number
   * @throws BuddyMallocError `ERR_STALE_HANDLE` if everybody has released it, or there never was one
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * const shared = pool.share(pool.alloc(64));
   * pool.openShared(shared.handle).length; // 64
   * pool.destroy();
   */
  openShared(handle: number, options: { plain?: boolean } = {}): SharedBlock {
    return openSharedBlock(this.#inside, handle, options);
  }

  /**
   * Frees blocks that were handed over and that nobody has adopted for some time, since their receiver has died. Their handles
   * are stale.
   * @param age - milliseconds since they were handed over, at least; default 0, which is all of them
   * @returns how many
   * @throws TypeError `ERR_INVALID_ARG_TYPE` if `age` is not a number, RangeError `ERR_OUT_OF_RANGE` if it is no integer from 0
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * pool.handle(pool.alloc(100)); // and the receiver dies
   * pool.reclaim() === 1; // true
   * pool.destroy();
   */
  reclaim(age = 0): number {
    if (typeof age !== 'number') throw wrongType('age must be a number');
    const ms = toBytes(age, 'age', 2 ** 31);
    this.#inside.look();
    return this.#inside.native.reclaim(ms);
  }
}

disposeBy(Pool.prototype, (pool) => pool.destroy());
