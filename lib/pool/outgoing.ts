import { nextTick } from 'node:process';
import type { Writable } from 'node:stream';
import { BuddyMallocError } from '../binding.ts';
import { codedError } from '../errors.ts';
import { FREED, homeOfBuffer, MOVED, type PoolBuffer, placeOfBuffer, SHARED } from './block.ts';

/** What is to be done for each write that a stream has not finished, should it close before. */
const unfinished = new WeakMap<NodeJS.WritableStream, Set<() => void>>();

function unfinishedOf(stream: NodeJS.WritableStream): Set<() => void> {
  let tasks = unfinished.get(stream);
  if (tasks === undefined) {
    const waiting = new Set<() => void>();
    tasks = waiting;
    unfinished.set(stream, tasks);
    // A listener for all writes: one for each would be more than Node takes for a leak.
    stream.once('close', () => {
      unfinished.delete(stream);
      for (const task of waiting) {
        try {
          task();
        } catch (error) {
          // What a callback throws is uncaught, and keeps nothing from the others.
          nextTick(() => {
            throw error;
          });
        }
      }
    });
  }
  return tasks;
}

/**
 * Writes a chunk and calls `done` once when the stream needs its memory no more: it has called back, with an error or without,
 * or it is closed. A response whose connection breaks off, for one, closes without calling back.
 * @returns what `write` returns
 */
export function writeThen(
  stream: NodeJS.WritableStream,
  chunk: Uint8Array | string,
  done: (error?: Error | null) => void,
): boolean {
  // A stream that has closed already calls back, and emits no second 'close'.
  const tasks = unfinishedOf(stream);
  const end = (error?: Error | null) => {
    if (tasks.delete(closed)) done(error);
  };
  const closed = () => end();
  tasks.add(closed);
  try {
    return stream.write(chunk, end);
  } catch (error) {
    tasks.delete(closed);
    throw error;
  }
}

/** What a block that was freed, handed over or shared says when it is freed. */
const GONE = new Set(['ERR_DOUBLE_FREE', 'ERR_BLOCK_MOVED', 'ERR_POOL_DESTROYED']);

/** Frees a block unless the program, or another thread, has done away with it meanwhile. */
export function freeIfLive(block: PoolBuffer): void {
  try {
    homeOfBuffer(block)?.pool.free(block);
  } catch (error) {
    if (!(error instanceof BuddyMallocError && GONE.has(error.code))) throw error;
  }
}

/**
 * Writes a block to a stream and frees it when the stream is done with it: when the write has finished or failed, or the stream was
 * closed, whichever comes first. Until then the block is the stream's; a block that was freed meanwhile is left alone.
 *
 * A stream that only passes its chunks on, such as a PassThrough, is done before they are read: give it a copy.
 * @param stream - any Writable: a file's, a socket, a response
 * @param block - a Buffer of a pool, of this thread
 * @param callback - called when the block has been freed, with what the stream says went wrong
 * @returns false if the stream wants no more until it emits `'drain'`, as `stream.write` does
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if `block` is no object, or `stream` cannot be written to
 * @throws BuddyMallocError `ERR_FOREIGN_BUFFER` if `block` is no Buffer of a pool, `ERR_USE_AFTER_FREE` if it was freed or resized
 * before, `ERR_BLOCK_MOVED` if it was handed over or shared
 * @throws what `stream.write` throws; the block is then still the caller's
 * @example
 * const pool = createPool();
 * await new Promise((resolve) => writeAndFree(process.stdout, pool.alloc(8).fill('written\n'), resolve));
 * pool.stats().usedBlocks; // 0
 * pool.destroy();
 */
export function writeAndFree(
  stream: Writable | NodeJS.WritableStream,
  block: PoolBuffer,
  callback?: (error?: Error | null) => void,
): boolean {
  if (typeof stream?.write !== 'function' || typeof stream.once !== 'function') {
    throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'stream must be a stream to write to');
  }
  if (callback !== undefined && typeof callback !== 'function') {
    throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'callback must be a function');
  }
  requireLive(block);
  return writeThen(stream, block, (error) => {
    freeIfLive(block);
    callback?.(error);
  });
}

function requireLive(block: PoolBuffer): void {
  if (typeof block !== 'object' || block === null) {
    throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'block must be a block of a pool');
  }
  const home = homeOfBuffer(block);
  if (home === undefined) throw new BuddyMallocError('ERR_FOREIGN_BUFFER', 'the buffer is not a block of a pool');
  const place = placeOfBuffer(block);
  if (place === MOVED || place === SHARED) {
    throw new BuddyMallocError('ERR_BLOCK_MOVED', 'the block was handed over or shared before');
  }
  if (place <= FREED || home.pool.isDestroyed || home.era.stale) {
    throw new BuddyMallocError('ERR_USE_AFTER_FREE', 'the block was freed or resized before');
  }
}
