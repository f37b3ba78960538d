import { AsyncLocalStorage } from 'node:async_hooks';
import { BuddyMallocError, native, type PoolBinding } from '../binding.ts';
import { codedError } from '../errors.ts';
import {
  bufferBlock,
  byteLengthOf,
  extentOf,
  FREED,
  homeOf,
  homeOfBuffer,
  MOVED,
  type PoolBuffer,
  placeOf,
  placeOfBuffer,
  SHARED,
  setPlace,
  setPlaceOfBuffer,
  stampBlock,
} from './block.ts';
import { Fixed } from './fixed.ts';
import { Home } from './home.ts';
import { Memory } from './memory.ts';
import { compareConfig, MAX_BLOCK, type PoolConfig, type PoolOptions, toConfig } from './options.ts';
import type { Quick } from './quick.ts';
import type { Leak, PoolMap, PoolStats, ThreadOf } from './report.ts';
import { Scope } from './scope.ts';
import { SharedBlock } from './share.ts';
import { type Size, toAlignment, toBytes } from './sizes.ts';
import { fail, STATUS } from './status.ts';
import { Waiters } from './waiters.ts';

/** Bits of the word that tells a thread what has happened (csrc/pool.h). */
const WORD_DEAD = 1;
const WORD_AWAITED = 2;
const WORD_EPOCH = 8;

/** As in csrc/pool.h. */
const STOCK_HEAD = 16;
const STOCK_STRIDE = 64;
const STOCK_MOST = 62;
/** The word that is 1 while the stock must not be taken away by another thread. */
const HEAD_BUSY = 1;
const STOCKED_SIZE = 2 ** 20;
/** Bytes that a thread's stock of one size may hold, and the part of the limit that it may. */
const STOCK_BYTES = 2 ** 21;
const STOCK_SHARE = 128;

const POISON = 0xdb;

/** A constructor of typed arrays. */
export interface TypedArrayConstructor<T extends object> {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
  /** Bytes of each element. */
  readonly BYTES_PER_ELEMENT: number;
}

/** What the functions of a pool take for a block: what one of its allocating functions has returned. */
export type PoolBlock = PoolBuffer | ArrayBuffer | NodeJS.ArrayBufferView<ArrayBuffer>;

/** A pool of native memory, opened by {@link createPool} or {@link openPool}. */
export class Pool {
  /** The name under which other threads find it; empty if it has none. */
  readonly name: string;
  /** Its options, with nothing left out. */
  readonly options: Readonly<PoolConfig>;

  readonly #native: PoolBinding;
  readonly #memory: Memory;
  readonly #quick: Quick;
  readonly #waiters: Waiters;
  readonly #traces: Map<number, string> | undefined;
  readonly #plain: boolean;
  #large: Home;
  #own: Home;
  #scopes = 0;

