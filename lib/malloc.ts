import { type Block, type MAX_SIZE, type MallInfo, native } from './binding.ts';
import { freeHeapBuffer, heapBlock, heapBufferOf, moveHeapBuffer } from './heap.ts';
import { toFlag } from './options.ts';

/**
 * Allocates from the calling thread's arena.
 *
 * The block is an ArrayBuffer over native memory. Give it back with {@link free}; one that is forgotten is freed when the
 * garbage collector finds it.
 *
 * A program that makes some hundred thousand blocks, or forgets more than 64 MiB of them, without ever returning to the
 * event loop gets further blocks from JavaScript's own memory: Node runs the finalizers of native ones from the event loop
 * alone. They behave the same; `mallinfo().fallbackBlocks` counts them.
 * @param size - bytes, an integer from 0 to {@link MAX_SIZE}
 * @returns a block of exactly `size` bytes, its contents uninitialised
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if `size` is not a number
 * @throws RangeError `ERR_OUT_OF_RANGE` if `size` is outside that interval
 * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if the system has no memory for it
 * @example
 * const block = malloc(200);
 * new Uint8Array(block).fill(7);
 * free(block);
 * @see {@link https://man7.org/linux/man-pages/man3/malloc.3.html | malloc(3)}
 */
export function malloc(size: number): ArrayBuffer {
  return native.malloc(size) ?? heapBlock(size);
}

/**
 * Allocates a zeroed block of `count * size` bytes.
 * @param count - how many elements, an integer from 0
 * @param size - bytes of each, an integer from 0; the product is at most {@link MAX_SIZE}
 * @returns a block of exactly that many bytes, all 0
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if either is not a number
 * @throws RangeError `ERR_OUT_OF_RANGE` if either, or the product, is outside its interval
 * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if the system has no memory for it
 * @example
 * const numbers = new Float64Array(calloc(100, 8));
 * free(numbers);
 * @see {@link https://man7.org/linux/man-pages/man3/malloc.3.html | calloc(3)}
 */
export function calloc(count: number, size: number): ArrayBuffer {
  return native.calloc(count, size) ?? heapBlock(count * size);
}

/**
 * Allocates a block whose address is a multiple of `alignment`, for O_DIRECT or SIMD.
 * @param alignment - bytes, a power of two
 * @param size - bytes, an integer from 0 to {@link MAX_SIZE}
 * @returns a block of exactly `size` bytes, its contents uninitialised
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if either is not a number
 * @throws RangeError `ERR_OUT_OF_RANGE` if `alignment` is no power of two, or `size` outside its interval
 * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if the system has no memory for it
 * @throws BuddyMallocError `ERR_NATIVE_FORBIDDEN` if this runtime forbids ArrayBuffers over native memory
 * @example
 * const page = alignedAlloc(4096, 4096);
 * free(page);
 * @see {@link https://man7.org/linux/man-pages/man3/posix_memalign.3.html | aligned_alloc(3)}
 */
export function alignedAlloc(alignment: number, size: number): ArrayBuffer {
  return native.alignedAlloc(alignment, size) ?? heapBlock(size);
}

/**
 * Resizes a block, in place where the allocator can. The old ArrayBuffer is detached, so that every view of it reads
 * length 0, and the contents are in the new one, up to the smaller of the two sizes. If it throws, the old block is as
 * it was.
 * @param block - a block, or a view of one
 * @param size - bytes, an integer from 0 to {@link MAX_SIZE}; unlike in C, 0 gives a block of 0 bytes
 * @returns a block of exactly `size` bytes; those beyond the old size are uninitialised
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if `size` is not a number or `block` not an ArrayBuffer or view
 * @throws RangeError `ERR_OUT_OF_RANGE` if `size` is outside that interval
 * @throws BuddyMallocError `ERR_USE_AFTER_FREE` if the block was freed, resized or handed over before
 * @throws BuddyMallocError `ERR_FOREIGN_BUFFER` if it is not a block of this thread
 * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if the system has no memory for it
 * @example
 * let block = malloc(100);
 * block = realloc(block, 1000);
 * free(block);
 * @see {@link https://man7.org/linux/man-pages/man3/malloc.3.html | realloc(3)}
 */
export function realloc(block: Block, size: number): ArrayBuffer {
  const heap = heapBufferOf(block);
  if (heap !== undefined) return moveHeapBuffer(heap, malloc(size));
  return native.realloc(block, size) ?? heapBlock(size);
}

