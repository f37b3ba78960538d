import { Buffer } from 'node:buffer';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createPool, MAX_SIZE, openPool, type Pool, type PoolBuffer, type PoolOptions } from '../../lib/index.ts';

const pools: Pool[] = [];
function make(options: PoolOptions = {}): Pool {
  const pool = createPool(options);
  pools.push(pool);
  return pool;
}

afterEach(() => {
  for (const pool of pools.splice(0)) {
    expect(pool.check()).toBe(0);
    pool.destroy();
  }
});

const addressOf = (pool: Pool, offset: number) =>
  pool.map().regions[0]?.blocks.find((block) => block.offset === offset);

describe('alloc', () => {
  it.each([0, 1, 64, 100, 4096, 65_536, 65_537, 2 ** 20, 40_000_000])(
    'returns a Buffer of exactly %i bytes, which free takes',
    (size) => {
      const pool = make();
      const block = pool.alloc(size);
      expect(Buffer.isBuffer(block)).toBe(true);
      expect(block.length).toBe(size);
      block.fill(7);
      pool.free(block);
      expect(pool.stats().usedBlocks).toBe(0);
    },
  );

  it('gives every block memory of its own', () => {
    const pool = make();
    const blocks = Array.from({ length: 1000 }, (_, i) => pool.alloc((i * 37) % 5000).fill(i & 0xff));
    expect(pool.check()).toBe(0);
    blocks.forEach((block, i) => {
      expect(block.equals(Buffer.alloc(block.length, i & 0xff))).toBe(true);
      pool.free(block);
    });
    expect(pool.stats()).toMatchObject({ usedBlocks: 0, usedBytes: 0 });
  });

  it('takes sizes as text', () => {
    const pool = make();
    expect(['64 KiB', '1.5MiB', '10 kB', '100'].map((size) => pool.alloc(size).length)).toEqual([
      65_536, 1_572_864, 10_000, 100,
    ]);
  });

  it('takes no more than 5/4 of what is asked for, or a unit of 64 bytes', () => {
    const pool = make();
    for (let size = 1; size < 300_000; size = Math.ceil(size * 1.13)) {
      const block = pool.alloc(size);
      expect(pool.leaks()[0]?.bytes).toBeLessThanOrEqual(Math.max(size * 1.25, Math.ceil(size / 64) * 64 * 2));
      expect(pool.leaks()[0]?.bytes).toBeGreaterThanOrEqual(size);
      pool.free(block);
    }
  });

  it('makes slices, copies and what methods return plain Buffers', () => {
    const pool = make();
    const block = pool.alloc(100);
    const others = [
      block.subarray(1),
      block.slice(1),
      block.map((byte) => byte),
      Buffer.from(block),
      block.filter(Boolean),
    ];
    for (const other of others) {
      expect(() => pool.free(other as Buffer<ArrayBuffer>)).toThrow('not a block');
      expect(Object.getPrototypeOf(other) === Object.getPrototypeOf(block)).toBe(false);
    }
    expect(block.constructor).toBe(Buffer);
    pool.free(block);
  });

  it('has the methods of Buffer', () => {
    const pool = make();
    const block = pool.alloc(16).fill(0);
    block.writeUInt32BE(0xdead_beef, 4);
    block.write('hi', 8, 'latin1');
    expect(block.toString('hex')).toBe('00000000deadbeef6869000000000000');
  });

  it('serves blocks that a file can be read into past the page cache (O_DIRECT), where the file system has it', () => {
    const path = join(mkdtempSync(join(process.cwd(), '.cache', 'direct-')), 'file');
    const pool = createPool();
    const block = pool.allocAligned(8192, 4096).fill('buddymalloc ');
    writeFileSync(path, block);
    let file: number | undefined;
    try {
      file = openSync(path, constants.O_RDONLY | constants.O_DIRECT);
    } catch (error) {
      expect(error).toMatchObject({ code: 'EINVAL' });
    }
    if (file !== undefined) {
      const read = pool.allocAligned(8192, 4096).fill(0);
      expect(readSync(file, read, 0, 8192, 0)).toBe(8192);
      expect(read.equals(block)).toBe(true);
      closeSync(file);
    }
    rmSync(dirname(path), { recursive: true });
    pool.destroy();
  });

  it('serves blocks beyond 4 GiB where ArrayBuffers can be so long, and says so where not', () => {
    const pool = make();
    const size = 5 * 2 ** 30;
    if (MAX_SIZE < size) {
      expect(() => pool.alloc(size)).toThrow(`an integer from 0 to ${MAX_SIZE}`);
      return;
    }
    const block = pool.alloc('5 GiB');
    block[size - 1] = 7;
    expect([block.length, block[size - 1]]).toEqual([size, 7]);
    pool.free(block);
    expect(pool.stats()).toMatchObject({ usedBlocks: 0, mappedBytes: 0 });
  });

  it('gives a large block a region of its own, and unmaps it when it is freed', () => {
    const pool = make({ regionSize: '1 MiB' });
    const block = pool.alloc('3 MiB').fill(1);
    expect(pool.map().regions).toMatchObject([{ bytes: 3 * 2 ** 20 }]);
    pool.free(block);
    expect(block.length).toBe(0);
    expect(pool.map().regions).toEqual([]);
  });
});

