import { constants } from 'node:buffer';
import { setImmediate } from 'node:timers';
import type NodeGypBuild from 'node-gyp-build';
import { BuddyMallocError as OwnBuddyMallocError } from './errors.ts';
import { HOW_TO_BUILD, PACKAGE_ROOT, require } from './root.ts';

/** An ArrayBuffer, or any view of one. */
export type Block = ArrayBuffer | NodeJS.ArrayBufferView<ArrayBuffer>;

/** What `mallinfo()` returns: figures of the whole process, and of the calling thread where that is said. */
export interface MallInfo {
  /** Arenas ever created, in use or waiting for a thread. */
  arenas: number;
  /** Of those, the ones whose thread has ended. */
  arenasAbandoned: number;
  /** Blocks ever handed out. */
  allocRequests: number;
  /** Blocks ever given back. */
  freeRequests: number;
  /** Live blocks that have a mapping of their own. */
  mmappedRegions: number;
  /** Bytes in them. */
  mmappedBytes: number;
  /** Bytes of freed mappings kept for reuse. */
  cachedBytes: number;
  /** Bytes of chunks obtained from the system. */
  heapBytes: number;
  /** Of those, bytes obtained with sbrk. */
  sbrkBytes: number;
  /** Bytes in live blocks, rounding included. */
  allocatedBytes: number;
  /** Live blocks. */
  allocatedBlocks: number;
  /** Bytes of the heap in free blocks. */
  freeBytes: number;
  /** Free blocks of every size. */
  freeBlocks: number;
  /** Blocks freed by a thread that does not own them. */
  remoteFrees: number;
  /** Bytes ever given back to the system. */
  purgedBytes: number;
  /** Free bytes that still hold physical memory. */
  dirtyBytes: number;
  /** Native blocks that the calling thread holds. */
  threadBlocks: number;
  /** Bytes asked for in them. */
  threadBytes: number;
  /** Blocks of the calling thread that were freed because the garbage collector found them. */
  forgottenBlocks: number;
  /** Freed blocks of the calling thread whose bookkeeping waits for the event loop. */
  waitingBlocks: number;
  /** Blocks of the calling thread that were served by JavaScript's own memory. */
  fallbackBlocks: number;
  /** Blocks that stay allocated for good: their threads have ended, and the program had moved their memory with `transfer()`. */
  strandedBlocks: number;
}

/**
 * The addon's functions for one pool in this thread. Places are numbers from 0; a number below 0 is a status of
 * csrc/pool.h, negated, and so is the answer of functions that say no more than whether they succeeded, with 0 for success.
 */
export interface PoolBinding {
  take(size: number, alignment: number): number;
  give(place: number): number;
  resize(place: number, size: number): number;
  stock(sizeClass: number, count: number): number;
  unstock(sizeClass: number, keep: number): void;
  sync(): number;
  flush(): void;
  usable(place: number): number;
  zero(place: number, size: number): void;
  openRegion(number: number): ArrayBuffer | undefined | null;
  openOwn(place: number, size: number): ArrayBuffer | undefined | null;
  lendOwn(place: number, lent: boolean, buffer: ArrayBuffer): void;
  isLent(place: number): boolean;
  closeOwn(place: number, buffer: ArrayBuffer): boolean;
  closeRegion(number: number, buffer: ArrayBuffer): void;
  share(place: number, size: number): number;
  useShared(handle: number, plain: boolean): SharedArrayBuffer | ArrayBuffer | number;
  leaveShared(handle: number): void;
  releaseShared(user: number, buffer: ArrayBuffer): void;
  reclaim(age: number): number;
  handover(place: number, size: number): number;
  adopt(handle: number): number;
  openInbox(): number;
  closeInbox(address: number): void;
  send(place: number, size: number, note: number, address: number): number;
  receive(address: number): number;
  copyIn(place: number, from: ArrayBuffer): void;
  copyOut(place: number, to: ArrayBuffer): void;
  wait(id: number, size: number, alignment: number): number;
  hoard(): void;
  cancel(id: number): number;
  granted(): number | undefined;
  second(): number;
  third(): number;
  stay(stays: boolean, waits: boolean): void;
  reset(): void;
  trim(): number;
  destroy(): void;
  stats(): Record<string, number>;
  blocks(): Float64Array;
  regions(): Float64Array;
  check(): number;
  readonly config: string;
  readonly created: boolean;
  readonly unitBits: number;
  readonly firstAlone: number;
  readonly sharesAtomically: boolean;
  readonly classes: number[];
  readonly stockBuffer: ArrayBuffer | null;
}