/**
 * Resizes a block to `count * size` bytes; see {@link realloc}, which lists what else it throws.
 * @param block - a block, or a view of one
 * @param count - how many elements, an integer from 0
 * @param size - bytes of each, an integer from 0; the product is at most {@link MAX_SIZE}
 * @returns a block of exactly that many bytes; those beyond the old size are uninitialised
 * @throws RangeError `ERR_OUT_OF_RANGE` if either, or the product, is outside its interval
 * @example
 * let numbers = new Float64Array(calloc(100, 8));
 * numbers = new Float64Array(reallocArray(numbers, 200, 8));
 * free(numbers);
 * @see {@link https://man7.org/linux/man-pages/man3/malloc.3.html | reallocarray(3)}
 */
export function reallocArray(block: Block, count: number, size: number): ArrayBuffer {
  const heap = heapBufferOf(block);
  if (heap !== undefined) return moveHeapBuffer(heap, calloc(count, size));
  return native.reallocArray(block, count, size) ?? heapBlock(count * size);
}

/**
 * Gives a block back at once. Its ArrayBuffer is detached: every view of it reads length 0 from here on.
 *
 * As with a transferred ArrayBuffer, do not free a block while an asynchronous operation, such as a `fs.read` into it,
 * is still under way.
 * @param block - a block, or a view of one
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if it is not an ArrayBuffer or view
 * @throws BuddyMallocError `ERR_DOUBLE_FREE` if the block was freed, resized or handed over before
 * @throws BuddyMallocError `ERR_FOREIGN_BUFFER` if it is not a block of this thread
 * @example
 * const bytes = new Uint8Array(malloc(64));
 * free(bytes);
 * bytes.length; // 0
 * @see {@link https://man7.org/linux/man-pages/man3/malloc.3.html | free(3)}
 */
export function free(block: Block): void {
  const heap = heapBufferOf(block);
  if (heap === undefined) native.free(block);
  else freeHeapBuffer(heap);
}

/**
 * How many bytes the block really has: the request rounded up to the allocator's size.
 * @param block - a block, or a view of one
 * @returns bytes, at least the block's `byteLength`
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if it is not an ArrayBuffer or view
 * @throws BuddyMallocError `ERR_USE_AFTER_FREE` if the block was freed, resized or handed over before
 * @throws BuddyMallocError `ERR_FOREIGN_BUFFER` if it is not a block of this thread
 * @example
 * const block = malloc(200);
 * usableSize(block); // 256
 * free(block);
 * @see {@link https://man7.org/linux/man-pages/man3/malloc_usable_size.3.html | malloc_usable_size(3)}
 */
export function usableSize(block: Block): number {
  return heapBufferOf(block)?.byteLength ?? native.usableSize(block);
}

/**
 * The allocator's figures: of the whole process, and of the calling thread where {@link MallInfo} says so. They are exact
 * while no other thread is inside the allocator, and a close estimate otherwise.
 * @example
 * const { allocatedBytes, freeBytes } = mallinfo();
 * @see {@link https://man7.org/linux/man-pages/man3/mallinfo.3.html | mallinfo(3)}
 */
export function mallinfo(): MallInfo {
  return native.mallinfo();
}

/**
 * The allocator's figures as text, for each arena and in total.
 * @param options - `print`: also write the text to standard error, as malloc_stats(3) does
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if `options` is no object, or `print` no boolean
 * @example
 * const text = mallocStats();
 * @see {@link https://man7.org/linux/man-pages/man3/malloc_stats.3.html | malloc_stats(3)}
 */
export function mallocStats(options: { print?: boolean } = {}): string {
  const print = toFlag(options, 'print');
  const text = native.mallocStats();
  if (print) process.stderr.write(text);
  return text;
}

/**
 * The allocator's figures as XML.
 * @example
 * const xml = mallocInfo();
 * @see {@link https://man7.org/linux/man-pages/man3/malloc_info.3.html | malloc_info(3)}
 */
export function mallocInfo(): string {
  return native.mallocInfo();
}

/**
 * Gives free memory back to the system now instead of after a while.
 * @returns whether there was any
 * @example
 * mallocTrim();
 * @see {@link https://man7.org/linux/man-pages/man3/malloc_trim.3.html | malloc_trim(3)}
 */
export function mallocTrim(): boolean {
  return native.mallocTrim();
}

/**
 * Verifies the allocator's invariants, with a line on standard error for each that does not hold. Call it while no other
 * thread allocates.
 * @returns how many do not hold: 0
 * @example
 * if (mallocCheck() !== 0) throw new Error('the heap is damaged');
 */
export function mallocCheck(): number {
  return native.mallocCheck();
}
