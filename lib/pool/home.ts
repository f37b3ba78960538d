import type { Pool } from './pool.ts';
import { FAVOURED_FROM } from './stock.ts';

/**
 * Where blocks of one size come from and go back to in this thread. The stock, free blocks that are taken without a call,
 * lies in the addon's memory, so that the addon counts it and gives it back when the thread ends.
 */
export class Home {
  readonly pool: Pool;
  /** The addon's number of the size, or -1 for blocks of no stock. */
  readonly sizeClass: number;
  /** Bytes of the stock's blocks, or 0. */
  readonly bytes: number;
  /** The stock's count in the words that pool and addon share; its places follow. */
  readonly base: number;
  /** The most blocks that the stock keeps; of large ones, 0 but for the size that the thread has freed last. */
  capacity: number;
  /** The same for that size. */
  readonly most: number;
  /** Whether each block has an ArrayBuffer to itself. */
  readonly own: boolean;
  /** How many are fetched at once: 1 at first, since most sizes of most programs are rare. */
  batch = 1;
  /** Whether everything was freed at once since these blocks were allocated; of a recycler's home `era` knows. */
  stale = false;
  /** The home that the pool marks as stale: this one, but for a recycler's. */
  readonly era: Home;

  constructor(pool: Pool, sizeClass: number, bytes: number, base: number, most: number, own: boolean, era?: Home) {
    this.pool = pool;
    this.sizeClass = sizeClass;
    this.bytes = bytes;
    this.own = own;
    this.base = base;
    this.most = most;
    this.capacity = bytes > FAVOURED_FROM ? 0 : most;
    this.era = era ?? this;
  }
}