/** The addon's functions. Those that return a block return undefined when it should be one of heap.ts. */
interface Binding {
  /** {@link INTERFACE} of the sources that it was built from. */
  readonly interface?: number;
  malloc(size: number): ArrayBuffer | undefined;
  calloc(count: number, size: number): ArrayBuffer | undefined;
  alignedAlloc(alignment: number, size: number): ArrayBuffer | undefined;
  realloc(block: Block, size: number): ArrayBuffer | undefined;
  reallocArray(block: Block, count: number, size: number): ArrayBuffer | undefined;
  free(block: Block): void;
  usableSize(block: Block): number;
  detach(buffer: ArrayBuffer): void;
  handover(block: Block): number;
  handoverCopy(buffer: ArrayBuffer): number;
  adopt(handle: number): ArrayBuffer | undefined;
  handoversWaiting(): number;
  mallinfo(): MallInfo;
  mallocStats(): string;
  mallocInfo(): string;
  mallocTrim(): boolean;
  mallocCheck(): number;
  poolOpen(
    name: string,
    config: string,
    limit: number,
    regionOrder: number,
    alignment: number,
    mayCreate: boolean,
    notify: () => void,
    keepsOwn: boolean,
    freedAs: number,
  ): PoolBinding | undefined;
  errorCodes(): string[];
  registerErrorClass(own: typeof OwnBuddyMallocError): typeof OwnBuddyMallocError;
  setMaxSize(bytes: number): void;
  onBacklog(callback: () => void): void;
  forbidExternal(forbidden: boolean): void;
  externalForbidden(): boolean;
  turned(): void;
  detachWith(transfer: () => ArrayBuffer): void;
}

/** Bytes of the largest block: as long as an ArrayBuffer can be in this version of Node. */
export const MAX_SIZE = constants.MAX_LENGTH;

/** The addon's functions as they are described above. A test asks for another number when the description changes. */
export const INTERFACE = 3;

function load(): Binding {
  let addon: Binding;
  try {
    const nodeGypBuild: typeof NodeGypBuild = require('node-gyp-build');
    addon = nodeGypBuild(PACKAGE_ROOT) as Binding;
  } catch (cause) {
    throw new OwnBuddyMallocError('ERR_NOT_BUILT', `The addon has not been built, or does not load: ${HOW_TO_BUILD}.`, {
      cause,
    });
  }
  if (addon.interface === INTERFACE) return addon;
  throw new OwnBuddyMallocError(
    'ERR_NOT_BUILT',
    `The addon was built for another version of the package (interface ${addon.interface}, not ${INTERFACE}): ${HOW_TO_BUILD}.`,
  );
}

/** The only place that loads the addon. */
export const native = load();

/**
 * What the package throws where neither a TypeError nor a RangeError fits; its `code` tells why. Of several copies of the
 * package in a thread all throw the class of the one that was loaded first, so that `instanceof` holds.
 * @class
 */
export const BuddyMallocError = native.registerErrorClass(OwnBuddyMallocError);
export type BuddyMallocError = OwnBuddyMallocError;

/** Gives an ArrayBuffer's memory to a new one, which leaves the old one detached. Node 20 does not have it. */
export const transfer = (ArrayBuffer.prototype as { transfer?: () => ArrayBuffer }).transfer;
/** The first Node in which the program can give an ArrayBuffer a key, without which nobody can detach it. */
const FIRST_WITH_KEYS = 23;

native.setMaxSize(MAX_SIZE);
if (transfer !== undefined && Number.parseInt(process.versions.node, 10) >= FIRST_WITH_KEYS)
  native.detachWith(transfer);
native.onBacklog(() => {
  setImmediate(() => native.turned()).unref();
});
