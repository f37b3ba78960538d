/** The ways to get memory and to give it back that the bench compares, ours among them; each takes a size and returns bytes. */
import { MemPool } from '@thi.ng/malloc';
import { createPool } from 'buddymalloc';

/** How a program allocates, and what it does with a block that it needs no more: nothing, where the GC has to find it. */
export interface Way {
  alloc(size: number): object;
  free?(block: object): void;
  bytes(block: object): Uint8Array;
}

const asItIs = (block: Uint8Array) => block;
const whole = (block: ArrayBufferLike) => new Uint8Array(block);

function ours(): Way {
  const pool = createPool();
  return {
    alloc: (size) => pool.alloc(size),
    free: (block) => pool.free(block as ReturnType<typeof pool.alloc>),
    bytes: asItIs,
  };
}

function ownArrayBuffer(): Way {
  const pool = createPool();
  return { alloc: (size) => pool.allocArrayBuffer(size), free: (block: ArrayBuffer) => pool.free(block), bytes: whole };
}

/** @param capacity bytes of all live blocks: its memory is obtained once */
function thing(capacity: number): Way {
  const pool = new MemPool({ buf: new ArrayBuffer(capacity * 2 + 65_536) });
  return {
    alloc(size) {
      const block = pool.mallocAs('u8', size);
      if (block === undefined) throw new Error('@thi.ng/malloc is full');
      return block;
    },
    free: (block: Uint8Array) => {
      pool.free(block);
    },
    bytes: asItIs,
  };
}

type Transferable = ArrayBuffer & { transfer(length: number): ArrayBuffer };

const buffers = (alloc: (size: number) => Buffer): Way => ({ alloc, bytes: asItIs });

/** @param capacity bytes that the program holds at most */
export function wayCalled(name: string, capacity: number): Way {
  const ways: Record<string, () => Way> = {
    buddymalloc: ours,
    'own ArrayBuffer': ownArrayBuffer,
    alloc: () => buffers((size) => Buffer.alloc(size)),
    allocUnsafe: () => buffers((size) => Buffer.allocUnsafe(size)),
    allocUnsafeSlow: () => buffers((size) => Buffer.allocUnsafeSlow(size)),
    'allocUnsafeSlow + transfer(0)': () => ({
      ...buffers((size) => Buffer.allocUnsafeSlow(size)),
      free: (block: Buffer) => {
        (block.buffer as Transferable).transfer(0);
      },
    }),
    SharedArrayBuffer: () => ({ alloc: (size: number) => new SharedArrayBuffer(size), bytes: whole }),
    '@thi.ng/malloc': () => thing(capacity),
  };
  const way = ways[name];
  if (way === undefined) throw new Error(`there is no way called ${name}`);
  return way();
}
