import { Buffer } from 'node:buffer';
import { close, open, read } from 'node:fs';
import { addAbortSignal, Readable } from 'node:stream';
import { BuddyMallocError } from '../binding.ts';
import { codedError } from '../errors.ts';
import { isAborted, refuseUnknown, requireObject, wrongType } from '../options.ts';
import type { PoolBuffer } from './block.ts';
import { freeIfLive } from './outgoing.ts';
import { Pipe } from './pipe.ts';
import type { Pool } from './pool.ts';
import { type Size, toBytes } from './sizes.ts';

/** The options of {@link createPooledReadStream}. */
export interface PooledReadStreamOptions {
  /** The first byte to read; default 0, or where a file that cannot be read by position is. */
  start?: number;
  /** The last byte to read, itself included, as in `fs.createReadStream`; default: the file's last. */
  end?: number;
  /** Bytes of each chunk, at most; default 256 KiB. One more chunk of that size is read ahead if the pool has room. */
  highWaterMark?: Size;
  /** Destroys the stream when it is aborted. */
  signal?: AbortSignal;
}

const OPTIONS: readonly string[] = ['start', 'end', 'highWaterMark', 'signal'];
const CHUNK_BYTES = 262_144;
/** What one read of the system gives at most. */
const MOST_CHUNK_BYTES = 2 ** 30;

/** A chunk that is not the pool's again yet. */
interface Lent {
  block: PoolBuffer;
  bytes: number;
  /** How many still need it: the stream itself until the next chunk was asked for, loops and pipes. */
  holds: number;
}

