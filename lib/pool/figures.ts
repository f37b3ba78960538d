import type { Inside } from './inside.ts';
import type { Leak, PoolMap, PoolStats, ThreadOf } from './report.ts';

const OWNERS = ['handedOver', 'this', 'other', 'shared'] as const;

function blocksOf({ native }: Inside): { place: number; bytes: number; owner: ThreadOf; stocked: boolean }[] {
  const rows = native.blocks();
  return Array.from({ length: rows.length / 4 }, (_, i) => {
    const [place = 0, bytes = 0, owner = 0, stocked = 0] = rows.subarray(i * 4, i * 4 + 4);
    return { place, bytes, owner: OWNERS[owner] ?? 'other', stocked: stocked === 1 };
  });
}

/** For {@link Pool.stats}. */
export function statsOf({ native }: Inside): PoolStats {
  const { usedBytes = 0, usedBlocks = 0, stockedBytes = 0, stockedBlocks = 0, ...rest } = native.stats();
  return {
    ...rest,
    usedBytes: usedBytes - stockedBytes,
    usedBlocks: usedBlocks - stockedBlocks,
    stockedBytes,
    stockedBlocks,
  } as PoolStats;
}

/** For {@link Pool.map}. */
export function mapOf(inside: Inside): PoolMap {
  const rows = inside.native.regions();
  const { unitBits, unitMask } = inside.quick;
  const regions = new Map<number, PoolMap['regions'][number]>();
  for (let i = 0; i < rows.length; i += 5) {
    const [number = 0, bytes = 0, usedBytes = 0] = rows.subarray(i, i + 3);
    regions.set(number, { number, bytes, usedBytes, blocks: [] });
  }
  for (const { place, bytes, owner, stocked } of blocksOf(inside)) {
    const state = stocked ? 'stocked' : owner;
    regions.get(place >>> unitBits)?.blocks.push({
      offset: (place & unitMask) * 64,
      bytes,
      state: state === 'this' || state === 'other' ? 'used' : state,
    });
  }
  return { regions: [...regions.values()] };
}

/** For {@link Pool.leaks}. */
export function leaksOf(inside: Inside): Leak[] {
  return blocksOf(inside)
    .filter(({ stocked }) => !stocked)
    .map(({ place, bytes, owner }) => {
      const stack = inside.traces?.get(place);
      return { bytes, thread: owner, ...(stack === undefined ? {} : { stack }) };
    });
}
