// What the workers of the ring and the main thread agree on.

/** What a worker has to do. */
export interface RingTask {
  /** blocks that it allocates */
  blocks: number;
  /** how often each is handed on */
  hops: number;
  /** of its generator of sizes, not 0 */
  seed: number;
}

/** A block on its way. */
export interface Travelling {
  handle: number;
  pattern: number;
  hopsLeft: number;
}

/** Fills a block with bytes that belong to `pattern`. */
export function fillPattern(block: ArrayBuffer, pattern: number): void {
  new Uint8Array(block).fill(pattern & 0xff);
}

/** Whether the first `length` bytes, or as many as there are, belong to `pattern`. */
export function holdsPattern(block: ArrayBuffer, pattern: number, length = block.byteLength): boolean {
  const bytes = Buffer.from(block, 0, Math.min(length, block.byteLength));
  return bytes.equals(Buffer.alloc(bytes.length, pattern & 0xff));
}
