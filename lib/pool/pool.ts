import { AsyncLocalStorage } from 'node:async_hooks';
import { BuddyMallocError, native, type PoolBinding } from '../binding.ts';
import { codedError } from '../errors.ts';
import {
  bufferBlock,
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
import { compareConfig, MAX_BLOCK, type PoolConfig, type PoolOptions, toConfig } from './options.ts';
import type { Leak, PoolMap, PoolStats, ThreadOf } from './report.ts';
import { Scope } from './scope.ts';
import { type Size, toAlignment, toBytes } from './sizes.ts';
import { Waiters } from './waiters.ts';

/** The statuses of csrc/pool.h, negated. */
const FULL = -1;
const NO_MEMORY = -2;
const DEAD = -3;
const NO_BLOCK = -4;
const NOT_YOURS = -5;
const STALE = -6;
const BEHIND = -7;

/** Bits of the word that tells a thread what has happened (csrc/pool.h). */
const WORD_DEAD = 1;
const WORD_EPOCH = 8;

/** As in csrc/pool.h. */
const STOCK_HEAD = 16;
const STOCK_STRIDE = 64;
const STOCK_MOST = 62;
const STOCKED_SIZE = 65_536;
/** Bytes that a thread's stock of one size may hold, and the part of the limit that it may. */
const STOCK_BYTES = 2 ** 20;
const STOCK_SHARE = 256;

const POISON = 0xdb;

/** A constructor of typed arrays. */
export interface TypedArrayConstructor<T extends object> {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
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
  readonly #buffers: (ArrayBuffer | undefined)[] = [];
  readonly #unitBits: number;
  readonly #unitMask: number;
  readonly #classOf: Uint8Array;
  readonly #waiters: Waiters;
  readonly #traces: Map<number, string> | undefined;
  readonly #plain: boolean;
  #stock: Int32Array;
  #word: number;
  #homes: Home[] = [];
  #large: Home;
  #copies = false;
  #scopes = 0;

  /** @internal */
  constructor(name: string, binding: PoolBinding, waiters: Waiters) {
    this.name = name;
    this.#native = binding;
    this.options = Object.freeze(JSON.parse(binding.config) as PoolConfig);
    this.#unitBits = binding.unitBits;
    this.#unitMask = 2 ** binding.unitBits - 1;
    this.#copies = binding.stockBuffer === null || native.externalForbidden();
    this.#stock = binding.stockBuffer === null ? new Int32Array(STOCK_HEAD) : new Int32Array(binding.stockBuffer);
    this.#word = this.#stock[0] as number;
    this.#classOf = new Uint8Array(STOCKED_SIZE / 64 + 1);
    binding.classes.forEach((bytes, index) => {
      const before = index === 0 ? -1 : (binding.classes[index - 1] as number) / 64;
      this.#classOf.fill(index, before + 1, bytes / 64 + 1);
    });
    const { guard, zeroOnAlloc, zeroOnFree, poison, trace, alignment } = this.options;
    this.#plain =
      guard !== 'detach' && !zeroOnAlloc && !zeroOnFree && !poison && !trace && alignment <= 64 && !this.#copies;
    this.#traces = trace ? new Map() : undefined;
    this.#large = new Home(this, -1, 0, 0);
    this.#makeHomes();
    this.#waiters = waiters;
    waiters.connect(binding, (place, bytes) => this.#view(place, bytes));
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
    if (this.#plain && this.#scopes === 0 && (size as number) >>> 0 === size && size <= STOCKED_SIZE) {
      const stock = this.#stock;
      const home = this.#homes[this.#classOf[(size + 63) >>> 6] as number] as Home;
      const count = stock[home.base] as number;
      if (count > 0 && stock[0] === this.#word) {
        const place = stock[home.base + count] as number;
        const memory = this.#buffers[place >>> this.#unitBits];
        if (memory !== undefined) {
          stock[home.base] = count - 1;
          return bufferBlock(memory, (place & this.#unitMask) * 64, size, home, place);
        }
      }
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
    if (this.#copies) {
      throw new BuddyMallocError('ERR_NATIVE_FORBIDDEN', 'this runtime forbids ArrayBuffers over native memory');
    }
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
    if (place === FULL) return null;
    if (place < 0) this.#fail(place, bytes);
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
    if (typeof status === 'number') this.#fail(status, bytes);
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
    if (typeof Class !== 'function' || !(Class.BYTES_PER_ELEMENT > 0)) {
      throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'Class must be a constructor of typed arrays');
    }
    const bytes = toBytes(length, 'length', Math.floor(MAX_BLOCK / Class.BYTES_PER_ELEMENT)) * Class.BYTES_PER_ELEMENT;
    const place = this.#takeOrThrow(bytes, 0);
    const { memory, offset } = this.#memory(place, bytes);
    return this.#keep(stampBlock(new Class(memory, offset, length), this.#homeFor(bytes), place));
  }

  /**
   * Allocates a block with an ArrayBuffer of its own, which {@link Pool.free} detaches: no view of it outlives the block. If
   * it is forgotten, it is freed when the garbage collector finds it.
   * @returns an ArrayBuffer of exactly `size` bytes, at least 1, its contents uninitialised
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
    return this.#keep(stampBlock(this.#ownMemory(place, bytes), this.#own, place));
  }

  /**
   * Resizes a block, in place where the pool can. The old Buffer is no block any more, and the contents are in the new one,
   * up to the smaller of the two sizes. If it throws, the old block is as it was.
   * @param block - a Buffer of {@link Pool.alloc} or its siblings
   * @returns the block in its new size
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
  realloc(block: PoolBuffer, size: Size): PoolBuffer {
    const place = this.#placeOf(block, 'ERR_USE_AFTER_FREE');
    const bytes = toBytes(size, 'size', MAX_BLOCK);
    const own = this.#isOwn(block);
    if (!own && !this.#copies && this.#call(() => this.#native.resize(place, bytes)) === 0) {
      setPlace(block, FREED);
      this.#note(place);
      return this.#keep(this.#view(place, bytes, block.length));
    }
    const target = this.#view(this.#takeOrThrow(bytes, 0), bytes);
    target.set(block.subarray(0, Math.min(block.length, bytes)));
    this.free(block);
    return this.#keep(target);
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
    if (this.#plain && typeof block === 'object' && block !== null) {
      const home = homeOfBuffer(block);
      if (home !== undefined && home.pool === this) {
        const stock = this.#stock;
        const place = placeOfBuffer(block);
        const count = stock[home.base] as number;
        if (place >= 0 && count < home.capacity && stock[0] === this.#word && !home.stale) {
          setPlaceOfBuffer(block, FREED);
          stock[home.base] = count + 1;
          stock[home.base + count + 1] = place;
          return;
        }
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
    const scope = new Scope(this);
    this.#scopes++;
    const end = () => {
      this.#scopes--;
      scope.end();
    };
    return scope.run(current, fn, end);
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
    return new Fixed(this, bytes, (home) => {
      const place = this.#takeOrThrow(bytes, 0);
      const { memory, offset } = this.#memory(place, bytes);
      return bufferBlock(memory, offset, bytes, home, place);
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
    return this.#native.trim();
  }

  /**
   * Frees everything for good. In this thread every view of the pool's memory reads length 0 from here on; in other threads
   * views stay readable as zeros until they are gone, and every function throws `ERR_POOL_DESTROYED`. To destroy a pool twice
   * is no error.
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
      const offset = (place & this.#unitMask) * 64;
      const state = stocked ? 'stocked' : owner;
      regions
        .get(place >>> this.#unitBits)
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
    if (this.#copies) this.#native.copyIn(place, this.#bufferOf(block));
    const handle = this.#call(() => this.#native.handover(place, block.byteLength));
    if (handle < 0) this.#fail(handle, 0);
    this.#end(block, place, MOVED);
    return handle;
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
    const place = Number.isInteger(handle) ? this.#call(() => this.#native.adopt(handle)) : STALE;
    if (place < 0) this.#fail(place, 0);
    const bytes = this.#native.second();
    const block = this.#view(place, bytes, bytes);
    if (this.#copies) this.#native.copyOut(place, block.buffer);
    return this.#keep(block);
  }

  // ---- Inside --------------------------------------------------------------------------------------------------------

  /** Homes of blocks from here on; those of before are stale. */
  #makeHomes(): void {
    for (const home of [...this.#homes, this.#large, this.#own]) home.stale = true;
    const most = Math.min(STOCK_BYTES, this.options.limit / STOCK_SHARE);
    this.#homes = this.#native.classes.map((bytes, index) => {
      const capacity = this.#plain ? Math.min(STOCK_MOST, Math.floor(most / bytes)) : 0;
      return new Home(this, index, STOCK_HEAD + index * STOCK_STRIDE, capacity < 2 ? 0 : capacity);
    });
    this.#large = new Home(this, -1, 1, 0);
    this.#own = new Home(this, -1, 1, 0);
  }

  /** Takes notice of what other threads did. */
  #sync(): void {
    this.#native.sync();
    const word = this.#stock[0] as number;
    if (Math.floor(word / WORD_EPOCH) !== Math.floor(this.#word / WORD_EPOCH) || this.#copies) {
      this.#makeHomes();
      this.#traces?.clear();
    }
    if ((word & WORD_DEAD) !== 0) {
      for (const buffer of this.#buffers.splice(0)) if (buffer !== undefined) native.detach(buffer);
    }
    // With any flag set the quick ways, which compare with it, are closed.
    this.#word = word - (word & (WORD_EPOCH - 1));
    this.#waiters.drain();
  }

  #look(): void {
    if (this.#stock[0] !== this.#word) this.#sync();
    if (((this.#stock[0] as number) & WORD_DEAD) !== 0) this.#fail(DEAD, 0);
  }

  /** Calls the addon, once more if everything was freed meanwhile. */
  #call(action: () => number): number {
    if (this.#stock[0] !== this.#word) this.#sync();
    const result = action();
    if (result !== BEHIND) return result;
    this.#sync();
    return action();
  }

  #fail(status: number, bytes: number): never {
    switch (status) {
      case FULL:
        throw new BuddyMallocError('ERR_POOL_FULL', `the pool has no room for ${bytes} bytes`);
      case NO_MEMORY:
        throw new BuddyMallocError('ERR_OUT_OF_MEMORY', `no memory for a block of ${bytes} bytes`);
      case DEAD:
        throw new BuddyMallocError('ERR_POOL_DESTROYED', 'the pool was destroyed');
      case STALE:
        throw new BuddyMallocError('ERR_STALE_HANDLE', 'no block waits under this handle');
      default:
        throw new BuddyMallocError('ERR_FOREIGN_BUFFER', 'the buffer is not a block of this pool and thread');
    }
  }

  /** A place for so many bytes, or a status below 0. */
  #take(bytes: number, alignment: number): number {
    if (this.#stock[0] !== this.#word) this.#sync();
    if (bytes <= STOCKED_SIZE && alignment === 0) {
      const home = this.#homeFor(bytes);
      const stock = this.#stock;
      if (home.capacity > 0) {
        let count = stock[home.base] as number;
        if (count === 0) {
          count = this.#native.stock(home.sizeClass, home.batch);
          home.batch = Math.min(home.batch * 2, home.capacity >>> 1);
        }
        if (count > 0) {
          stock[home.base] = count - 1;
          return stock[home.base + count] as number;
        }
      }
    }
    return this.#call(() => this.#native.take(bytes, alignment));
  }

  #takeOrThrow(bytes: number, alignment: number): number {
    const place = this.#take(bytes, alignment);
    if (place < 0) this.#fail(place, bytes);
    return place;
  }

  #homeFor(bytes: number): Home {
    return bytes <= STOCKED_SIZE ? (this.#homes[this.#classOf[(bytes + 63) >>> 6] as number] as Home) : this.#large;
  }

  /** The ArrayBuffer that holds a place, and where in it. */
  #memory(place: number, bytes: number): { memory: ArrayBuffer; offset: number } {
    if (this.#copies) return { memory: new ArrayBuffer(bytes), offset: 0 };
    const number = place >>> this.#unitBits;
    let memory = this.#buffers[number];
    if (memory === undefined || memory.byteLength === 0) {
      memory = this.#native.openRegion(number) ?? undefined;
      if (memory === undefined) {
        this.#native.give(place);
        throw new BuddyMallocError('ERR_OUT_OF_MEMORY', 'no ArrayBuffer over a region could be made');
      }
      this.#buffers[number] = memory;
    }
    return { memory, offset: (place & this.#unitMask) * 64 };
  }

  #ownMemory(place: number, bytes: number): ArrayBuffer {
    const memory = this.#copies ? new ArrayBuffer(bytes) : this.#native.openOwn(place, bytes);
    if (memory) return memory;
    this.#native.give(place);
    throw new BuddyMallocError('ERR_OUT_OF_MEMORY', `no ArrayBuffer of ${bytes} bytes could be made`);
  }

  /** A Buffer over a place that was just taken; `kept` bytes of it have contents already. */
  #view(place: number, bytes: number, kept = 0): PoolBuffer {
    const { guard, zeroOnAlloc } = this.options;
    if (zeroOnAlloc && kept === 0) this.#native.zero(place, bytes);
    let view: PoolBuffer;
    if (guard === 'detach' && bytes > 0) {
      view = bufferBlock(this.#ownMemory(place, bytes), 0, bytes, this.#own, place);
    } else {
      const { memory, offset } = this.#memory(place, bytes);
      view = bufferBlock(memory, offset, bytes, this.#homeFor(bytes), place);
    }
    if (zeroOnAlloc && bytes > kept && kept > 0) view.fill(0, kept);
    this.#trace(place);
    return view;
  }

  #trace(place: number): void {
    if (this.#traces === undefined) return;
    const { stack = '' } = new Error();
    this.#traces.set(place, stack.slice(stack.indexOf('\n') + 1));
  }

  #note(place: number): void {
    this.#traces?.delete(place);
  }

  /** Has the scope that runs free it, if there is one. */
  #keep<T extends PoolBlock>(block: T): T {
    if (this.#scopes > 0) current.getStore()?.add(this, block);
    return block;
  }

  #isOwn(block: object): boolean {
    return homeOf(block) === this.#own;
  }

  #bufferOf(block: PoolBlock): ArrayBuffer {
    return ArrayBuffer.isView(block) ? block.buffer : block;
  }

  /** The place of a live block of this pool, or an error that says what it is instead. */
  #placeOf(block: PoolBlock, freed: 'ERR_DOUBLE_FREE' | 'ERR_USE_AFTER_FREE'): number {
    if (typeof block !== 'object' || block === null) {
      throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'block must be a block of a pool');
    }
    const home = homeOf(block);
    if (home === undefined || home.pool !== this) this.#fail(NO_BLOCK, 0);
    this.#look();
    const place = placeOf(block);
    if (place === MOVED || place === SHARED) {
      throw new BuddyMallocError('ERR_BLOCK_MOVED', 'the block was handed over or shared before');
    }
    if (place < 0 || home.stale) throw new BuddyMallocError(freed, 'the block was freed or resized before');
    return place;
  }

  /** The block is none from here on. */
  #end(block: PoolBlock, place: number, word: number): void {
    const own = this.#isOwn(block);
    setPlace(block, word);
    this.#note(place);
    if (!own && !this.#copies) return;
    const memory = this.#bufferOf(block);
    if (!this.#copies) this.#native.closeOwn(place);
    native.detach(memory);
  }

  #freeSlowly(block: PoolBlock): void {
    const place = this.#placeOf(block, 'ERR_DOUBLE_FREE');
    const { zeroOnFree, poison } = this.options;
    if (zeroOnFree || poison) {
      const bytes = ArrayBuffer.isView(block)
        ? new Uint8Array(block.buffer, block.byteOffset, block.byteLength)
        : new Uint8Array(block);
      bytes.fill(poison ? POISON : 0);
    }
    const home = homeOf(block) as Home;
    this.#end(block, place, FREED);
    if (home.capacity > 0 && this.#stock[0] === this.#word) {
      const stock = this.#stock;
      if ((stock[home.base] as number) >= home.capacity) this.#native.unstock(home.sizeClass, home.capacity >>> 1);
      const count = (stock[home.base] as number) + 1;
      stock[home.base] = count;
      stock[home.base + count] = place;
      return;
    }
    const status = this.#call(() => this.#native.give(place));
    if (status === NO_BLOCK || status === NOT_YOURS) this.#fail(status, 0);
    this.#waiters.drain();
  }

  #blocks(): { place: number; bytes: number; owner: ThreadOf; stocked: boolean }[] {
    const rows = this.#native.blocks();
    const owners = ['handedOver', 'this', 'other', 'shared'] as const;
    return Array.from({ length: rows.length / 4 }, (_, i) => {
      const [place = 0, bytes = 0, owner = 0, stocked = 0] = rows.subarray(i * 4, i * 4 + 4);
      return { place, bytes, owner: owners[owner] ?? 'other', stocked: stocked === 1 };
    });
  }

  #own: Home = new Home(this, -1, 1, 0);
}

/** The scope that the running code is in. */
const current = new AsyncLocalStorage<Scope>();

function open(options: PoolOptions, mayCreate: boolean): Pool | undefined {
  const config = toConfig(options);
  const name = options.name ?? '';
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
  );
  if (binding === undefined) return undefined;
  const pool = new Pool(name, binding, waiters);
  if (!binding.created) compareConfig(options, pool.options);
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
