import { BuddyMallocError, native } from '../binding.ts';
import { codedError } from '../errors.ts';
import { keepNamed, poolNamed } from './opened.ts';
import { compareConfig, freedAs, type PoolOptions, toConfig, toGiven } from './options.ts';
import { Pool } from './pool.ts';
import { Waiters } from './waiters.ts';

function open(options: PoolOptions, mayCreate: boolean): Pool | undefined {
  const given = toGiven(options);
  const config = toConfig(given);
  const { name = '' } = given;
  const known = poolNamed(name);
  if (known !== undefined && !known.isDestroyed) {
    compareConfig(given, known.options);
    return known;
  }
  const waiters = new Waiters();
  const order = Math.log2(config.regionSize);
  // The addon holds the function as long as the pool is open here, and must not hold the pool with it.
  const weak = new WeakRef(waiters);
  const notify = () => weak.deref()?.notified();
  const binding = native.poolOpen(
    name,
    // Without a prototype, on which a program may have put a toJSON.
    JSON.stringify(Object.assign(Object.create(null), config)),
    config.limit,
    order,
    config.alignment,
    mayCreate,
    notify,
    config.guard === 'detach',
    freedAs(config),
  );
  if (binding === undefined) return undefined;
  const pool = new Pool(name, binding, waiters);
  if (!binding.created) compareConfig(given, pool.options);
  keepNamed(pool);
  return pool;
}

/**
 * Makes a pool, or opens the one of this name that another thread made.
 * @param options - of a new pool; for one that exists those that are given must be the same
 * @returns the pool
 * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if an option is none, or there is none of its name
 * @throws RangeError `ERR_OUT_OF_RANGE` if an option is outside its interval
 * @throws BuddyMallocError `ERR_POOL_MISMATCH` if there is a pool of this name with other options
 * @throws BuddyMallocError `ERR_OUT_OF_MEMORY` if the system has no memory for it
 * @example
 * const pool = createPool({ name: 'frames', limit: '512 MiB' });
 * const block = pool.alloc(65536);
 * pool.free(block);
 * pool.destroy();
 */
export function createPool(options: PoolOptions = {}): Pool {
  const pool = open(options, true);
  if (pool === undefined) throw new BuddyMallocError('ERR_OUT_OF_MEMORY', 'no memory for a pool');
  return pool;
}

/**
 * Opens the pool of this name that another thread, or this one, made.
 * @param name - what {@link createPool} was given
 * @returns the pool
 * @throws TypeError `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` if `name` is no name
 * @throws BuddyMallocError `ERR_POOL_UNKNOWN` if there is none of this name
 * @example
 * const pool = createPool({ name: 'frames' });
 * openPool('frames').name; // 'frames'
 * pool.destroy();
 */
export function openPool(name: string): Pool {
  if (typeof name !== 'string') throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'name must be a string');
  const pool = open({ name }, false);
  if (pool === undefined) throw new BuddyMallocError('ERR_POOL_UNKNOWN', `there is no pool named ${name}`);
  return pool;
}
