import { BuddyMallocError, native, type PoolBinding, transfer } from '../binding.ts';
import { anchor, byteLengthOf } from './block.ts';
import { fail, STATUS } from './status.ts';

/** Recycled ArrayBuffers kept at most; a thread's stock holds fewer blocks as a rule. */
const MOST_RECYCLED = 4096;

/** The ArrayBuffers through which this thread sees a pool's memory. */
export class Memory {
  /** By number, those over ordinary regions. A number has one memory as long as its ArrayBuffer is reachable. */
  readonly regions: (ArrayBuffer | undefined)[] = [];
  /** Whether this runtime forbids ArrayBuffers over native memory, so that blocks are JavaScript's and copied on handover. */
  readonly copies: boolean;
  readonly #native: PoolBinding;
  readonly #unitBits: number;
  /** Of free blocks: an ArrayBuffer of the block's own that nobody else has, for the next one who gets the block. */
  readonly #recycled = new Map<number, { buffer: ArrayBuffer; region: ArrayBuffer }>();
  /** Of blocks of no bytes, whose ArrayBuffers are JavaScript's: one over the block's memory, which is garbage when they are. */
  readonly #carriers = new WeakMap<ArrayBuffer, ArrayBuffer>();
  /** Of blocks that have a region to themselves. */
  readonly #alone = new Map<number, WeakRef<ArrayBuffer>>();

  constructor(binding: PoolBinding) {
    this.#native = binding;
    this.copies = binding.stockBuffer === null || native.externalForbidden();
    this.#unitBits = binding.unitBits;
  }

  /** The ArrayBuffer that holds a block; it begins there at {@link offset}. */
  at(place: number, bytes: number): ArrayBuffer {
    if (this.copies) return new ArrayBuffer(bytes);
    if (place >= this.#native.firstAlone) {
      // The place's last block, and with it what is known of its memory, may have been freed by another thread.
      this.closeAlone(place);
      const buffer = this.#open(place);
      this.#alone.set(place, new WeakRef(buffer));
      return buffer;
    }
    const number = place >>> this.#unitBits;
    let buffer = this.regions[number];
    if (buffer === undefined || buffer.byteLength === 0) {
      buffer = this.#open(place);
      this.regions[number] = buffer;
    }
    return buffer;
  }

  /** Where in {@link at} a block begins. */
  offset(place: number): number {
    return this.copies ? 0 : (place & (2 ** this.#unitBits - 1)) * 64;
  }

  /** An ArrayBuffer for a block alone, of exactly so many bytes. */
  own(place: number, bytes: number): ArrayBuffer {
    if (this.copies) return new ArrayBuffer(bytes);
    if (bytes === 0) {
      const empty = new ArrayBuffer(0);
      this.#carriers.set(empty, this.own(place, 1));
      return empty;
    }
    const recycled = this.#recycled.get(place);
    if (recycled !== undefined) {
      this.#recycled.delete(place);
      const { buffer, region } = recycled;
      if (byteLengthOf(buffer) === bytes) {
        this.#native.lendOwn(place, true, buffer);
        return anchor(buffer, region);
      }
    }
    // The region must stay mapped as long as the block's ArrayBuffer can be reached, also detached: an operation that the
    // system has under way may still use its memory.
    const region = this.at(place, bytes);
    const buffer = this.#native.openOwn(place, bytes);
    if (buffer) return anchor(buffer, region);
    this.#native.give(place);
    throw new BuddyMallocError('ERR_OUT_OF_MEMORY', `no ArrayBuffer of ${bytes} bytes could be made`);
  }

  /**
   * Detaches a block's own ArrayBuffer; if the block is going to be `reused`, it is kept in another guise where possible.
   * Returns false if the program has moved the memory to an ArrayBuffer that we do not have, or has seen to it that this one cannot
   * be detached: the block is free when the garbage collector has found the one or the other.
   */
  closeOwn(place: number, buffer: ArrayBuffer, reused: boolean): boolean {
    if (this.copies) {
      native.detach(buffer);
      return true;
    }
    const carrier = byteLengthOf(buffer) === 0 ? this.#carriers.get(buffer) : undefined;
    if (carrier !== undefined) {
      native.detach(buffer);
      return this.#native.closeOwn(place, carrier);
    }
    if (!reused || transfer === undefined) return this.#native.closeOwn(place, buffer);
    if (byteLengthOf(buffer) === 0 && this.#native.isLent(place)) return false;
    let kept: ArrayBuffer;
    try {
      kept = transfer.call(buffer);
    } catch {
      return false;
    }
    this.#native.lendOwn(place, false, buffer);
    if (this.#recycled.size >= MOST_RECYCLED) this.#recycled.clear();
    this.#recycled.set(place, { buffer: kept, region: this.at(place, 0) });
    return true;
  }

  /** The ArrayBuffer over the memory of a block that has one to itself. */
  carrierOf(buffer: ArrayBuffer): ArrayBuffer {
    return this.#carriers.get(buffer) ?? buffer;
  }

  /** The block at this place is no longer this thread's: what is over it alone is detached. */
  closeAlone(place: number): void {
    if (place < this.#native.firstAlone) return;
    const buffer = this.#alone.get(place)?.deref();
    this.#alone.delete(place);
    if (buffer !== undefined) this.#native.closeRegion(place >>> this.#unitBits, buffer);
  }

  /** Lets go of regions in which no block is, so that they can be unmapped; every view of them reads length 0. */
  closeIdle(): void {
    const rows = this.#native.regions();
    for (let i = 0; i < rows.length; i += 5) {
      const [number = 0, , , usedBlocks = 0] = rows.subarray(i, i + 4);
      const buffer = this.regions[number];
      if (usedBlocks > 0 || buffer === undefined) continue;
      this.#recycled.clear();
      this.regions[number] = undefined;
      this.#native.closeRegion(number, buffer);
    }
  }

  /** The pool is gone. */
  closeAll(): void {
    this.#recycled.clear();
    this.regions.forEach((buffer, number) => {
      if (buffer !== undefined) this.#native.closeRegion(number, buffer);
    });
    this.regions.fill(undefined);
    this.closeAllAlone();
  }

  /** All blocks that have a region to themselves were freed. */
  closeAllAlone(): void {
    for (const place of [...this.#alone.keys()]) this.closeAlone(place);
  }

  #open(place: number): ArrayBuffer {
    const buffer = this.#native.openRegion(place >>> this.#unitBits);
    // As long as a view can be reached the pool is not at its end.
    if (buffer) return anchor(buffer, this.#native);
    this.#native.give(place);
    if (buffer === undefined) fail(STATUS.NO_BLOCK);
    throw new BuddyMallocError('ERR_OUT_OF_MEMORY', 'no ArrayBuffer over a region could be made');
  }
}
