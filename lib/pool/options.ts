import { BuddyMallocError, MAX_SIZE } from '../binding.ts';
import { codedError } from '../errors.ts';
import { checkFlag, refuseUnknown, requireObject, wrongType, wrongValue } from '../options.ts';
import { type Size, toAlignment, toBytes } from './sizes.ts';

/** How much a pool does against wrong use. docs/pool.md says what each level protects from. */
export type Guard = 'detach' | 'check' | 'off';

/** The options of {@link createPool}; every thread that opens the pool gets the same. */
export interface PoolOptions {
  /** Under this name other threads of the process find the pool; without one it is this thread's. */
  name?: string;
  /** Bytes in blocks, rounding included, at most; default: as many as there are places for, 64 GiB for regions of 32 MiB or more. */
  limit?: Size;
  /** Bytes obtained from the system at a time: a power of two from 64 KiB to 1 GiB; default 32 MiB, less for a small limit. */
  regionSize?: Size;
  /** Every block begins at a multiple of this: a power of two, default 64. */
  alignment?: number;
  /** Whether every block is zeroed when it is allocated; default false. */
  zeroOnAlloc?: boolean;
  /** Whether every block is zeroed when it is freed; default false. */
  zeroOnFree?: boolean;
  /** Default `'check'`. */
  guard?: Guard;
  /** Whether freed memory is filled with 0xDB, so that a stale reader notices; default false. */
  poison?: boolean;
  /** Whether {@link Pool.leaks} tells where each block was allocated, which costs some microseconds each; default false. */
  trace?: boolean;
}

/** The options with nothing left out, as the pool's threads share them. */
export interface PoolConfig {
  /** Bytes in blocks, rounding included, at most. */
  limit: number;
  /** Bytes obtained from the system at a time. */
  regionSize: number;
  /** Every block begins at a multiple of so many bytes. */
  alignment: number;
  /** Whether every block is zeroed when it is allocated. */
  zeroOnAlloc: boolean;
  /** Whether every block is zeroed when it is freed. */
  zeroOnFree: boolean;
  /** How much the pool does against wrong use. */
  guard: Guard;
  /** Whether freed memory is filled with 0xDB. */
  poison: boolean;
  /** Whether {@link Pool.leaks} tells where each block was allocated. */
  trace: boolean;
}

const GUARDS: readonly string[] = ['detach', 'check', 'off'];
const FLAGS = ['zeroOnAlloc', 'zeroOnFree', 'poison', 'trace'] as const;
const REGION_SIZE = 2 ** 25;
const REGION_SIZE_MIN = 2 ** 16;
const REGION_SIZE_MAX = 2 ** 30;
/** A pool has places for 2^30 units of 64 bytes in at most so many regions, and half its numbers for larger blocks. */
const MOST_REGIONS = 2048;
const MOST_BYTES = 2 ** 36;

const capacityOf = (regionSize: number) => Math.min(MOST_REGIONS * regionSize, MOST_BYTES);

function toRegionSize(size: Size): number {
  const bytes = toBytes(size, 'regionSize', REGION_SIZE_MAX);
  if (bytes >= REGION_SIZE_MIN && Number.isInteger(Math.log2(bytes))) return bytes;
  throw codedError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `regionSize must be a power of two from ${REGION_SIZE_MIN} to ${REGION_SIZE_MAX}; received ${bytes}`,
  );
}

const NAMES: readonly string[] = ['name', 'limit', 'regionSize', 'alignment', 'guard', ...FLAGS];

/** The options that were given, checked and in bytes. */
export interface Given extends Partial<PoolConfig> {
  name?: string;
}

/** Each option is read once: what a getter says the next time is of no interest. */
export function toGiven(options: PoolOptions): Given {
  requireObject(options);
  refuseUnknown(options, NAMES);
  const { name, limit, regionSize, alignment, guard } = options;
  const found: Given = {};
  if (name !== undefined && typeof name !== 'string') throw wrongType('name must be a string');
  if (name === '') throw wrongValue('name must not be empty');
  if (name !== undefined) found.name = name;
  for (const flag of FLAGS) {
    const value = options[flag];
    checkFlag(value, flag);
    if (value !== undefined) found[flag] = value;
  }
  if (guard !== undefined && !GUARDS.includes(guard)) throw wrongValue(`guard must be one of ${GUARDS.join(', ')}`);
  if (regionSize !== undefined) found.regionSize = toRegionSize(regionSize);
  if (limit !== undefined) found.limit = toBytes(limit, 'limit', capacityOf(found.regionSize ?? REGION_SIZE));
  if (alignment !== undefined) found.alignment = Math.max(toAlignment(alignment, REGION_SIZE_MIN), 64);
  if (guard !== undefined) found.guard = guard;
  return found;
}

/** All options, those left out with their default. */
export function toConfig({ name: _, ...found }: Given): PoolConfig {
  const small = 2 ** Math.ceil(Math.log2(Math.max(found.limit ?? REGION_SIZE, REGION_SIZE_MIN)));
  const regionSize = found.regionSize ?? Math.min(REGION_SIZE, small);
  return {
    limit: Math.min(capacityOf(regionSize), Number.MAX_SAFE_INTEGER),
    alignment: 64,
    zeroOnAlloc: false,
    zeroOnFree: false,
    guard: 'check',
    poison: false,
    trace: false,
    ...found,
    regionSize,
  };
}

const POISON = 0xdb;

/** The byte that memory is filled with when it is freed; -1 if it stays as it is. */
export function freedAs({ poison, zeroOnFree }: PoolConfig): number {
  if (poison) return POISON;
  return zeroOnFree ? 0 : -1;
}

/** Throws if the pool of this name has other options than the ones given. */
export function compareConfig({ name, ...found }: Given, config: PoolConfig): void {
  for (const [key, value] of Object.entries(found)) {
    const actual = config[key as keyof PoolConfig];
    if (actual !== value) {
      throw new BuddyMallocError(
        'ERR_POOL_MISMATCH',
        `the pool ${name} has ${key} ${actual}, not ${value}: leave the options out to take it as it is`,
      );
    }
  }
}

/** Bytes of the largest block: as long as an ArrayBuffer can be. */
export const MAX_BLOCK = MAX_SIZE;