async function* copiesOf(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<Buffer | string> {
  for await (const chunk of chunks) yield typeof chunk === 'string' ? chunk : Buffer.from(chunk);
}

/** A file read into blocks of a pool, made by {@link createPooledReadStream}, which says when they go back. */
export class PooledReadStream extends Readable {
  /** Bytes read so far. */
  bytesRead = 0;
  readonly #path: string | Buffer | URL;
  readonly #pool: Pool;
  readonly #chunkBytes: number;
  /** Where the next read begins; null where the file itself keeps that. */
  #position: number | null;
  /** Bytes that may still be read. */
  #left: number;
  #file: number | undefined;
  /** The chunk that was read ahead, the file's end, or what went wrong. */
  #ready: PoolBuffer | Error | null | undefined;
  #isReading = false;
  #isWanted = false;
  /** What `_destroy` waits for while the system reads. */
  #whenIdle: (() => void) | undefined;
  readonly #waiting = new AbortController();
  /** Pushed and not asked beyond yet, in order. */
  readonly #passing: Lent[] = [];
  readonly #lent = new Map<object, Lent>();
  readonly #pipes = new Map<NodeJS.WritableStream, Pipe>();

  /** @internal */
  constructor(path: string | Buffer | URL, pool: Pool, options: PooledReadStreamOptions) {
    requireObject(options);
    refuseUnknown(options, OPTIONS);
    if (typeof pool?.tryAlloc !== 'function' || typeof pool.allocAsync !== 'function')
      throw wrongType('pool must be a pool');
    const { start, end = Number.MAX_SAFE_INTEGER, highWaterMark = CHUNK_BYTES, signal } = options;
    const first = start === undefined ? 0 : toBytes(start, 'start', Number.MAX_SAFE_INTEGER);
    const last = end === Infinity ? Number.MAX_SAFE_INTEGER : toBytes(end, 'end', Number.MAX_SAFE_INTEGER);
    if (first > last) {
      throw codedError(RangeError, 'ERR_OUT_OF_RANGE', `start must not be beyond end, ${last}; received ${first}`);
    }
    // Throws if it is none; an aborted one destroys the stream.
    if (signal !== undefined) isAborted(signal);
    const chunkBytes = toBytes(highWaterMark, 'highWaterMark', MOST_CHUNK_BYTES);
    // Node buffers nothing, so that it asks for a chunk only when the one before has been consumed.
    super({ highWaterMark: 0 });
    this.#path = path;
    this.#pool = pool;
    this.#chunkBytes = Math.max(chunkBytes, 1);
    this.#position = start === undefined ? null : first;
    this.#left = last === Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : last - first + 1;
    // Last, since it destroys the stream at once if it was aborted before.
    if (signal !== undefined) addAbortSignal(signal, this);
  }

  /**
   * Takes a chunk out of the stream's care: it does not go back by itself, and is the program's to free or to hand over. To be
   * called while the chunk is the consumer's.
   * @returns the chunk
   * @throws BuddyMallocError `ERR_FOREIGN_BUFFER` if it is no chunk that this stream has lent: a part of one, or gone back already
   * @example
   * const pool = createPool();
   * const kept = [];
   * const file = createPooledReadStream('package.json', pool);
   * for await (const chunk of file) kept.push(file.keep(chunk));
   * pool.stats().usedBlocks === kept.length; // true
   * pool.destroy();
   */
  keep(chunk: PoolBuffer): PoolBuffer {
    const lent = this.#lent.get(chunk);
    if (lent === undefined) throw new BuddyMallocError('ERR_FOREIGN_BUFFER', 'the buffer is no chunk that is lent');
    this.#lent.delete(chunk);
    lent.holds = Number.POSITIVE_INFINITY;
    return chunk;
  }

  /**
   * Has a chunk wait for one more release. For loops and pipes.
   * @internal
   */
  hold(chunk: object): void {
    const lent = this.#lent.get(chunk);
    if (lent !== undefined) lent.holds++;
  }

  /** @internal */
  release(chunk: object): void {
    const lent = this.#lent.get(chunk);
    if (lent !== undefined) this.#drop(lent);
  }

  /** @internal */
  override pipe<T extends NodeJS.WritableStream>(destination: T, options: { end?: boolean | undefined } = {}): T {
    this.#pipes.get(destination)?.end();
    const pipe = new Pipe(this, destination, options.end !== false, () => this.#pipes.delete(destination));
    this.#pipes.set(destination, pipe);
    pipe.begin();
    return destination;
  }

  /**
   * Flows unless one of the destinations has enough.
   * @internal
   */
  flow(): void {
    if ([...this.#pipes.values()].some(({ isFull }) => isFull)) this.pause();
    else this.resume();
  }

  /** @internal */
  override unpipe(destination?: NodeJS.WritableStream): this {
    const pipes = destination === undefined ? [...this.#pipes.values()] : [this.#pipes.get(destination)];
    for (const pipe of pipes) pipe?.end();
    return this;
  }

  /** @internal A chunk is a loop's own until its body has ended, also if the stream is destroyed meanwhile. */
  override async *[Symbol.asyncIterator](): NodeJS.AsyncIterator<PoolBuffer> {
    for await (const chunk of { [Symbol.asyncIterator]: () => super[Symbol.asyncIterator]() }) {
      this.hold(chunk);
      try {
        yield chunk;
      } finally {
        this.release(chunk);
      }
    }
  }

  /** @internal Of copies: all chunks at once are more than the stream lends. */
  override toArray(options?: Parameters<Readable['toArray']>[0]): ReturnType<Readable['toArray']> {
    return Readable.from(copiesOf(this)).toArray(options);
  }

  /** @internal Node asks for more: what was consumed goes back. */
  override _read(): void {
    this.#dropPassed(this.readableLength);
    this.#isWanted = true;
    if (this.#ready !== undefined) this.#deliver();
    else if (this.#file === undefined) this.#open();
    else this.#fill();
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#waiting.abort();
    const end = () => {
      if (this.#ready instanceof Uint8Array) freeIfLive(this.#ready);
      this.#ready = undefined;
      this.#dropPassed(-1);
      if (this.#file === undefined) callback(error);
      else close(this.#file, (closing) => callback(error ?? closing));
      this.#file = undefined;
    };
    if (this.#isReading) this.#whenIdle = end;
    else end();
  }

  /** At the first request: Node does not ask again after `_construct` where the stream buffers nothing. */
  #open(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      open(this.#path, (error, file) => this.#opened(error, file));
    } catch (error) {
      // A path that is none.
      this.#settle(error as Error);
    }
  }

  #opened(error: Error | null, file: number): void {
    if (error === null) this.#file = file;
    if (error !== null || this.destroyed) {
      this.#settle(error);
      return;
    }
    this.#isReading = false;
    this.#fill();
  }

  /** Passes on what was read ahead, and reads on. */
  #deliver(): void {
    const ready = this.#ready;
    if (ready instanceof Error) {
      this.destroy(ready);
      return;
    }
    this.#isWanted = false;
    if (ready === null) {
      this.push(null);
      return;
    }
    this.#ready = undefined;
    const block = ready as PoolBuffer;
    const lent = { block, bytes: block.length, holds: 1 };
    this.#lent.set(block, lent);
    this.#passing.push(lent);
    // Before the consumer gets its turn, so that both are at work at once.
    this.#fill();
    this.push(block);
  }

  /** Lets go of what was pushed but for the last `buffered` bytes, which Node has not given out yet. */
  #dropPassed(buffered: number): void {
    let bytes = this.#passing.reduce((sum, lent) => sum + lent.bytes, 0);
    while (this.#passing.length > 0 && bytes - (this.#passing[0] as Lent).bytes >= buffered) {
      const lent = this.#passing.shift() as Lent;
      bytes -= lent.bytes;
      this.#drop(lent);
    }
  }

  #drop(lent: Lent): void {
    lent.holds--;
    if (lent.holds > 0) return;
    this.#lent.delete(lent.block);
    freeIfLive(lent.block);
  }

  /** Reads a chunk if none is ready; without room in the pool only if somebody waits for it. */
  #fill(): void {
    if (this.#isReading || this.#ready !== undefined || this.destroyed) return;
    const bytes = Math.min(this.#chunkBytes, this.#left);
    if (bytes === 0) {
      this.#settle(null);
      return;
    }
    this.#isReading = true;
    try {
      const block = this.#pool.tryAlloc(bytes);
      if (block !== null) {
        this.#readInto(block);
        return;
      }
    } catch (error) {
      this.#settle(error as Error);
      return;
    }
    if (!this.#isWanted) {
      this.#isReading = false;
      return;
    }
    this.#pool
      .allocAsync(bytes, { signal: this.#waiting.signal })
      .then((block) => this.#readInto(block))
      .catch((error) => this.#settle(error));
  }

  #readInto(block: PoolBuffer): void {
    if (this.destroyed) {
      this.#settle(block);
      return;
    }
    read(this.#file as number, block, 0, block.length, this.#position, (error, bytes) => {
      if (error !== null || bytes === 0) {
        freeIfLive(block);
        this.#settle(error);
        return;
      }
      this.bytesRead += bytes;
      this.#left -= bytes;
      if (this.#position !== null) this.#position += bytes;
      let chunk: PoolBuffer | Error = block;
      try {
        if (bytes !== block.length) chunk = this.#pool.realloc(block, bytes);
      } catch (failure) {
        freeIfLive(block);
        chunk = failure as Error;
      }
      // What its consumer throws is the program's affair.
      this.#settle(chunk);
    });
  }

  /** The reading that was under way has come to this. */
  #settle(result: PoolBuffer | Error | null): void {
    this.#isReading = false;
    this.#ready = result;
    if (this.#whenIdle !== undefined) this.#whenIdle();
    else if (this.#isWanted && !this.destroyed) this.#deliver();
  }
}

/**
 * Reads a file as a stream whose chunks are blocks of a pool, and go back to it as soon as they are consumed: a few chunks of warm
 * memory serve for a file of any length. If the pool is full, the stream waits its turn ({@link Pool.allocAsync}): the limit must
 * have room for a chunk of each stream, and that of the slowest consumer.
 *
 * A chunk belongs to the consumer
 * - in `for await` until the loop's body has ended, also if the stream was destroyed meanwhile;
 * - in `pipe` and `pipeline` until the destination has finished the write, or was closed. One that passes chunks on instead of
 *   using them up, such as a PassThrough, must be given copies;
 * - with `'data'`, until the listeners have returned; if one of them pauses the stream, until it is resumed or destroyed;
 * - with `read()`, until the next `read()`, or until the stream is destroyed.
 *
 * What must live longer is copied, or kept with {@link PooledReadStream.keep}. A chunk that the consumer has freed, handed over or
 * shared itself is left alone (with the guard `'off'` the pool cannot tell that it was freed: keep it first). When the stream is closed,
 * nothing is lent any more but what is held by a loop's body or an unfinished write.
 * @param path - of the file
 * @param pool - where the chunks come from
 * @returns the stream, an ordinary Readable
 * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if `pool` or an option is none, RangeError `ERR_OUT_OF_RANGE` if one is
 * outside its interval
 * @throws the errors of opening and reading the file and those of {@link Pool.allocAsync}, as `'error'` of the stream
 * @example
 * const pool = createPool({ limit: '1 MiB' });
 * let length = 0;
 * for await (const chunk of createPooledReadStream('package.json', pool)) length += chunk.length;
 * length > 0; // true
 * pool.stats().usedBlocks; // 0
 * pool.destroy();
 */
export function createPooledReadStream(
  path: string | Buffer | URL,
  pool: Pool,
  options: PooledReadStreamOptions = {},
): PooledReadStream {
  return new PooledReadStream(path, pool, options);
}