describe('the option alignment', () => {
  it.each([64, 512, 4096, 65_536])('puts every block at a multiple of %i', (alignment) => {
    const pool = make({ alignment });
    for (const size of [1, 100, 5000, 100_000]) {
      for (let round = 0; round < 3; round++) expect(pool.alloc(size).byteOffset % alignment).toBe(0);
    }
  });
});

describe('the siblings of alloc', () => {
  it('allocZeroed returns zeros where something else was before', () => {
    const pool = make();
    for (const size of [10, 5000, 300_000]) {
      pool.free(pool.alloc(size).fill(9));
      const block = pool.allocZeroed(size);
      expect(block.equals(Buffer.alloc(size))).toBe(true);
      pool.free(block);
    }
  });

  it.each([64, 4096, 65_536, 2 ** 26])('allocAligned returns a block at a multiple of %i', (alignment) => {
    const pool = make();
    pool.alloc(100);
    pool.allocAligned(100, alignment);
    const { regions } = pool.map();
    const offsets = regions.flatMap((region) => region.blocks.map((block) => block.offset));
    expect(offsets.some((offset) => offset % alignment === 0)).toBe(true);
    expect(pool.stats().usedBlocks).toBe(2);
  });

  it('tryAlloc returns null at the limit, and alloc throws', () => {
    const pool = make({ limit: '64 KiB' });
    const block = pool.tryAlloc('64 KiB');
    expect(block?.length).toBe(65_536);
    expect(pool.tryAlloc(1)).toBe(null);
    expect(() => pool.alloc(1)).toThrow('no room');
  });

  it('typed returns a typed array of the class, which free takes', () => {
    const pool = make();
    for (const Class of [Float64Array, BigInt64Array, Uint16Array, Int8Array]) {
      const array = pool.typed<InstanceType<typeof Class> & NodeJS.ArrayBufferView<ArrayBuffer>>(Class as never, 33);
      expect(array).toBeInstanceOf(Class);
      expect(array.length).toBe(33);
      pool.free(array);
    }
    expect(pool.stats().usedBlocks).toBe(0);
  });

  it('allocArrayBuffer returns an ArrayBuffer of exactly that size, which free detaches', () => {
    const pool = make();
    for (const size of [0, 1, 100, 5000]) {
      const block = pool.allocArrayBuffer(size);
      const view = new Uint8Array(block).fill(1);
      expect(block.byteLength).toBe(size);
      pool.free(block);
      expect([block.byteLength, view.length]).toEqual([0, 0]);
    }
    expect(pool.stats().usedBlocks).toBe(0);
  });

  it('realloc keeps the contents, in place and elsewhere', () => {
    const pool = make();
    let block = pool.alloc(100).fill(5);
    pool.alloc(64);
    for (const size of [200, 5000, 90_000, 3_000_000, 40_000_000, 90, 10]) {
      const old = block;
      const kept = Math.min(old.length, size, 100);
      block = pool.realloc(block, size);
      expect(block.length).toBe(size);
      expect(block.subarray(0, kept).every((byte) => byte === 5)).toBe(true);
      expect(() => pool.free(old)).toThrow('freed or resized');
    }
    expect(pool.stats().usedBlocks).toBe(2);
  });

  it('realloc grows in place where the next block is free', () => {
    const pool = make();
    const block = pool.alloc(100_000);
    const grown = pool.realloc(block, 200_000);
    expect(grown.byteOffset).toBe(block.byteOffset);
  });

  it('leaves the block as it was if realloc finds no room', () => {
    const pool = make({ limit: '64 KiB' });
    const block = pool.alloc(1000).fill(4);
    expect(() => pool.realloc(block, 65_537)).toThrow('no room');
    expect(block.every((byte) => byte === 4)).toBe(true);
    pool.free(block);
  });
});

