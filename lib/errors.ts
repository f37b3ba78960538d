/**
 * Every code that the package throws with, and the class that carries it. The addon has the same table
 * (csrc/addon/errors.def); a test compares the two.
 */
export const ERROR_CLASSES = {
  /** An argument is of the wrong type. */
  ERR_INVALID_ARG_TYPE: 'TypeError',
  /** A number is no integer, or outside the interval that the function states. */
  ERR_OUT_OF_RANGE: 'RangeError',
  /** The system has no memory for the block. */
  ERR_OUT_OF_MEMORY: 'BuddyMallocError',
  /** The block was freed, resized or handed over before it was freed. */
  ERR_DOUBLE_FREE: 'BuddyMallocError',
  /** The block was freed, resized or handed over before it was used. */
  ERR_USE_AFTER_FREE: 'BuddyMallocError',
  /** The buffer is not a block of this thread. */
  ERR_FOREIGN_BUFFER: 'BuddyMallocError',
  /** The handle was adopted already, or never given; or the inbox was closed, or never opened. */
  ERR_STALE_HANDLE: 'BuddyMallocError',
  /** This runtime forbids ArrayBuffers over native memory, and nothing else would do. */
  ERR_NATIVE_FORBIDDEN: 'BuddyMallocError',
  /** An argument is of the right type, but has no meaning. */
  ERR_INVALID_ARG_VALUE: 'TypeError',
  /** The pool's limit leaves no room for the block. */
  ERR_POOL_FULL: 'BuddyMallocError',
  /** The pool was destroyed. */
  ERR_POOL_DESTROYED: 'BuddyMallocError',
  /** There is no pool of this name. */
  ERR_POOL_UNKNOWN: 'BuddyMallocError',
  /** There is a pool of this name already, with other options. */
  ERR_POOL_MISMATCH: 'BuddyMallocError',
  /** The block was handed over, or shared, before it was used. */
  ERR_BLOCK_MOVED: 'BuddyMallocError',
  /** The addon, or the library to preload, has not been built, or not for this version of the package. */
  ERR_NOT_BUILT: 'BuddyMallocError',
} as const;

/** A code of {@link ERROR_CLASSES}. */
export type ErrorCode = keyof typeof ERROR_CLASSES;

/** What the package throws when neither a TypeError nor a RangeError fits; `code` tells why. */
export class BuddyMallocError extends Error {
  static {
    // A stack begins with the prototype's name, and a bundler may rename the class.
    const name = { value: 'BuddyMallocError' };
    Object.defineProperty(BuddyMallocError, 'name', name);
    Object.defineProperty(BuddyMallocError.prototype, 'name', name);
  }

  /** Why. */
  readonly code: ErrorCode;

  /**
   * @param code - why
   * @param message - the same for a person
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A TypeError or RangeError with a code of {@link ERROR_CLASSES}. */
export function codedError(
  Class: typeof TypeError | typeof RangeError,
  code: ErrorCode,
  message: string,
): Error & { code: ErrorCode } {
  return Object.assign(new Class(message), { code });
}
