// Where the bodies of requests lie, and how they reach a worker: the only file in which the two programs differ.
import { createPool, type PoolBuffer } from 'buddymalloc';
import { LIMIT, POOL, type Way } from './protocol.ts';

export interface Bodies {
  alloc(bytes: number): Promise<Buffer>;
  /** What to post to a worker for a body, which is then the worker's. */
  post(body: Buffer): { message: number | ArrayBuffer; transfer: ArrayBuffer[] };
  /** Of a request that broke off. */
  drop(body: Buffer): void;
  blocks(): number;
  mappedBytes(): number;
  violations(): number;
}

function pooled(): Bodies {
  const pool = createPool({ name: POOL, limit: LIMIT });
  return {
    // Waits while the pool is full: the request's socket is not read meanwhile, so that its sender waits too.
    alloc: (bytes) => pool.allocAsync(bytes),
    post: (body) => ({ message: pool.handle(body as PoolBuffer), transfer: [] }),
    drop: (body) => pool.free(body as PoolBuffer),
    blocks: () => pool.stats().usedBlocks,
    mappedBytes: () => pool.stats().mappedBytes,
    violations: () => pool.check(),
  };
}

const plain = (): Bodies => ({
  alloc: async (bytes) => Buffer.allocUnsafeSlow(bytes),
  post: ({ buffer }) => ({ message: buffer as ArrayBuffer, transfer: [buffer as ArrayBuffer] }),
  drop: () => {},
  blocks: () => 0,
  mappedBytes: () => 0,
  violations: () => 0,
});

export const bodiesOf = (way: Way): Bodies => (way === 'pool' ? pooled() : plain());