describe('a limit', () => {
  it('is never exceeded by the bytes in blocks, and can be used up', () => {
    const pool = make({ limit: '1 MiB' });
    let bytes = 0;
    for (let block = pool.tryAlloc(1000); block !== null; block = pool.tryAlloc(1000)) bytes += 1024;
    const { usedBytes, stockedBytes, mappedBytes } = pool.stats();
    expect(usedBytes).toBe(bytes);
    expect(usedBytes + stockedBytes).toBe(2 ** 20);
    expect(mappedBytes).toBe(2 ** 20);
  });

  it('leaves no room that only stocks take up', () => {
    const pool = make({ limit: '4 MiB' });
    const blocks = Array.from({ length: 60 }, () => pool.alloc(500));
    for (const block of blocks) pool.free(block);
    expect(pool.stats().stockedBlocks).toBeGreaterThan(0);
    expect(pool.alloc('4 MiB').length).toBe(2 ** 22);
  });
});

describe('blocks at hand', () => {
  const STOCKED = [65_536, 81_920, 131_072, 524_288, 2 ** 20];

  it.each(['check', 'detach'] as const)(
    'above 64 KiB are those of the size that was freed last (guard %s)',
    (guard) => {
      const pool = make({ guard });
      const own = guard === 'check' ? [] : [pool.allocArrayBuffer(300_000)];
      for (const size of STOCKED) pool.free(pool.alloc(size).fill(1));
      for (const block of own) pool.free(block);
      for (const size of [...STOCKED, ...STOCKED]) pool.free(pool.alloc(size).fill(1));
      expect(pool.stats()).toMatchObject({ usedBlocks: 0, stockedBytes: 65_536 + 2 ** 20 });
      const again = pool.alloc(2 ** 20);
      expect(pool.stats().stockedBytes).toBe(65_536);
      pool.free(again);
      pool.reset();
      pool.free(pool.alloc(300_000));
      expect(pool.stats().stockedBytes).toBe(327_680);
    },
  );
});

