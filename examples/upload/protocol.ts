/** What the upload server's threads and the programs around them say to each other. */

/** How bodies travel: blocks of a pool that are handed over, or ArrayBuffers that are transferred. */
export type Way = 'pool' | 'buffers';

/** A body for a worker to hash and store, by handle or by value. */
export interface Task {
  id: number;
  body: number | ArrayBuffer;
}

/** What the worker has made of it. */
export interface Stored {
  id: number;
  sha256: string;
}

/** The server to the program that started it. */
export interface Figures {
  rssBytes: number;
  /** Blocks that are allocated or on their way; 0 without a pool. */
  blocks: number;
  /** What the pool has obtained from the system. */
  mappedBytes: number;
  /** Bodies stored so far. */
  bodies: number;
  /** Processor time of all the server's threads so far. */
  cpuMs: number;
  /** Violations of the pool's invariants, counted once nothing is under way. */
  violations: number;
}

export const POOL = 'uploads';
/** Bytes of bodies at once, and so of all that the pool takes. */
export const LIMIT = 128 << 20;
export const WORKERS = 4;
