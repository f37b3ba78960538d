import { type Block, native } from './binding.ts';
import { freeHeapBuffer, heapBlock, heapBufferOf } from './heap.ts';

/**
 * Takes a block out of the calling thread, so that another can {@link adopt} it: no byte is copied. The ArrayBuffer here is
 * detached, as if it had been transferred. If nobody adopts it, it stays allocated until the process ends.
 * @param block - a block, or a view of one
 * @returns its handle, a number to send with postMessage; it works once
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if it is not an ArrayBuffer or view
 * @throws BuddyMallocError `ERR_USE_AFTER_FREE` if the block was freed, resized or handed over before
 * @throws BuddyMallocError `ERR_FOREIGN_BUFFER` if it is not a native block of this thread
 * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if two million blocks wait to be adopted already
 * @throws BuddyMallocError `ERR_NATIVE_FORBIDDEN` if this runtime forbids ArrayBuffers over native memory
 * @example
 * const block = malloc(65536);
 * const handle = handover(block);
 * free(adopt(handle)); // as a rule in another thread
 * @see {@link https://nodejs.org/api/worker_threads.html | worker_threads}
 */
export function handover(block: Block): number {
  const heap = heapBufferOf(block);
  if (heap === undefined) return native.handover(block);
  const handle = native.handoverCopy(heap);
  freeHeapBuffer(heap);
  return handle;
}

/**
 * Takes in a block that another thread, or this one, has handed over.
 * @param handle - what {@link handover} returned
 * @returns the block, over the same memory
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if `handle` is not a number
 * @throws BuddyMallocError `ERR_STALE_HANDLE` if the block was adopted already, or there never was one
 * @example
 * const block = adopt(handover(malloc(64)));
 * free(block);
 */
export function adopt(handle: number): ArrayBuffer {
  return native.adopt(handle) ?? heapBlock(0);
}