describe('allocAsync', () => {
  it('waits until there is room, and serves in turn', async () => {
    const pool = make({ limit: '64 KiB' });
    const first = pool.alloc(65_536);
    const order: number[] = [];
    const second = pool.allocAsync(65_536).then((block) => {
      order.push(2);
      return block;
    });
    const third = pool.allocAsync(100).then((block) => {
      order.push(3);
      return block;
    });
    expect(pool.stats().waiting).toBe(2);
    pool.free(first);
    pool.free(await second);
    pool.free(await third);
    expect(order).toEqual([2, 3]);
  });

  it('rejects with the reason of its signal, and lets the next one go', async () => {
    const pool = make({ limit: '64 KiB' });
    pool.alloc(60_000 - 20_000);
    const aborter = new AbortController();
    const large = pool.allocAsync(65_536, { signal: aborter.signal });
    const small = pool.allocAsync(100);
    aborter.abort(new Error('enough'));
    await expect(large).rejects.toThrow('enough');
    pool.free(await small);
    await expect(pool.allocAsync(1, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('rejects at once what the limit can never hold, and everything that waits when the pool is destroyed', async () => {
    const pool = make({ limit: '64 KiB' });
    await expect(pool.allocAsync(65_537)).rejects.toMatchObject({ code: 'ERR_POOL_FULL' });
    pool.alloc(65_536);
    const waiting = pool.allocAsync(1);
    pool.destroy();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_POOL_DESTROYED' });
  });

  it('gets what a recycler keeps idle', async () => {
    const pool = make({ limit: '64 KiB' });
    const frames = pool.fixed(32_768);
    const both = [frames.acquire(), frames.acquire()];
    frames.release(both[0] as never);
    const waiting = pool.allocAsync(65_536);
    frames.release(both[1] as never);
    expect((await waiting).length).toBe(65_536);
  });

  it('gets it also where the recycler is not used any more', async () => {
    const pool = make({ limit: '64 KiB' });
    const frames = pool.fixed(32_768);
    frames.release(frames.acquire());
    frames.acquire();
    const [first, second] = [pool.allocAsync(1000), pool.allocAsync(40_000)];
    expect([(await first).length, frames.idle]).toEqual([1000, 0]);
    pool.reset();
    expect((await second).length).toBe(40_000);
  });
});

describe('scope', () => {
  it('frees what was allocated inside, but for what it keeps', async () => {
    const pool = make();
    const before = pool.alloc(10);
    const kept = await pool.scope(async ({ keep }) => {
      pool.alloc(100);
      await null;
      pool.typed(Float64Array, 10);
      pool.allocArrayBuffer(10);
      pool.free(pool.alloc(10));
      await pool.allocAsync(100);
      return keep(pool.alloc(10));
    });
    expect(pool.stats().usedBlocks).toBe(2);
    pool.free(kept);
    pool.free(before);
  });

  it('frees also when the function throws, and when an async one rejects', async () => {
    const pool = make();
    const fail = () => {
      pool.alloc(10);
      throw new Error('no');
    };
    expect(() => pool.scope(fail)).toThrow('no');
    await expect(pool.scope(async () => fail())).rejects.toThrow('no');
    expect(pool.stats().usedBlocks).toBe(0);
  });

  it('can be nested, and a resized block stays in its own scope', () => {
    const pool = make();
    pool.scope(() => {
      let outer = pool.alloc(10);
      pool.scope(() => {
        pool.alloc(10);
        outer = pool.realloc(outer, 100_000);
      });
      expect(pool.stats().usedBlocks).toBe(1);
      outer.fill(1);
    });
    expect(pool.stats().usedBlocks).toBe(0);
  });

  it('leaves alone what others allocate at the same time', async () => {
    const pool = make();
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const scoped = pool.scope(async () => {
      pool.alloc(10);
      await opened;
    });
    const mine = pool.alloc(10);
    open();
    await scoped;
    expect(pool.stats().usedBlocks).toBe(1);
    pool.free(mine);
  });
});

describe('Symbol.dispose', () => {
  const dispose = (Symbol as { dispose?: symbol }).dispose as never;

  it('frees a block once, as `using` does at the end of its scope', () => {
    const pool = make();
    const block = pool.alloc(10);
    (block[dispose] as unknown as () => void)();
    expect(pool.stats().usedBlocks).toBe(0);
    (block[dispose] as unknown as () => void)();
  });

  it('leaves a block alone that came to its end otherwise', () => {
    for (const end of [
      (pool: Pool) => pool.reset(),
      (pool: Pool) => pool.destroy(),
      (pool: Pool, block: PoolBuffer) => void pool.handle(block),
    ]) {
      const pool = createPool();
      const block = pool.alloc(10);
      end(pool, block);
      (block[dispose] as unknown as () => void)();
      pool.destroy();
    }
  });

  it('destroys a pool, closes an inbox and releases a shared block', () => {
    const pool = make();
    const inbox = pool.receive(() => {});
    const shared = pool.share(pool.alloc(10), { plain: true });
    for (const each of [inbox, shared, shared, pool, pool]) (each[dispose] as unknown as () => void)();
    expect([shared.isReleased, pool.isDestroyed]).toEqual([true, true]);
  });
});

describe('fixed', () => {
  it('recycles Buffers', () => {
    const pool = make();
    const frames = pool.fixed('4 KiB');
    const first = frames.acquire();
    frames.release(first);
    expect(frames.acquire()).toBe(first);
    expect(frames.acquire()).not.toBe(first);
  });

  it('gives idle blocks back when there is no room for another request', () => {
    const pool = make({ limit: '64 KiB' });
    const frames = pool.fixed('64 KiB');
    frames.release(frames.acquire());
    pool.free(pool.alloc(100));
    expect([frames.idle, frames.acquire().length]).toEqual([0, 65_536]);
    expect(pool.tryAlloc(100)).toBe(null);
  });

  it('lets its blocks be freed, and gives idle ones back', () => {
    const pool = make();
    const frames = pool.fixed(100);
    const blocks = [frames.acquire(), frames.acquire()] as const;
    pool.free(blocks[0]);
    frames.release(blocks[1]);
    expect(frames.trim()).toBe(1);
    expect(pool.stats().usedBlocks).toBe(0);
  });
});

describe('reset, trim and destroy', () => {
  it('reset frees everything at once', () => {
    const pool = make();
    const frames = pool.fixed(100);
    frames.release(frames.acquire());
    for (let i = 0; i < 100; i++) pool.alloc(i * 1000);
    const handle = pool.handle(pool.alloc(10));
    pool.reset();
    expect(pool.stats()).toMatchObject({ usedBlocks: 0, usedBytes: 0, stockedBlocks: 0, handedOver: 0, resets: 1 });
    expect(frames.idle).toBe(0);
    expect(() => pool.adopt(handle)).toThrow('no block waits');
    pool.free(pool.alloc(100));
  });

  it('trim gives back what is free', () => {
    const pool = make({ regionSize: '1 MiB' });
    const block = pool.alloc(100).fill(3);
    for (const other of Array.from({ length: 10 }, () => pool.alloc('512 KiB').fill(1))) pool.free(other);
    expect(pool.trim()).toBeGreaterThan(4 * 2 ** 20);
    expect(block.every((byte) => byte === 3)).toBe(true);
    pool.free(pool.alloc('512 KiB').fill(2));
  });

  it('destroy empties every view of this thread, and can be repeated', () => {
    const pool = make();
    const block = pool.alloc(100);
    const view = block.subarray(10);
    const large = pool.alloc(40_000_000);
    pool.destroy();
    expect([block.length, view.length, large.length]).toEqual([0, 0, 0]);
    expect(pool.isDestroyed).toBe(true);
    pool.destroy();
  });
});

describe('a name', () => {
  it('is one pool for all who open it', () => {
    const pool = make({ name: 'one', limit: '1 MiB' });
    expect(openPool('one')).toBe(pool);
    expect(createPool({ name: 'one', limit: '1024 KiB' })).toBe(pool);
    pool.alloc(100);
    expect(openPool('one').stats().usedBlocks).toBe(1);
  });

  it('is free again when its pool was destroyed', () => {
    make({ name: 'again', limit: '1 MiB' }).destroy();
    expect(make({ name: 'again', limit: '2 MiB' }).stats().limit).toBe(2 ** 21);
  });
});

describe('map and leaks', () => {
  it('show every block', () => {
    const pool = make();
    pool.free(pool.alloc(64));
    const block = pool.alloc(200);
    pool.handle(pool.alloc(5000));
    pool.share(pool.alloc(70_000), { plain: true });
    const states = pool.map().regions.flatMap((region) => region.blocks.map(({ bytes, state }) => [bytes, state]));
    expect(states).toEqual(
      expect.arrayContaining([
        [64, 'stocked'],
        [256, 'used'],
        [5120, 'handedOver'],
        [81_920, 'shared'],
      ]),
    );
    expect(addressOf(pool, block.byteOffset)).toMatchObject({ bytes: 256, state: 'used' });
    expect(
      pool
        .leaks()
        .map(({ thread }) => thread)
        .sort(),
    ).toEqual(['handedOver', 'shared', 'this']);
  });

  it('tell where a block was allocated, with the option trace', () => {
    const pool = make({ trace: true });
    pool.free(pool.alloc(100));
    pool.alloc(200);
    const inPlace = pool.realloc(pool.alloc(300), 600);
    pool.adopt(pool.handle(pool.typed(Uint8Array, 1000)));
    pool.fixed(2000).acquire();
    pool.allocArrayBuffer(4000);
    expect(inPlace.length).toBe(600);
    // Its first line is the program's, whatever way the block took in here.
    const firstLines = pool.leaks().map(({ bytes, stack }) => [bytes, stack?.split('\n')[0]]);
    const here = expect.stringMatching(/^ +at .*pool\.test\.ts:\d+:\d+\)?$/);
    expect(firstLines).toEqual(expect.arrayContaining([256, 640, 1024, 2048, 4096].map((bytes) => [bytes, here])));
  });
});

describe('handle and adopt', () => {
  it('move a block within a thread too', () => {
    const pool = make();
    const block = pool.alloc(50).fill(3);
    const adopted = pool.adopt(pool.handle(block));
    expect(adopted.equals(Buffer.alloc(50, 3))).toBe(true);
    pool.free(adopted);
  });

  it('free what nobody adopts by reclaim', () => {
    const pool = make();
    const handle = pool.handle(pool.alloc(50));
    expect(pool.reclaim(60_000)).toBe(0);
    expect(pool.reclaim()).toBe(1);
    expect(() => pool.adopt(handle)).toThrow('no block waits');
  });
});

describe('share', () => {
  it.each([true, false])('shows one memory to all users, freed after the last (plain: %s)', (plain) => {
    const pool = make();
    const shared = pool.share(pool.alloc(100).fill(1), { plain });
    const again = pool.openShared(shared.handle, { plain });
    again.bytes[99] = 7;
    expect([shared.bytes[0], shared.bytes[99], shared.length]).toEqual([1, 7, 100]);
    expect(pool.stats().shared).toBe(1);
    shared.release();
    again.release();
    if (plain) {
      expect(pool.stats()).toMatchObject({ shared: 0, usedBlocks: 0 });
      expect(() => pool.openShared(shared.handle)).toThrow('no block waits');
    }
  });

  it('gives a SharedArrayBuffer where this Node can make one', () => {
    const pool = make();
    const shared = pool.share(pool.alloc(64));
    expect(shared.isAtomic).toBe(shared.buffer instanceof SharedArrayBuffer);
    const [major = 0] = process.versions.node.split('.').map(Number);
    if (major >= 24) expect(shared.isAtomic).toBe(true);
    if (major === 20) expect(shared.isAtomic).toBe(false);
    expect(Atomics.add(new Int32Array(shared.buffer), 0, 1)).toBeTypeOf('number');
  });
});
