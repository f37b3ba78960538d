export { type Block, BuddyMallocError, MAX_SIZE, type MallInfo } from './binding.ts';
export { ERROR_CLASSES, type ErrorCode } from './errors.ts';
export { adopt, handover } from './handover.ts';
export {
  alignedAlloc,
  calloc,
  free,
  mallinfo,
  malloc,
  mallocCheck,
  mallocInfo,
  mallocStats,
  mallocTrim,
  realloc,
  reallocArray,
  usableSize,
} from './malloc.ts';
export type { PoolBlock, PoolBuffer } from './pool/block.ts';
export type { Fixed } from './pool/fixed.ts';
export type { Inbox, InboxListener } from './pool/inbox.ts';
export { createPool, openPool } from './pool/open.ts';
export type { Guard, PoolConfig, PoolOptions } from './pool/options.ts';
export { writeAndFree } from './pool/outgoing.ts';
export type { Pool } from './pool/pool.ts';
export { createPooledReadStream, type PooledReadStream, type PooledReadStreamOptions } from './pool/read-stream.ts';
export type { Leak, PoolMap, PoolStats, ThreadOf } from './pool/report.ts';
export type { Scope } from './pool/scope.ts';
export type { SharedBlock } from './pool/share.ts';
export type { Size } from './pool/sizes.ts';
export type { TypedArrayConstructor } from './pool/typed.ts';
export { type LibraryChoice, libraryPath } from './preload.ts';
