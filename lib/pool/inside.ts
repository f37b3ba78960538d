import type { AsyncLocalStorage } from 'node:async_hooks';
import { BuddyMallocError, native, type PoolBinding } from '../binding.ts';
import { codedError } from '../errors.ts';
import {
  bufferBlock,
  byteLengthOf,
  extentOf,
  FREED,
  homeOf,
  idlePlace,
  MOVED,
  type PoolBlock,
  type PoolBuffer,
  placeOf,
  SHARED,
  setPlace,
} from './block.ts';
import type { Fixed } from './fixed.ts';
import type { Home } from './home.ts';
import { Homes } from './homes.ts';
import type { Inbox } from './inbox.ts';
import { Memory } from './memory.ts';
import { letGo } from './opened.ts';
import { freedAs, type PoolConfig } from './options.ts';
import type { Pool } from './pool.ts';
import type { Quick } from './quick.ts';
import { Scope } from './scope.ts';
import { fail, STATUS } from './status.ts';
import { classTable, HEAD_THIRD, pop, push, STOCK_HEAD, STOCKED_SIZE, secondOf } from './stock.ts';
import type { Waiters } from './waiters.ts';

/** What a function says of a block that was freed. */
type Freed = 'ERR_DOUBLE_FREE' | 'ERR_USE_AFTER_FREE';
const goneBefore = (freed: Freed) => new BuddyMallocError(freed, 'the block was freed or resized before');

/** Bits of the word that tells a thread what has happened (csrc/pool.h). */
const WORD_DEAD = 1;
const WORD_AWAITED = 2;
const WORD_EPOCH = 8;

/** Where the program is; empty if it has its own idea of what the stack of an error is. */
function stackText(): string {
  try {
    const { stack } = new Error();
    return typeof stack === 'string' ? stack : '';
  } catch {
    return '';
  }
}

