import { codedError } from '../errors.ts';
import { toFlag } from '../options.ts';
import {
  bufferBlock,
  byteLengthOf,
  extentOf,
  homeOfBuffer,
  lengthOfBuffer,
  MOVED,
  type PoolBlock,
  type PoolBuffer,
  placeOfBuffer,
  SHARED,
  setPlaceOfBuffer,
} from './block.ts';
import type { Home } from './home.ts';
import type { Inside } from './inside.ts';
import { keepShared } from './opened.ts';
import { SharedBlock } from './share.ts';
import { fail, STATUS } from './status.ts';
import { STOCKED_SIZE, secondOf } from './stock.ts';

function requireNumber(handle: number): void {
  if (typeof handle !== 'number') throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'handle must be a number');
}

/** For {@link Pool.handle}. */
export function handOverBlock(inside: Inside, block: PoolBlock): number {
  const { quick, native } = inside;
  if (quick.isOpen && typeof block === 'object' && block !== null) {
    const home = homeOfBuffer(block);
    if (home !== undefined && home.pool === inside.pool && !home.era.stale && quick.stock[0] === quick.word) {
      const place = placeOfBuffer(block);
      const memory = place < 0 ? undefined : quick.regions[place >>> quick.unitBits];
      // Of a block that has a region to itself, or whose region the program has moved, more is to be known.
      if (memory !== undefined && place < quick.firstAlone && byteLengthOf(memory) > 0 && lengthOfBuffer(block) > 0) {
        let handle: number = STATUS.NO_BLOCK;
        try {
          setPlaceOfBuffer(block, MOVED);
          handle = native.handover(place, lengthOfBuffer(block));
        } finally {
          if (handle < 0) setPlaceOfBuffer(block, place);
        }
        if (handle >= 0) return handle;
      }
    }
  }
  return handOverSlowly(inside, block);
}

function handOverSlowly(inside: Inside, block: PoolBlock): number {
  const place = inside.placeOf(block, 'ERR_USE_AFTER_FREE');
  inside.requireMemory(block, place);
  const { memory, bytes } = extentOf(block);
  if (inside.memory.copies) inside.native.copyIn(place, memory);
  return inside.surrender(block, place, MOVED, () => inside.native.handover(place, bytes));
}

/** For {@link Pool.adopt}. */
export function adoptBlock(inside: Inside, handle: number): PoolBuffer {
  requireNumber(handle);
  const { quick, native } = inside;
  if (!Number.isInteger(handle)) {
    inside.look();
    fail(STATUS.STALE);
  }
  if (quick.isOpen && quick.stock[0] === quick.word) {
    const place = native.adopt(handle);
    if (place >= 0) {
      const bytes = secondOf(quick.stock);
      const memory = quick.regions[place >>> quick.unitBits];
      if (memory === undefined || byteLengthOf(memory) === 0 || bytes > STOCKED_SIZE || place >= quick.firstAlone) {
        return inside.view(place, bytes, bytes);
      }
      const home = quick.homes[quick.classOf[(bytes + 63) >>> 6] as number] as Home;
      return bufferBlock(memory, (place & quick.unitMask) * 64, bytes, home, place);
    }
    if (place !== STATUS.BEHIND) fail(place);
  }
  const place = inside.call(() => native.adopt(handle));
  if (place < 0) fail(place);
  const bytes = inside.second();
  const block = inside.view(place, bytes, bytes);
  if (inside.memory.copies) native.copyOut(place, block.buffer);
  return inside.keep(block);
}

/** For {@link Pool.share}. */
export function shareBlock(inside: Inside, block: PoolBlock, options: { plain?: boolean }): SharedBlock {
  const place = inside.placeOf(block, 'ERR_USE_AFTER_FREE');
  const plain = toFlag(options, 'plain');
  inside.requireNative();
  inside.requireMemory(block, place);
  const bytes = Math.max(extentOf(block).bytes, 1);
  const handle = inside.surrender(block, place, SHARED, () => inside.native.share(place, bytes));
  try {
    return sharedBlock(inside, handle, plain);
  } finally {
    inside.native.leaveShared(handle);
  }
}

/** For {@link Pool.openShared}. */
export function openSharedBlock(inside: Inside, handle: number, options: { plain?: boolean }): SharedBlock {
  requireNumber(handle);
  const plain = toFlag(options, 'plain');
  inside.look();
  inside.requireNative();
  if (!Number.isInteger(handle)) fail(STATUS.STALE);
  return sharedBlock(inside, handle, plain);
}

function sharedBlock(inside: Inside, handle: number, plain: boolean): SharedBlock {
  const shared = new SharedBlock(inside.native, handle, plain, () => inside.second());
  // Its SharedArrayBuffer may go on to threads that do not have the pool open.
  keepShared(inside.pool);
  return shared;
}
