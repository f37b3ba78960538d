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
export { libraryPath } from './preload.ts';