/** What a pool's functions have in common: places taken and given, blocks made of them and known again. */
export class Inside {
  readonly pool: Pool;
  readonly native: PoolBinding;
  readonly options: Readonly<PoolConfig>;
  readonly memory: Memory;
  readonly quick: Quick;
  readonly homes: Homes;
  readonly waiters: Waiters;
  /** Those that are open. */
  readonly inboxes = new Set<Inbox>();
  /** The idle blocks, which nobody needs, of each of this thread's recyclers. */
  readonly #idle = new Set<PoolBuffer[]>();
  readonly #forgotten = new FinalizationRegistry<PoolBuffer[]>((idle) => {
    this.#idle.delete(idle);
    this.giveUp(idle);
  });
  /** Where each block was allocated, with the option `trace`. */
  readonly traces: Map<number, string> | undefined;
  readonly #plain: boolean;
  readonly #freedAs: number;
  readonly #third: Float64Array | undefined;
  readonly #scope: AsyncLocalStorage<Scope>;
  #scopes = 0;
  #isGivingUp = false;

  constructor(pool: Pool, binding: PoolBinding, waiters: Waiters, scope: AsyncLocalStorage<Scope>) {
    this.pool = pool;
    this.native = binding;
    this.options = Object.freeze(JSON.parse(binding.config) as PoolConfig);
    this.memory = new Memory(binding);
    this.#scope = scope;
    const { guard, zeroOnAlloc, trace } = this.options;
    this.#freedAs = freedAs(this.options);
    this.#plain = guard !== 'detach' && !zeroOnAlloc && this.#freedAs < 0 && !trace && !this.memory.copies;
    const stock = binding.stockBuffer === null ? new Int32Array(STOCK_HEAD) : new Int32Array(binding.stockBuffer);
    this.#third =
      binding.stockBuffer === null
        ? undefined
        : new Float64Array(binding.stockBuffer, HEAD_THIRD * stock.BYTES_PER_ELEMENT, 1);
    this.quick = {
      isOpen: this.#plain,
      marks: guard !== 'off',
      word: stock[0] as number,
      homes: [],
      ownHomes: [],
      classOf: classTable(binding.classes),
      stock,
      regions: this.memory.regions,
      unitBits: binding.unitBits,
      unitMask: 2 ** binding.unitBits - 1,
      firstAlone: binding.firstAlone,
    };
    this.traces = trace ? new Map() : undefined;
    this.homes = new Homes(pool, binding, this.quick, guard === 'detach', this.memory.copies ? 0 : this.options.limit);
    this.waiters = waiters;
    waiters.connect(
      binding,
      () => this.#notified(),
      (place, bytes) => this.view(place, bytes),
      () => this.second(),
      () => this.stayIfNeeded(),
    );
  }

  /** Whether it is one, and not what a program has made up: a block's home comes from here. */
  static isOne(value: object): value is Inside {
    return #isGivingUp in value;
  }

  // ---- What others did -----------------------------------------------------------------------------------------------

  /** Takes notice of it. */
  sync(): void {
    const word = this.native.sync();
    if (this.memory.copies) this.quick.stock[0] = word;
    if (Math.floor(word / WORD_EPOCH) !== Math.floor(this.quick.word / WORD_EPOCH)) {
      this.homes.renew();
      this.traces?.clear();
      // At the other level blocks outlive a reset, until each is freed.
      if (this.options.guard !== 'detach') this.memory.closeAllAlone();
    }
    if ((word & WORD_DEAD) !== 0) {
      this.memory.closeAll();
      for (const inbox of this.inboxes) inbox.close();
      letGo(this.pool);
    }
    // With any flag set the quick ways, which compare with it, are closed.
    this.quick.word = word - (word & (WORD_EPOCH - 1));
    if ((word & WORD_AWAITED) !== 0) this.giveUpIdle();
    this.waiters.drain();
  }

  /** Notes a recycler, whose idle blocks are free when it is garbage. */
  addRecycler(recycler: Fixed, idle: PoolBuffer[]): void {
    if (this.#idle.size === 0) this.native.hoard();
    this.#idle.add(idle);
    this.#forgotten.register(recycler, idle);
  }

  /** Has this thread's recyclers free what is idle; false if nothing was. */
  giveUpIdle(): boolean {
    // Each block that is freed comes by here again as long as somebody waits.
    if (this.#isGivingUp) return false;
    this.#isGivingUp = true;
    let count = 0;
    try {
      for (const idle of this.#idle) count += this.giveUp(idle);
    } finally {
      this.#isGivingUp = false;
    }
    return count > 0;
  }

  /** Frees the idle blocks of a recycler but for those that were freed with all others; returns how many. */
  giveUp(idle: PoolBuffer[]): number {
    let count = 0;
    for (let block = idle.pop(); block !== undefined; block = idle.pop()) {
      setPlace(block, idlePlace(placeOf(block)));
      if (this.freeIfLive(block)) count++;
    }
    return count;
  }

  /** Called from the event loop. */
  #notified(): void {
    this.sync();
    for (const inbox of this.inboxes) inbox.take();
  }

  /** Has the event loop go on as long as something is to come. */
  stayIfNeeded(): void {
    const stays = [...this.inboxes].some(({ isReferenced }) => isReferenced);
    this.native.stay(stays, !this.waiters.areNone);
  }

  /** The same if there is anything new; throws if the pool was destroyed. */
  look(): void {
    if (this.isDestroyed) fail(STATUS.DEAD);
  }

  get isDestroyed(): boolean {
    if (this.#mayHaveNews) this.sync();
    return ((this.quick.stock[0] as number) & WORD_DEAD) !== 0;
  }

  /** Whether somebody waits for room. */
  get isAwaited(): boolean {
    return ((this.quick.stock[0] as number) & WORD_AWAITED) !== 0;
  }

  /** Where the stock is not the addon's, others cannot write the word into it. */
  get #mayHaveNews(): boolean {
    return this.quick.stock[0] !== this.quick.word || this.memory.copies;
  }

  /** Calls the addon, once more as often as everything was freed meanwhile. */
  call(action: () => number): number {
    for (;;) {
      if (this.#mayHaveNews) this.sync();
      const result = action();
      if (result !== STATUS.BEHIND) return result;
    }
  }

  /** The same about a block, unless it was freed with all others meanwhile: its place may be another's by then. */
  #callFor(block: PoolBlock, freed: Freed, action: () => number): number {
    return this.call(() => {
      if (homeOf(block)?.era.stale && this.options.guard !== 'detach') throw goneBefore(freed);
      return action();
    });
  }

  /** The second result of a call. */
  second(): number {
    return this.memory.copies ? this.native.second() : secondOf(this.quick.stock);
  }

  /** The third result of a call. */
  third(): number {
    return this.#third === undefined ? this.native.third() : (this.#third[0] as number);
  }

  // ---- Places --------------------------------------------------------------------------------------------------------

  /** A place for so many bytes, or a status below 0. */
  take(bytes: number, alignment: number): number {
    if (this.#mayHaveNews) this.sync();
    if (bytes <= STOCKED_SIZE && alignment === 0) {
      const home = this.homes.of(bytes, 0);
      let place = pop(this.quick, home);
      if (place < 0 && home.capacity > 0) {
        this.native.stock(home.sizeClass, home.batch);
        home.batch = Math.max(Math.min(home.batch * 2, home.capacity >>> 1), 1);
        place = pop(this.quick, home);
      }
      if (place >= 0) return place;
    }
    const take = () => this.call(() => this.native.take(bytes, alignment));
    const place = take();
    return (place === STATUS.FULL || place === STATUS.NO_MEMORY) && this.giveUpIdle() ? take() : place;
  }

  takeOrThrow(bytes: number, alignment: number): number {
    const place = this.take(bytes, alignment);
    if (place < 0) fail(place, bytes);
    return place;
  }

  /** What the options want done to a block that was just taken. */
  prepare(place: number, bytes: number): void {
    if (this.options.zeroOnAlloc) this.native.zero(place, bytes);
    this.trace(place);
  }

  /** Notes where the program was when it got a block: the frames of the stack above the package's own. */
  trace(place: number): void {
    if (this.traces === undefined) return;
    const [own = '', ...frames] = stackText().split('\n').slice(1);
    if (frames.length === 0) return;
    const folder = own.slice(own.search(/(file:)?\//), own.lastIndexOf('/') + 1);
    const first = frames.findIndex((frame) => !frame.includes(folder));
    this.traces.set(place, frames.slice(first).join('\n'));
  }

  // ---- Blocks --------------------------------------------------------------------------------------------------------

  /** The memory of a block as its guard wants it. */
  open(place: number, bytes: number, home: Home): { memory: ArrayBuffer; offset: number } {
    if (home.own) return { memory: this.memory.own(place, home.bytes || bytes), offset: 0 };
    return { memory: this.memory.at(place, bytes), offset: this.memory.offset(place) };
  }

  /** A Buffer over a place that was just taken; `kept` bytes of it have contents already. */
  view(place: number, bytes: number, kept = 0): PoolBuffer {
    if (kept === 0) this.prepare(place, bytes);
    const home = this.homes.of(bytes, place);
    const { memory, offset } = this.open(place, bytes, home);
    const view = bufferBlock(memory, offset, bytes, home, place);
    if (this.options.zeroOnAlloc && bytes > kept && kept > 0) view.fill(0, kept);
    return view;
  }

  /** The place of a live block of this pool, or an error that says what it is instead. */
  placeOf(block: PoolBlock, freed: Freed): number {
    if (typeof block !== 'object' || block === null) {
      throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'block must be a block of a pool');
    }
    const home = homeOf(block);
    if (home === undefined || home.pool !== this.pool) fail(STATUS.NO_BLOCK);
    this.look();
    const place = placeOf(block);
    if (place === MOVED || place === SHARED) {
      throw new BuddyMallocError('ERR_BLOCK_MOVED', 'the block was handed over or shared before');
    }
    if (place < 0 || home.era.stale) throw goneBefore(freed);
    return place;
  }

  requireNative(): void {
    if (!this.memory.copies) return;
    throw new BuddyMallocError('ERR_NATIVE_FORBIDDEN', 'this runtime forbids ArrayBuffers over native memory');
  }

  /** Throws if the program has transferred the ArrayBuffer away in which the block was: its contents went with it. */
  requireMemory(block: PoolBlock): void {
    const buffer = bufferOf(block);
    if (this.memory.copies || byteLengthOf(buffer) > 0 || byteLengthOf(this.memory.carrierOf(buffer)) > 0) return;
    throw new BuddyMallocError('ERR_BLOCK_MOVED', "the block's ArrayBuffer was transferred to another before");
  }

  /**
   * Makes a block nobody's. It is marked as that first, and unmarked if it fails: wherever the stack has no room, it has no two
   * owners.
   */
  surrender(block: PoolBlock, place: number, word: number, action: () => number): number {
    const isLent = homeOf(block)?.own === true && this.native.isLent(place);
    const lend = (lent: boolean) => {
      if (isLent) this.native.lendOwn(place, lent, this.memory.carrierOf(bufferOf(block)));
    };
    let handle: number = STATUS.NO_BLOCK;
    try {
      setPlace(block, word);
      lend(false);
      handle = this.#callFor(block, 'ERR_USE_AFTER_FREE', action);
    } finally {
      if (handle < 0) {
        setPlace(block, place);
        lend(true);
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
    this.traces?.delete(place);
    if (this.#scopes > 0) Scope.forget(block);
    if (home.own) return this.memory.closeOwn(place, bufferOf(block), word === FREED && home.capacity > 0);
    if (this.memory.copies) native.detach(bufferOf(block));
    else this.memory.closeAlone(place);
    return true;
  }

  /** Resizes where the block is; false if it cannot stay there. */
  resize(block: PoolBlock, place: number, bytes: number): boolean {
    if (homeOf(block)?.own || this.memory.copies) return false;
    if (this.#callFor(block, 'ERR_USE_AFTER_FREE', () => this.native.resize(place, bytes)) !== 0) return false;
    setPlace(block, FREED);
    return true;
  }

  free(block: PoolBlock, freed: Freed = 'ERR_DOUBLE_FREE'): void {
    const place = this.placeOf(block, freed);
    if (this.#freedAs >= 0) bytesOf(block).fill(this.#freedAs);
    const home = homeOf(block) as Home;
    if (home.capacity < home.most) this.homes.favour(home.sizeClass);
    if (!this.#end(block, place, FREED)) return;
    if (home.capacity > 0) {
      if (push(this.quick, home, place)) return;
      this.native.unstock(home.sizeClass, home.capacity >>> 1);
      if (push(this.quick, home, place)) return;
    }
    const status = this.#callFor(block, freed, () => this.native.give(place));
    if (status === STATUS.NO_BLOCK || status === STATUS.NOT_YOURS) fail(status);
    this.waiters.drain();
  }

  // ---- Scopes --------------------------------------------------------------------------------------------------------

  /** A scope begins, or ends: while there is one, the quick ways are closed. */
  countScope(by: 1 | -1): void {
    this.#scopes += by;
    this.quick.isOpen = this.#plain && this.#scopes === 0;
  }

  /** Has the scope that runs free it, if there is one. */
  keep<T extends PoolBlock>(block: T): T {
    if (this.#scopes > 0) this.#scope.getStore()?.add(this.pool, block);
    return block;
  }

  /** The scope has the block in its new size. */
  replace(old: PoolBlock, block: PoolBlock): void {
    if (this.#scopes > 0) Scope.replace(old, block);
  }

  /** Frees a block unless it, or the pool, has come to its end already; whether it did. */
  freeIfLive(block: PoolBlock): boolean {
    if (this.#mayHaveNews) this.sync();
    const home = homeOf(block);
    if (home === undefined || home.era.stale || placeOf(block) < 0) return false;
    try {
      this.pool.free(block);
      return true;
    } catch (error) {
      // Another thread may have freed everything since.
      if (home.era.stale) return false;
      throw error;
    }
  }
}

export const bufferOf = (block: PoolBlock): ArrayBuffer => extentOf(block).memory;

/** A view of a block's bytes; of none if the program has transferred them away. */
export function bytesOf(block: PoolBlock): Uint8Array {
  const { memory, offset, bytes } = extentOf(block);
  return bytes === 0 ? new Uint8Array(0) : new Uint8Array(memory, offset, bytes);
}
