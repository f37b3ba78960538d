import { BuddyMallocError } from '../binding.ts';
import { toFlag, wrongType } from '../options.ts';
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
import { STOCKED_SIZE } from './stock.ts';

function requireNumber(handle: number): void {
  if (typeof handle !== 'number') throw wrongType('handle must be a number');
}

/** The place of a block that can be made another's without further ado, or -1. */
function quickPlaceOf({ quick, pool }: Inside, block: PoolBlock): number {
  if (!quick.isOpen || typeof block !== 'object' || block === null) return -1;
  const home = homeOfBuffer(block);
  if (home === undefined || home.pool !== pool || home.era.stale || quick.stock[0] !== quick.word) return -1;
  const place = placeOfBuffer(block);
  const memory = place < 0 ? undefined : quick.regions[place >>> quick.unitBits];
  // Of a block that has a region to itself, or whose region the program has moved, more is to be known.
  if (memory === undefined || place >= quick.firstAlone || byteLengthOf(memory) === 0) return -1;
  return lengthOfBuffer(block) > 0 ? place : -1;
}

/** Makes a block another's, or nobody's, by a call of the addon, whose result this is. */
function giveAway(inside: Inside, block: PoolBlock, give: (place: number, bytes: number) => number): number {
  const quickPlace = quickPlaceOf(inside, block);
  if (quickPlace >= 0) {
    let result: number = STATUS.NO_BLOCK;
    try {
      setPlaceOfBuffer(block, MOVED);
      result = give(quickPlace, lengthOfBuffer(block));
    } finally {
      if (result < 0) setPlaceOfBuffer(block, quickPlace);
    }
    if (result >= 0) return result;
  }
  const place = inside.placeOf(block, 'ERR_USE_AFTER_FREE');
  inside.requireMemory(block);
  const { memory, bytes } = extentOf(block);
  if (inside.memory.copies) inside.native.copyIn(place, memory);
  return inside.surrender(block, place, MOVED, () => give(place, bytes));
}

/** For {@link Pool.handle}. */
export function handOverBlock(inside: Inside, block: PoolBlock): number {
  const { native } = inside;
  return giveAway(inside, block, (place, bytes) => native.handover(place, bytes));
}

/** For {@link Pool.send}. */
export function sendBlock(inside: Inside, block: PoolBlock, address: number, note: number): void {
  if (typeof address !== 'number') throw wrongType('address must be a number');
  if (typeof note !== 'number') throw wrongType('note must be a number');
  // What is no integer is no address; errors about the block come first.
  const to = Number.isInteger(address) ? address : 0;
  giveAway(inside, block, (place, bytes) => {
    const status = inside.native.send(place, bytes, note, to);
    if (status !== STATUS.STALE) return status;
    throw new BuddyMallocError('ERR_STALE_HANDLE', 'no inbox has this address, or it was closed');
  });
}

/** A Buffer over a block that has become this thread's. */
export function takeIn(inside: Inside, place: number, bytes: number): PoolBuffer {
  const { quick } = inside;
  const memory = quick.regions[place >>> quick.unitBits];
  if (
    quick.isOpen &&
    memory !== undefined &&
    place < quick.firstAlone &&
    bytes <= STOCKED_SIZE &&
    byteLengthOf(memory) > 0
  ) {
    const home = quick.homes[quick.classOf[(bytes + 63) >>> 6] as number] as Home;
    return bufferBlock(memory, (place & quick.unitMask) * 64, bytes, home, place);
  }
  inside.trace(place);
  const block = inside.view(place, bytes, bytes);
  if (inside.memory.copies) inside.native.copyOut(place, block.buffer);
  return block;
}

/** For {@link Pool.adopt}. */
export function adoptBlock(inside: Inside, handle: number): PoolBuffer {
  requireNumber(handle);
  if (!Number.isInteger(handle)) {
    inside.look();
    fail(STATUS.STALE);
  }
  const place = inside.call(() => inside.native.adopt(handle));
  if (place < 0) fail(place);
  return inside.keep(takeIn(inside, place, inside.second()));
}

/** For {@link Pool.share}. */
export function shareBlock(inside: Inside, block: PoolBlock, options: { plain?: boolean }): SharedBlock {
  const place = inside.placeOf(block, 'ERR_USE_AFTER_FREE');
  const plain = toFlag(options, 'plain');
  inside.requireNative();
  inside.requireMemory(block);
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
