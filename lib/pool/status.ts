import { BuddyMallocError } from '../binding.ts';

/** The answers of the addon's pool functions that are no success: the statuses of csrc/pool.h, negated. */
export const STATUS = {
  FULL: -1,
  NO_MEMORY: -2,
  DEAD: -3,
  NO_BLOCK: -4,
  NOT_YOURS: -5,
  STALE: -6,
  BEHIND: -7,
} as const;

/** Throws what a status means to the program. */
export function fail(status: number, bytes = 0): never {
  switch (status) {
    case STATUS.FULL:
      throw new BuddyMallocError('ERR_POOL_FULL', `the pool has no room for ${bytes} bytes`);
    case STATUS.NO_MEMORY:
      throw new BuddyMallocError('ERR_OUT_OF_MEMORY', `no memory for a block of ${bytes} bytes`);
    case STATUS.DEAD:
      throw new BuddyMallocError('ERR_POOL_DESTROYED', 'the pool was destroyed');
    case STATUS.STALE:
      throw new BuddyMallocError('ERR_STALE_HANDLE', 'no block waits under this handle');
    default:
      throw new BuddyMallocError('ERR_FOREIGN_BUFFER', 'the buffer is not a block of this pool and thread');
  }
}
