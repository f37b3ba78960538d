/** What {@link Pool.stats} returns. Bytes of blocks are those of the blocks, rounding included. */
export interface PoolStats {
  /** Bytes in blocks, at most. */
  limit: number;
  /** Bytes in blocks that the program holds, in all threads. */
  usedBytes: number;
  /** Those blocks. */
  usedBlocks: number;
  /** Bytes in free blocks that threads keep at hand; the limit counts them, and they are given back before it is reached. */
  stockedBytes: number;
  /** Those blocks. */
  stockedBlocks: number;
  /** Bytes of addresses obtained from the system. */
  mappedBytes: number;
  /** Bytes of addresses for the bookkeeping, few of which are ever touched. */
  metadataBytes: number;
  /** Bytes of addresses, without memory behind them, of regions given up while an ArrayBuffer over them is reachable. */
  doomedBytes: number;
  /**
   * ArrayBuffers of threads that have ended whose memory the program had moved with `transfer()`: what they lie in stays
   * mapped, and in `doomedBytes` once it was given up, for good.
   */
  stranded: number;
  /** Mappings obtained from the system. */
  regions: number;
  /** Threads that have the pool open. */
  threads: number;
  /** Blocks handed over that nobody has adopted yet. */
  handedOver: number;
  /** Blocks that are shared. */
  shared: number;
  /** Requests that wait for room. */
  waiting: number;
  /** Bytes ever given back to the system. */
  purgedBytes: number;
  /** How often the pool was reset. */
  resets: number;
  /** Blocks of this thread with an ArrayBuffer of their own that were freed because the garbage collector found them. */
  forgotten: number;
}

/** Whose a block is: this thread's, another's, nobody's as long as nobody adopts it, or shared. */
export type ThreadOf = 'this' | 'other' | 'handedOver' | 'shared';

/** An entry of {@link Pool.leaks}. */
export interface Leak {
  /** Bytes of the block, rounding included. */
  bytes: number;
  /** Whose it is. */
  thread: ThreadOf;
  /** Where this thread allocated it, if the pool has the option `trace`. */
  stack?: string;
}

/** What {@link Pool.map} returns. */
export interface PoolMap {
  /** In the order of their numbers. */
  regions: {
    /** The region's number in the pool. */
    number: number;
    /** Bytes of it. */
    bytes: number;
    /** Of those, bytes in blocks. */
    usedBytes: number;
    /** Its blocks, in order; what is between them is free. */
    blocks: {
      /** Bytes from the region's beginning. */
      offset: number;
      /** Bytes of the block, rounding included. */
      bytes: number;
      /** Whether the program holds it, a thread keeps it at hand, or it is on its way or shared. */
      state: 'used' | 'stocked' | 'handedOver' | 'shared';
    }[];
  }[];
}
