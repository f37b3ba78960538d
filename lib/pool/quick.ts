import type { Home } from './home.ts';

/**
 * What the quick ways of allocating and freeing look at. It is one object of plain properties behind one private field of the
 * pool: with a private field for each, both took half as long again (docs/adr/0006-pool.md).
 */
export interface Quick {
  /** Whether a block may be taken from a stock and put back without further ado: no option and no scope wants to know. */
  isOpen: boolean;
  /** Whether a block that was freed is marked as such. */
  marks: boolean;
  /** The word that the pool had when this thread last looked (csrc/pool.h). */
  word: number;
  /** By size class. */
  homes: readonly Home[];
  /** The same for blocks that have an ArrayBuffer to themselves whatever the guard; the stocks are the same. */
  ownHomes: readonly Home[];
  /** The size class of a request, by its length in units of 64 bytes. */
  readonly classOf: Uint8Array;
  /** The words that pool and addon share: the pool's word, HEAD_BUSY, and the stocks. */
  readonly stock: Int32Array;
  /** The ArrayBuffers over regions, by number. */
  readonly regions: readonly (ArrayBuffer | undefined)[];
  /** A place is a region's number above so many bits, and below them the block's unit in it. */
  readonly unitBits: number;
  readonly unitMask: number;
  /** Places from here on are blocks that have a region to themselves. */
  readonly firstAlone: number;
}
