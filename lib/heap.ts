// Blocks in JavaScript's own memory: what the package falls back to where a native block must not be made, because it would
// have no bytes, the runtime forbids external ArrayBuffers (as Electron does), or too many freed ones wait for the event
// loop to turn.
import { type Block, BuddyMallocError, native } from './binding.ts';

const blocks = new WeakSet<ArrayBufferLike>();
let any = false;

const bufferOf = (block: Block): ArrayBufferLike => (ArrayBuffer.isView(block) ? block.buffer : block);

/** The same block as the native functions would make, zeroed. */
export function heapBlock(size: number): ArrayBuffer {
  let buffer: ArrayBuffer;
  try {
    buffer = new ArrayBuffer(size);
  } catch (cause) {
    throw new BuddyMallocError('ERR_OUT_OF_MEMORY', `no memory for a block of ${size} bytes`, { cause });
  }
  any = true;
  blocks.add(buffer);
  return buffer;
}

/** The ArrayBuffer of `block` if it is a live block of this kind. */
export function heapBufferOf(block: Block): ArrayBuffer | undefined {
  if (!any || typeof block !== 'object' || block === null) return undefined;
  const buffer = bufferOf(block);
  return blocks.has(buffer) ? (buffer as ArrayBuffer) : undefined;
}

/** Detaches it, which gives its memory back. */
export function freeHeapBuffer(buffer: ArrayBuffer): void {
  blocks.delete(buffer);
  native.detach(buffer);
}

/** Moves the contents into `target`, as far as they fit, and returns it. */
export function moveHeapBuffer(buffer: ArrayBuffer, target: ArrayBuffer): ArrayBuffer {
  const length = Math.min(buffer.byteLength, target.byteLength);
  new Uint8Array(target).set(new Uint8Array(buffer, 0, length));
  freeHeapBuffer(buffer);
  return target;
}
