import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  createReadStream,
  createWriteStream,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPool, createPooledReadStream, type Pool, type PoolBuffer, writeAndFree } from '../../lib/index.ts';
import { runNode } from '../package/run-node.ts';

const folder = mkdtempSync(join(tmpdir(), 'buddymalloc-stream-'));
const path = join(folder, 'file');
const content = Buffer.from(Uint8Array.from({ length: 1_000_003 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
writeFileSync(path, content);
afterAll(() => rmSync(folder, { recursive: true }));

let pool: Pool;
let files: number;
const openFiles = () => readdirSync('/proc/self/fd').length;
const used = () => pool.stats().usedBlocks;

beforeEach(() => {
  pool = createPool({ limit: '4 MiB', poison: true });
  files = openFiles();
});

/** Every block is back, and the file is closed. */
afterEach(async () => {
  // A destination may finish before its source has closed the file.
  await vi.waitFor(() => expect(openFiles()).toBeLessThanOrEqual(files));
  expect(used()).toBe(0);
  expect(pool.check()).toBe(0);
  pool.destroy();
});

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of stream) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

const closed = (stream: Readable) =>
  stream.closed ? undefined : new Promise<void>((resolve) => stream.once('close', resolve));

/** A destination that keeps each chunk until it is told to finish the write, and copies it only then. */
class Slow extends Writable {
  readonly parts: Buffer[] = [];
  finishOne: (() => void) | undefined;
  readonly #isByHand: boolean;
  constructor(highWaterMark: number, isByHand = false) {
    super({ highWaterMark });
    this.#isByHand = isByHand;
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const finish = () => {
      this.parts.push(Buffer.from(chunk));
      done();
    };
    if (this.#isByHand) this.finishOne = finish;
    else setImmediate(finish);
  }
}

describe('a pooled stream', () => {
  it.each([[{}], [{ highWaterMark: 1000 }], [{ highWaterMark: '64 KiB' }], [{ highWaterMark: 4_000_000 }]])(
    'reads the whole file, with the options %j',
    async (options) => {
      expect((await bytesOf(createPooledReadStream(path, pool, options))).equals(content)).toBe(true);
    },
  );

  it.each([
    { start: 0, end: 0 },
    { start: 17, end: 70_000 },
    { end: 999 },
    { start: 999_999 },
    { start: 5_000_000 },
    { start: 3, end: Number.POSITIVE_INFINITY },
  ])('reads what createReadStream reads with %j', async (range) => {
    const expected = await bytesOf(createReadStream(path, range));
    const stream = createPooledReadStream(path, pool, { ...range, highWaterMark: 4096 });
    expect((await bytesOf(stream)).equals(expected)).toBe(true);
    expect(stream.bytesRead).toBe(expected.length);
  });

  it('reads a file that has no positions, such as a pipe', async () => {
    const text = await bytesOf(createPooledReadStream('/proc/self/status', pool));
    expect(text.toString()).toMatch(/^Name:/);
  });

  it('ends at once for an empty file', async () => {
    writeFileSync(join(folder, 'empty'), '');
    expect(await bytesOf(createPooledReadStream(join(folder, 'empty'), pool))).toHaveLength(0);
  });

  it('gives chunks that are blocks of the pool, two at a time and no more', async () => {
    let most = 0;
    const memory = new Set<number>();
    for await (const chunk of createPooledReadStream(path, pool, { highWaterMark: 10_000 })) {
      most = Math.max(most, used());
      memory.add(chunk.byteOffset);
    }
    expect(most).toBe(2);
    expect(memory.size).toBeLessThanOrEqual(3);
  });
});

describe('a chunk', () => {
  it('stays what it is until the loop’s body has ended, and goes back then', async () => {
    const stream = createPooledReadStream(path, pool, { highWaterMark: 50_000 });
    let at = 0;
    let before: PoolBuffer | undefined;
    for await (const chunk of stream) {
      if (before !== undefined) expect(() => pool.free(before as PoolBuffer)).toThrow('freed');
      await turn();
      expect(chunk.equals(content.subarray(at, at + chunk.length))).toBe(true);
      at += chunk.length;
      before = chunk;
    }
    expect(at).toBe(content.length);
  });

  it('stays the loop’s also if the stream is destroyed meanwhile', async () => {
    const stream = createPooledReadStream(path, pool, { highWaterMark: 50_000 });
    const loop = async () => {
      for await (const chunk of stream) {
        stream.destroy(new Error('enough'));
        await closed(stream);
        expect(used()).toBe(1);
        expect(chunk.equals(content.subarray(0, 50_000))).toBe(true);
      }
    };
    await expect(loop()).rejects.toThrow('enough');
  });

  it('goes back when a loop is left', async () => {
    const stream = createPooledReadStream(path, pool, { highWaterMark: 50_000 });
    for await (const _ of stream) break;
    await closed(stream);
  });

  it('goes back when the listeners of data have returned, or the stream is resumed', async () => {
    const stream = createPooledReadStream(path, pool, { highWaterMark: 50_000 });
    let at = 0;
    let most = 0;
    stream.on('data', (chunk: PoolBuffer) => {
      stream.pause();
      setImmediate(() => {
        most = Math.max(most, used());
        expect(chunk.equals(content.subarray(at, at + chunk.length))).toBe(true);
        at += chunk.length;
        stream.resume();
      });
    });
    await once(stream, 'end');
    await closed(stream);
    expect([at, most]).toEqual([content.length, 2]);
  });

  it('goes back at the next read(), in parts too', async () => {
    const stream = createPooledReadStream(path, pool, { highWaterMark: 5000 });
    const parts: Buffer[] = [];
    stream.on('readable', () => {
      for (let part = stream.read(1777); part !== null; part = stream.read(1777)) parts.push(Buffer.from(part));
    });
    await once(stream, 'end');
    await closed(stream);
    expect(Buffer.concat(parts).equals(content)).toBe(true);
  });

  it('whose listener throws is an uncaught exception, as with any stream', async () => {
    const { stdout } = await runNode(
      `import { createPool, createPooledReadStream } from 'buddymalloc';
       const pool = createPool();
       const stream = createPooledReadStream('package.json', pool, { highWaterMark: 1000 });
       process.on('uncaughtException', ({ message }) => {
         stream.destroy().on('close', () => console.log(message, stream.bytesRead >= 1000, pool.stats().usedBlocks));
       });
       stream.on('data', () => { throw new Error('no'); });`,
    );
    expect(stdout).toBe('no true 0');
  });

  it('is decoded if the stream has an encoding', async () => {
    const stream = createPooledReadStream(path, pool, { highWaterMark: 5000 });
    let text = '';
    for await (const part of stream.setEncoding('latin1') as AsyncIterable<string>) text += part;
    expect(text).toBe(content.toString('latin1'));
  });

  it('is copied by toArray()', async () => {
    const parts = await createPooledReadStream(path, pool, { highWaterMark: 100_000 }).toArray();
    expect(Buffer.concat(parts).equals(content)).toBe(true);
    const aborted = createPooledReadStream(path, pool).toArray({ signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('that was kept stays, and one that was freed or handed over is left alone', async () => {
    const stream = createPooledReadStream(path, pool, { highWaterMark: 300_000 });
    const kept: PoolBuffer[] = [];
    const handles: number[] = [];
    let i = 0;
    for await (const chunk of stream as AsyncIterable<PoolBuffer>) {
      if (i === 0) kept.push(stream.keep(chunk));
      if (i === 1) handles.push(pool.handle(chunk));
      if (i === 2) pool.free(chunk);
      i++;
    }
    expect(used()).toBe(2);
    const both = [kept[0] as PoolBuffer, pool.adopt(handles[0] as number)];
    expect(Buffer.concat(both).equals(content.subarray(0, 600_000))).toBe(true);
    for (const block of both) pool.free(block);
    expect(() => stream.keep(both[0] as PoolBuffer)).toThrow('lent');
  });
});

describe('pipe', () => {
  it.each([1, 16_384, 300_000, 10_000_000])(
    'holds each chunk until its write has finished, into a destination that buffers %i bytes',
    async (highWaterMark) => {
      const slow = new Slow(highWaterMark);
      createPooledReadStream(path, pool, { highWaterMark: 20_000 }).pipe(slow);
      await once(slow, 'finish');
      expect(Buffer.concat(slow.parts).equals(content)).toBe(true);
    },
  );

  it('into several destinations at once holds it for the slowest', async () => {
    const sinks = [new Slow(1), new Slow(200_000), new Slow(10_000_000)];
    const stream = createPooledReadStream(path, pool, { highWaterMark: 20_000 });
    for (const sink of sinks) stream.pipe(sink);
    await Promise.all(sinks.map((sink) => once(sink, 'finish')));
    for (const sink of sinks) expect(Buffer.concat(sink.parts).equals(content)).toBe(true);
  });

  it('pipeline into a file, a hash and a socket keep every byte', async () => {
    await pipeline(createPooledReadStream(path, pool), createWriteStream(join(folder, 'copy')));
    expect(readFileSync(join(folder, 'copy')).equals(content)).toBe(true);
    const hash = createHash('sha256');
    await pipeline(createPooledReadStream(path, pool), hash);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(content).digest('hex'));
    const server = createServer((socket) => void pipeline(createPooledReadStream(path, pool), socket)).listen(0);
    await once(server, 'listening');
    const socket = connect((server.address() as { port: number }).port);
    expect((await bytesOf(socket)).equals(content)).toBe(true);
    server.close();
    await once(server, 'close');
    files = openFiles();
  });

  it('pipeline through copies keeps every byte', async () => {
    const copy = new Transform({ transform: (chunk, _encoding, done) => done(null, Buffer.from(chunk)) });
    const slow = new Slow(100_000);
    await pipeline(createPooledReadStream(path, pool, { highWaterMark: 7000 }), copy, new PassThrough(), slow);
    expect(Buffer.concat(slow.parts).equals(content)).toBe(true);
  });

  it('leaves an unfinished write its chunk when the source is destroyed', async () => {
    const slow = new Slow(1, true);
    const stream = createPooledReadStream(path, pool, { highWaterMark: 20_000 });
    stream.pipe(slow);
    while (slow.finishOne === undefined) await turn();
    stream.destroy();
    await closed(stream);
    expect(used()).toBe(1);
    slow.finishOne();
    expect(slow.parts[0]?.equals(content.subarray(0, 20_000))).toBe(true);
  });

  it('gives chunks back when the destination is closed without having finished', async () => {
    const slow = new Slow(1_000_000, true);
    const stream = createPooledReadStream(path, pool, { highWaterMark: 20_000 });
    const end = pipeline(stream, slow);
    while (slow.finishOne === undefined) await turn();
    slow.destroy();
    await expect(end).rejects.toThrow('Premature close');
    await closed(stream);
  });

  it('gives the chunk back when the destination throws', async () => {
    const { stdout } = await runNode(
      `import { createPool, createPooledReadStream } from 'buddymalloc';
       import { Writable } from 'node:stream';
       const pool = createPool();
       const broken = new Writable();
       broken.write = () => { throw new Error('no'); };
       const stream = createPooledReadStream('package.json', pool);
       process.on('uncaughtException', ({ message }) => { stream.destroy(); stream.on('close', () => console.log(message, pool.stats().usedBlocks)); });
       stream.pipe(broken);`,
    );
    expect(stdout).toBe('no 0');
  });

  it('stops at unpipe, and goes on elsewhere', async () => {
    const [first, second] = [new Slow(1), new Slow(1)];
    const stream = createPooledReadStream(path, pool, { highWaterMark: 20_000 });
    stream.pipe(first);
    while (first.parts.length < 3) await turn();
    stream.unpipe(first);
    stream.pipe(second);
    await once(second, 'finish');
    await new Promise((resolve) => first.end(resolve));
    expect(Buffer.concat([...first.parts, ...second.parts]).equals(content)).toBe(true);
  });
});

describe('the pool’s limit', () => {
  it('holds streams back until there is room, each in its turn', async () => {
    const small = createPool({ limit: '128 KiB' });
    const streams = Array.from({ length: 6 }, () => createPooledReadStream(path, small, { highWaterMark: '64 KiB' }));
    const contents = await Promise.all(streams.map(bytesOf));
    expect(contents.every((bytes) => bytes.equals(content))).toBe(true);
    expect(small.stats().usedBlocks).toBe(0);
    small.destroy();
  });

  it('is no error while a stream waits, and the wait ends with the stream', async () => {
    const small = createPool({ limit: '64 KiB' });
    const block = small.alloc('64 KiB');
    const stream = createPooledReadStream(path, small, { highWaterMark: '64 KiB' });
    stream.resume();
    while (small.stats().waiting === 0) await turn();
    stream.destroy();
    await closed(stream);
    expect(small.stats()).toMatchObject({ waiting: 0, usedBlocks: 1 });
    small.free(block);
    small.destroy();
  });
});

describe('an error', () => {
  it('of a file that is not there is the stream’s', async () => {
    await expect(bytesOf(createPooledReadStream(join(folder, 'none'), pool))).rejects.toThrow('ENOENT');
  });

  it.each([undefined, 3, {}, 'a\0b'])('of a path that is none, such as %j, is the stream’s', async (path) => {
    await expect(bytesOf(createPooledReadStream(path as never, pool))).rejects.toMatchObject({ name: 'TypeError' });
  });

  it('of reading a folder comes with every block given back', async () => {
    await expect(bytesOf(createPooledReadStream(folder, pool))).rejects.toThrow('EISDIR');
  });

  it('of a limit smaller than a chunk is the stream’s', async () => {
    const small = createPool({ limit: '64 KiB' });
    await expect(bytesOf(createPooledReadStream(path, small))).rejects.toMatchObject({ code: 'ERR_POOL_FULL' });
    small.destroy();
  });

  it('is what an aborted signal makes, before and in the middle', async () => {
    const early = bytesOf(createPooledReadStream(path, pool, { signal: AbortSignal.abort() }));
    await expect(early).rejects.toMatchObject({ name: 'AbortError' });
    const controller = new AbortController();
    const stream = createPooledReadStream(path, pool, { highWaterMark: 1000, signal: controller.signal });
    stream.once('data', () => controller.abort());
    const [error] = await once(stream, 'error');
    expect(error.name).toBe('AbortError');
    await closed(stream);
  });

  it('of the options is thrown', () => {
    const codeOf = (options: object) => {
      try {
        return createPooledReadStream(path, pool, options).destroy();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect([{ start: -1 }, { end: 0.5 }, { start: 2, end: 1 }, { highWaterMark: 2 ** 31 }].map(codeOf)).toEqual(
      Array(4).fill('ERR_OUT_OF_RANGE'),
    );
    for (const wrong of [{ highWaterMark: 'many' }, { encoding: 'utf8' }])
      expect(codeOf(wrong)).toBe('ERR_INVALID_ARG_VALUE');
  });

  it('ends the stream when the pool is destroyed under it', async () => {
    const other = createPool();
    const loop = async () => {
      for await (const _ of createPooledReadStream(path, other, { highWaterMark: 1000 })) other.destroy();
    };
    await expect(loop()).rejects.toMatchObject({ code: 'ERR_POOL_DESTROYED' });
  });
});

describe('writeAndFree', () => {
  it('frees the block when the write has finished, and not before', async () => {
    const slow = new Slow(1, true);
    const done = new Promise((resolve) => expect(writeAndFree(slow, pool.alloc(5).fill(1), resolve)).toBe(false));
    await turn();
    expect(used()).toBe(1);
    slow.finishOne?.();
    expect(await done).toBeFalsy();
    expect([used(), slow.parts[0]?.equals(Buffer.alloc(5, 1))]).toEqual([0, true]);
  });

  it('frees it when the write fails, or the stream has ended or is destroyed', async () => {
    const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('no room')) });
    const ended = new Slow(1).end();
    const destroyed = new Slow(1).destroy();
    for (const stream of [failing, ended, destroyed]) {
      stream.on('error', () => {});
      const error = await new Promise<Error | null | undefined>((resolve) =>
        writeAndFree(stream, pool.alloc(100), resolve),
      );
      expect(error).toBeInstanceOf(Error);
      expect(used()).toBe(0);
    }
  });

  it('frees it when a stream that never calls back is closed', async () => {
    const silent = new Writable({ write: () => {} });
    for (let i = 0; i < 20; i++) writeAndFree(silent, pool.alloc(100));
    expect(used()).toBe(20);
    silent.destroy();
    await once(silent, 'close');
    await turn();
  });

  it('frees it when a stream is closed though callbacks throw', async () => {
    const { stdout } = await runNode(
      `import { createPool, writeAndFree } from 'buddymalloc';
       import { Writable } from 'node:stream';
       const pool = createPool();
       let thrown = 0;
       process.on('uncaughtException', ({ message }) => { thrown += message === 'no' ? 1 : 100; });
       const silent = new Writable({ write: () => {} });
       for (let i = 0; i < 5; i++) writeAndFree(silent, pool.alloc(100), () => { throw new Error('no'); });
       silent.destroy();
       process.on('exit', () => console.log(thrown, pool.stats().usedBlocks));`,
    );
    expect(stdout).toBe('5 0');
  });

  it('serves sockets, whole or broken off', async () => {
    const server = createServer((socket) => {
      for (let i = 0; i < 50; i++) writeAndFree(socket, pool.alloc(20_000).fill(i));
      socket.on('error', () => {});
      socket.end();
    }).listen(0);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const bytes = await bytesOf(connect(port));
    expect([bytes.length, bytes.every((byte, i) => byte === Math.floor(i / 20_000))]).toEqual([1_000_000, true]);
    const broken = connect(port);
    await once(broken, 'data');
    broken.resetAndDestroy();
    while (used() > 0) await turn();
    server.close();
    await once(server, 'close');
    files = openFiles();
  });

  it('takes blocks only, and leaves them alone where it throws', () => {
    const slow = new Slow(1);
    const freed = pool.alloc(1);
    pool.free(freed);
    const moved = pool.alloc(1);
    const handle = pool.handle(moved);
    const block = pool.alloc(1);
    const codeOf = (action: () => unknown) => {
      try {
        return action();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const wrong = [8, null, Buffer.alloc(1), block.subarray(0, 1), freed, moved];
    expect(wrong.map((what) => codeOf(() => writeAndFree(slow, what as PoolBuffer)))).toEqual([
      'ERR_INVALID_ARG_TYPE',
      'ERR_INVALID_ARG_TYPE',
      'ERR_FOREIGN_BUFFER',
      'ERR_FOREIGN_BUFFER',
      'ERR_USE_AFTER_FREE',
      'ERR_BLOCK_MOVED',
    ]);
    expect(codeOf(() => writeAndFree(undefined as never, block))).toBe('ERR_INVALID_ARG_TYPE');
    pool.free(block);
    pool.free(pool.adopt(handle));
    const recycled = pool.fixed(1).acquire();
    pool.reset();
    expect(codeOf(() => writeAndFree(slow, recycled))).toBe('ERR_USE_AFTER_FREE');
  });
});