  /** @internal */
  constructor(name: string, binding: PoolBinding, waiters: Waiters) {
    this.name = name;
    this.#native = binding;
    this.options = Object.freeze(JSON.parse(binding.config) as PoolConfig);
    this.#memory = new Memory(binding);
    const { guard, zeroOnAlloc, zeroOnFree, poison, trace } = this.options;
    this.#plain = guard !== 'detach' && !zeroOnAlloc && !zeroOnFree && !poison && !trace && !this.#memory.copies;
    const stock = binding.stockBuffer === null ? new Int32Array(STOCK_HEAD) : new Int32Array(binding.stockBuffer);
    this.#quick = {
      isOpen: this.#plain,
      marks: guard !== 'off',
      word: stock[0] as number,
      homes: [],
      classOf: classTable(binding.classes),
      stock,
      regions: this.#memory.regions,
      unitBits: binding.unitBits,
      unitMask: 2 ** binding.unitBits - 1,
    };
    this.#traces = trace ? new Map() : undefined;
    this.#large = new Home(this, -1, 0, 0, 0, false);
    this.#own = this.#large;
    this.#makeHomes();
    this.#waiters = waiters;
    waiters.connect(
      binding,
      () => this.#sync(),
      (place, bytes) => this.#view(place, bytes),
    );
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
    if (quick.isOpen && (size as number) >>> 0 === size && size <= STOCKED_SIZE) {
      // As in #pop(), which costs a call.
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
        return this.#view(place, size);
      }
      stock[HEAD_BUSY] = 0;
    }
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    return this.#keep(this.#view(this.#takeOrThrow(bytes, 0), bytes));
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
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const place = this.#takeOrThrow(bytes, 0);
    this.#native.zero(place, bytes);
    return this.#keep(this.#view(place, bytes));
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
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const align = toAlignment(alignment, 2 ** 30);
    this.#requireNative();
    return this.#keep(this.#view(this.#takeOrThrow(bytes, align), bytes));
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
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const place = this.#take(bytes, 0);
    if (place === STATUS.FULL) return null;
    if (place < 0) fail(place, bytes);
    return this.#keep(this.#view(place, bytes));
  }

  /**
   * Allocates a block as soon as there is room. Requests are served in the order in which they were made, by any thread; a
   * stream that awaits its blocks is so held back until its consumer has freed some.
   * @param size - as for {@link Pool.alloc}
   * @param options - `signal` ends the waiting
   * @returns the block
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
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    options.signal?.throwIfAborted();
    this.#look();
    const status = this.#waiters.begin(bytes, options.signal);
    if (typeof status === 'number') fail(status, bytes);
    const block = await status;
    return this.#keep(block);
  }

  /**
   * Allocates a typed array.
   * @param Class - its class, such as Float64Array
   * @param length - how many elements
   * @returns a typed array of that class and length over the pool's memory, its contents uninitialised; {@link Pool.free}
   * takes it
   * @throws the errors of {@link Pool.alloc}
   * @example
   * const pool = createPool();
   * const numbers = pool.typed(Float64Array, 1000);
   * pool.free(numbers);
   * pool.destroy();
   */
  typed<T extends NodeJS.ArrayBufferView<ArrayBuffer>>(Class: TypedArrayConstructor<T>, length: number): T {
    const element = typeof Class === 'function' ? Class.BYTES_PER_ELEMENT : 0;
    if (element !== 1 && element !== 2 && element !== 4 && element !== 8) throw notTyped();
    const bytes = toBytes(length, 'length', Math.floor(MAX_BLOCK / element)) * element;
    const place = this.#takeOrThrow(bytes, 0);
    this.#prepare(place, bytes);
    const home = this.#homeFor(bytes, place);
    const { memory, offset } = this.#open(place, bytes, home);
    let block: T;
    try {
      block = stampBlock(new Class(memory, offset, length), home, place);
      const extent = extentOf(block);
      if (extent.memory !== memory || extent.offset !== offset || extent.bytes !== bytes) throw notTyped();
    } catch (error) {
      // A class of the program's own may throw, or make something else.
      this.free(bufferBlock(memory, offset, bytes, home, place));
      throw error;
    }
    return this.#keep(block);
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
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const place = this.#takeOrThrow(bytes, 0);
    this.#prepare(place, bytes);
    return this.#keep(stampBlock(this.#memory.own(place, bytes), this.#own, place));
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
    const place = this.#placeOf(block, 'ERR_USE_AFTER_FREE');
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    this.#requireMemory(block, place);
    let resized: PoolBuffer;
    if (!homeOf(block)?.own && !this.#memory.copies && this.#call(() => this.#native.resize(place, bytes)) === 0) {
      setPlace(block, FREED);
      resized = this.#view(place, bytes, extentOf(block).bytes);
    } else {
      resized = this.#view(this.#takeOrThrow(bytes, 0), bytes);
      resized.set(bytesOf(block).subarray(0, bytes));
      this.free(block);
    }
    if (this.#scopes > 0) current.getStore()?.replace(block, resized);
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
        // As in #push(), which costs a call.
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
    this.#freeSlowly(block);
  }

  // ---- Everything at once --------------------------------------------------------------------------------------------

  /**
   * Runs `fn` and frees what it, and whatever it calls or awaits, allocated from this pool in this thread and has not freed;
   * blocks given to `keep` stay.
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
    const scope = new Scope(this, (block) => this.#freeIfLive(block), current.getStore());
    this.#scopes++;
    this.#quick.isOpen = false;
    return scope.run(current, fn, () => {
      this.#scopes--;
      this.#quick.isOpen = this.#plain && this.#scopes === 0;
    });
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
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    return new Fixed(this, bytes, {
      stock: this.#quick.stock,
      word: () => {
        this.#look();
        return { word: this.#quick.word, isAwaited: ((this.#quick.stock[0] as number) & WORD_AWAITED) !== 0 };
      },
      home: () => new Home(this, -1, 0, HEAD_BUSY, 0, this.options.guard === 'detach', this.#large),
      make: (home) => {
        const place = this.#takeOrThrow(bytes, 0);
        this.#prepare(place, bytes);
        const { memory, offset } = this.#open(place, bytes, home);
        return bufferBlock(memory, offset, bytes, home, place);
      },
    });
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
    this.#look();
    this.#native.reset();
    this.#look();
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
    this.#look();
    const bytes = this.#native.trim();
    this.#memory.closeIdle();
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
    this.#native.destroy();
    this.#sync();
  }

  /** Whether the pool was destroyed, by any thread. */
  get isDestroyed(): boolean {
    if (this.#quick.stock[0] !== this.#quick.word) this.#sync();
    return ((this.#quick.stock[0] as number) & WORD_DEAD) !== 0;
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
    this.#look();
    const { usedBytes = 0, usedBlocks = 0, stockedBytes = 0, stockedBlocks = 0, ...rest } = this.#native.stats();
    return {
      ...rest,
      usedBytes: usedBytes - stockedBytes,
      usedBlocks: usedBlocks - stockedBlocks,
      stockedBytes,
      stockedBlocks,
    } as PoolStats;
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
    this.#look();
    const rows = this.#native.regions();
    const regions = new Map<number, PoolMap['regions'][number]>();
    for (let i = 0; i < rows.length; i += 5) {
      const [number = 0, bytes = 0, usedBytes = 0] = rows.subarray(i, i + 3);
      regions.set(number, { number, bytes, usedBytes, blocks: [] });
    }
    for (const { place, bytes, owner, stocked } of this.#blocks()) {
      const offset = (place & this.#quick.unitMask) * 64;
      const state = stocked ? 'stocked' : owner;
      regions
        .get(place >>> this.#quick.unitBits)
        ?.blocks.push({ offset, bytes, state: state === 'this' || state === 'other' ? 'used' : state });
    }
    return { regions: [...regions.values()] };
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
    this.#look();
    return this.#blocks()
      .filter(({ stocked }) => !stocked)
      .map(({ place, bytes, owner }) => {
        const stack = this.#traces?.get(place);
        return { bytes, thread: owner, ...(stack === undefined ? {} : { stack }) };
      });
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
    return this.#native.check();
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
    const place = this.#placeOf(block, 'ERR_USE_AFTER_FREE');
    this.#requireMemory(block, place);
    const { memory, bytes } = extentOf(block);
    if (this.#memory.copies) this.#native.copyIn(place, memory);
    return this.#surrender(block, place, MOVED, () => this.#native.handover(place, bytes));
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
    if (typeof handle !== 'number') throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'handle must be a number');
    const place = Number.isInteger(handle) ? this.#call(() => this.#native.adopt(handle)) : STATUS.STALE;
    if (place < 0) fail(place);
    const bytes = this.#native.second();
    const block = this.#view(place, bytes, bytes);
    if (this.#memory.copies) this.#native.copyOut(place, block.buffer);
    return this.#keep(block);
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
    const place = this.#placeOf(block, 'ERR_USE_AFTER_FREE');
    this.#requireNative();
    this.#requireMemory(block, place);
    const bytes = Math.max(extentOf(block).bytes, 1);
    const handle = this.#surrender(block, place, SHARED, () => this.#native.share(place, bytes));
    try {
      return new SharedBlock(this.#native, handle, options.plain === true);
    } finally {
      this.#native.leaveShared(handle);
    }
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
    if (typeof handle !== 'number') throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'handle must be a number');
    this.#look();
    this.#requireNative();
    if (!Number.isInteger(handle)) fail(STATUS.STALE);
    return new SharedBlock(this.#native, handle, options.plain === true);
  }

  /**
   * Frees blocks that were handed over and that nobody has adopted for some time, since their receiver has died. Their handles
   * are stale.
   * @param age - milliseconds since they were handed over, at least; default 0, which is all of them
   * @returns how many
   * @throws RangeError `ERR_OUT_OF_RANGE` if `age` is no integer from 0
   * @throws BuddyMallocError `ERR_POOL_DESTROYED` if the pool was destroyed
   * @example
   * const pool = createPool();
   * pool.handle(pool.alloc(100)); // and the receiver dies
   * pool.reclaim() === 1; // true
   * pool.destroy();
   */
  reclaim(age = 0): number {
    const ms = toBytes(age, 'age', 2 ** 31);
    this.#look();
    return this.#native.reclaim(ms);
  }

  // ---- Inside --------------------------------------------------------------------------------------------------------

  /** Homes of blocks from here on; those of before are stale. */
  #makeHomes(): void {
    for (const home of [...this.#quick.homes, this.#large, this.#own]) home.stale = true;
    const own = this.options.guard === 'detach';
    const most = this.#memory.copies ? 0 : Math.min(STOCK_BYTES, this.options.limit / STOCK_SHARE);
    this.#quick.homes = this.#native.classes.map((bytes, index) => {
      const capacity = Math.min(STOCK_MOST, Math.floor(most / bytes));
      return new Home(this, index, bytes, STOCK_HEAD + index * STOCK_STRIDE, capacity < 2 ? 0 : capacity, own);
    });
    this.#large = new Home(this, -1, 0, HEAD_BUSY, 0, own);
    this.#own = new Home(this, -1, 0, HEAD_BUSY, 0, true);
  }

  #requireNative(): void {
    if (!this.#memory.copies) return;
    throw new BuddyMallocError('ERR_NATIVE_FORBIDDEN', 'this runtime forbids ArrayBuffers over native memory');
  }

  /** Throws if the program has transferred the ArrayBuffer away in which the block was: its contents went with it. */
  #requireMemory(block: PoolBlock, place: number): void {
    if (this.#memory.copies || byteLengthOf(extentOf(block).memory) > 0) return;
    // A block of no bytes that has an ArrayBuffer to itself has one of JavaScript's, which is not lent.
    if (homeOf(block)?.own && !this.#native.isLent(place)) return;
    throw new BuddyMallocError('ERR_BLOCK_MOVED', "the block's ArrayBuffer was transferred to another before");
  }

  /** Takes notice of what other threads did. */
  #sync(): void {
    this.#native.sync();
    const word = this.#quick.stock[0] as number;
    if (Math.floor(word / WORD_EPOCH) !== Math.floor(this.#quick.word / WORD_EPOCH) || this.#memory.copies) {
      this.#makeHomes();
      this.#traces?.clear();
      // At the other level blocks outlive a reset, until each is freed.
      if (this.options.guard !== 'detach') this.#memory.closeAllAlone();
    }
    if ((word & WORD_DEAD) !== 0) this.#memory.closeAll();
    // With any flag set the quick ways, which compare with it, are closed.
    this.#quick.word = word - (word & (WORD_EPOCH - 1));
    this.#waiters.drain();
  }

  #look(): void {
    if (this.#quick.stock[0] !== this.#quick.word) this.#sync();
    if (((this.#quick.stock[0] as number) & WORD_DEAD) !== 0) fail(STATUS.DEAD);
  }

  /** Calls the addon, once more if everything was freed meanwhile. */
  #call(action: () => number): number {
    if (this.#quick.stock[0] !== this.#quick.word) this.#sync();
    const result = action();
    if (result !== STATUS.BEHIND) return result;
    this.#sync();
    return action();
  }

  /**
   * Takes a place from the stock; -1 if there is none, or the word has changed. HEAD_BUSY is set before the word is looked at
   * and until the stock is as it should be: in between no other thread takes it away (csrc/pool_stock.c).
   */
  #pop(home: Home): number {
    const stock = this.#quick.stock;
    let place = -1;
    stock[HEAD_BUSY] = 1;
    if (stock[0] === this.#quick.word) {
      const count = stock[home.base] as number;
      if (count > 0 && home.capacity > 0) {
        place = stock[home.base + count] as number;
        stock[home.base] = count - 1;
      }
    }
    stock[HEAD_BUSY] = 0;
    return place;
  }

  /** Puts a place into the stock; false if it is full, or the word has changed. */
  #push(home: Home, place: number): boolean {
    const stock = this.#quick.stock;
    let done = false;
    stock[HEAD_BUSY] = 1;
    if (stock[0] === this.#quick.word) {
      const count = stock[home.base] as number;
      if (count < home.capacity) {
        stock[home.base + count + 1] = place;
        stock[home.base] = count + 1;
        done = true;
      }
    }
    stock[HEAD_BUSY] = 0;
    return done;
  }

  /** A place for so many bytes, or a status below 0. */
  #take(bytes: number, alignment: number): number {
    if (this.#quick.stock[0] !== this.#quick.word) this.#sync();
    if (bytes <= STOCKED_SIZE && alignment === 0) {
      const home = this.#homeFor(bytes, 0);
      let place = this.#pop(home);
      if (place < 0 && home.capacity > 0) {
        this.#native.stock(home.sizeClass, home.batch);
        home.batch = Math.min(home.batch * 2, home.capacity >>> 1);
        place = this.#pop(home);
      }
      if (place >= 0) return place;
    }
    return this.#call(() => this.#native.take(bytes, alignment));
  }

  #takeOrThrow(bytes: number, alignment: number): number {
    const place = this.#take(bytes, alignment);
    if (place < 0) fail(place, bytes);
    return place;
  }

  /** A small block that has a region to itself, for the sake of its alignment, is no block of its size's stock. */
  #homeFor(bytes: number, place: number): Home {
    return bytes <= STOCKED_SIZE && place < this.#native.firstAlone
      ? (this.#quick.homes[this.#quick.classOf[(bytes + 63) >>> 6] as number] as Home)
      : this.#large;
  }

  /** The memory of a block as its guard wants it. */
  #open(place: number, bytes: number, home: Home): { memory: ArrayBuffer; offset: number } {
    if (home.own) return { memory: this.#memory.own(place, home.bytes || bytes), offset: 0 };
    return { memory: this.#memory.at(place, bytes), offset: this.#memory.offset(place) };
  }

  /** What the options want done to a block that was just taken. */
  #prepare(place: number, bytes: number): void {
    if (this.options.zeroOnAlloc) this.#native.zero(place, bytes);
    this.#trace(place);
  }

  /** A Buffer over a place that was just taken; `kept` bytes of it have contents already. */
  #view(place: number, bytes: number, kept = 0): PoolBuffer {
    if (kept === 0) this.#prepare(place, bytes);
    const home = this.#homeFor(bytes, place);
    const { memory, offset } = this.#open(place, bytes, home);
    const view = bufferBlock(memory, offset, bytes, home, place);
    if (this.options.zeroOnAlloc && bytes > kept && kept > 0) view.fill(0, kept);
    return view;
  }

  #trace(place: number): void {
    if (this.#traces === undefined) return;
    const { stack = '' } = new Error();
    this.#traces.set(place, stack.slice(stack.indexOf('\n') + 1));
  }

  /** Has the scope that runs free it, if there is one. */
  #keep<T extends PoolBlock>(block: T): T {
    if (this.#scopes > 0) current.getStore()?.add(this, block);
    return block;
  }

  /** The place of a live block of this pool, or an error that says what it is instead. */
  #placeOf(block: PoolBlock, freed: 'ERR_DOUBLE_FREE' | 'ERR_USE_AFTER_FREE'): number {
    if (typeof block !== 'object' || block === null) {
      throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'block must be a block of a pool');
    }
    const home = homeOf(block);
    if (home === undefined || home.pool !== this) fail(STATUS.NO_BLOCK);
    this.#look();
    const place = placeOf(block);
    if (place === MOVED || place === SHARED) {
      throw new BuddyMallocError('ERR_BLOCK_MOVED', 'the block was handed over or shared before');
    }
    if (place < 0 || home.era.stale) throw new BuddyMallocError(freed, 'the block was freed or resized before');
    return place;
  }

  /**
   * Makes a block nobody's. It is marked as that first, and unmarked if it fails: wherever the stack has no room, it has no two
   * owners.
   */
  #surrender(block: PoolBlock, place: number, word: number, action: () => number): number {
    const isLent = homeOf(block)?.own === true && this.#native.isLent(place);
    let handle: number = STATUS.NO_BLOCK;
    try {
      setPlace(block, word);
      if (isLent) this.#native.lendOwn(place, false, bufferOf(block));
      handle = this.#call(action);
    } finally {
      if (handle < 0) {
        setPlace(block, place);
        if (isLent) this.#native.lendOwn(place, true, bufferOf(block));
      }
    }
    if (handle < 0) fail(handle);
    this.#end(block, place, word);
    return handle;
  }

  /** The block is none from here on. False if its memory must wait until the garbage collector has found the last of it. */
  #end(block: PoolBlock, place: number, word: number): boolean {
    const home = homeOf(block) as Home;
    setPlace(block, word);
    this.#traces?.delete(place);
    if (home.own) return this.#memory.closeOwn(place, bufferOf(block), word === FREED && home.capacity > 0);
    if (this.#memory.copies) native.detach(bufferOf(block));
    else this.#memory.closeAlone(place);
    return true;
  }

  #freeSlowly(block: PoolBlock): void {
    const place = this.#placeOf(block, 'ERR_DOUBLE_FREE');
    if (this.options.poison) bytesOf(block).fill(POISON);
    else if (this.options.zeroOnFree) bytesOf(block).fill(0);
    const home = homeOf(block) as Home;
    if (!this.#end(block, place, FREED)) return;
    if (home.capacity > 0) {
      if (this.#push(home, place)) return;
      this.#native.unstock(home.sizeClass, home.capacity >>> 1);
      if (this.#push(home, place)) return;
    }
    const status = this.#call(() => this.#native.give(place));
    if (status === STATUS.NO_BLOCK || status === STATUS.NOT_YOURS) fail(status);
    this.#waiters.drain();
  }

  /** At the end of a scope, in which the block or the pool may have come to its end already. */
  #freeIfLive(block: PoolBlock): void {
    if (this.#quick.stock[0] !== this.#quick.word) this.#sync();
    const home = homeOf(block);
    if (home !== undefined && !home.era.stale && placeOf(block) >= 0) this.free(block);
  }

  #blocks(): { place: number; bytes: number; owner: ThreadOf; stocked: boolean }[] {
    const rows = this.#native.blocks();
    const owners = ['handedOver', 'this', 'other', 'shared'] as const;
    return Array.from({ length: rows.length / 4 }, (_, i) => {
      const [place = 0, bytes = 0, owner = 0, stocked = 0] = rows.subarray(i * 4, i * 4 + 4);
      return { place, bytes, owner: owners[owner] ?? 'other', stocked: stocked === 1 };
    });
  }
}

/** For each length in units of 64 bytes the number of the smallest class that holds it. */
function classTable(classes: readonly number[]): Uint8Array {
  const table = new Uint8Array(STOCKED_SIZE / 64 + 1);
  let next = 0;
  classes.forEach((bytes, index) => {
    table.fill(index, next, bytes / 64 + 1);
    next = bytes / 64 + 1;
  });
  return table;
}

const bufferOf = (block: PoolBlock): ArrayBuffer => extentOf(block).memory;

/** A view of a block's bytes; of none if the program has transferred them away. */
function bytesOf(block: PoolBlock): Uint8Array {
  const { memory, offset, bytes } = extentOf(block);
  return bytes === 0 ? new Uint8Array(0) : new Uint8Array(memory, offset, bytes);
}

const notTyped = () => codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'Class must be a constructor of typed arrays');

/** The scope that the running code is in. */
const current = new AsyncLocalStorage<Scope>();

/** The named pools that this thread has open. */
const opened = new Map<string, WeakRef<Pool>>();

function open(options: PoolOptions, mayCreate: boolean): Pool | undefined {
  const config = toConfig(options);
  const name = options.name ?? '';
  const known = opened.get(name)?.deref();
  if (known !== undefined && !known.isDestroyed) {
    compareConfig(options, known.options);
    return known;
  }
  const waiters = new Waiters();
  const order = Math.log2(config.regionSize);
  const notify = () => waiters.notified();
  const binding = native.poolOpen(
    name,
    JSON.stringify(config),
    config.limit,
    order,
    config.alignment,
    mayCreate,
    notify,
    config.guard === 'detach',
  );
  if (binding === undefined) return undefined;
  const pool = new Pool(name, binding, waiters);
  if (!binding.created) compareConfig(options, pool.options);
  if (name !== '') opened.set(name, new WeakRef(pool));
  return pool;
}

/**
 * Makes a pool, or opens the one of this name that another thread made.
 * @param options - of a new pool; for one that exists those that are given must be the same
 * @returns the pool
 * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an option is none
 * @throws RangeError `ERR_OUT_OF_RANGE` if an option is outside its interval
 * @throws BuddyMallocError `ERR_POOL_MISMATCH` if there is a pool of this name with other options
 * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if the system has no memory for it
 * @example
 * const pool = createPool({ name: 'frames', limit: '512 MiB' });
 * const block = pool.alloc(65536);
 * pool.free(block);
 * pool.destroy();
 */
export function createPool(options: PoolOptions = {}): Pool {
  const pool = open(options, true);
  if (pool === undefined) throw new BuddyMallocError('ERR_OUT_OF_MEMORY', 'no memory for a pool');
  return pool;
}

/**
 * Opens the pool of this name that another thread, or this one, made.
 * @param name - what {@link createPool} was given
 * @returns the pool
 * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if `name` is no name
 * @throws BuddyMallocError `ERR_POOL_UNKNOWN` if there is none of this name
 * @example
 * const pool = createPool({ name: 'frames' });
 * openPool('frames').name; // 'frames'
 * pool.destroy();
 */
export function openPool(name: string): Pool {
  if (typeof name !== 'string') throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'name must be a string');
  const pool = open({ name }, false);
  if (pool === undefined) throw new BuddyMallocError('ERR_POOL_UNKNOWN', `there is no pool named ${name}`);
  return pool;
}
