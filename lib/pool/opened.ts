import type { Pool } from './pool.ts';

/**
 * The pools that stay open in this thread whoever still knows them here: by name, since other threads may open them yet, and those
 * of which another thread may have a shared block. Any other one is at its end when nothing of it can be reached any more.
 */
const named = new Map<string, Pool>();
const shared = new Set<Pool>();

export const poolNamed = (name: string): Pool | undefined => named.get(name);

export function keepNamed(pool: Pool): void {
  if (pool.name !== '') named.set(pool.name, pool);
}

export function keepShared(pool: Pool): void {
  shared.add(pool);
}

/** It was destroyed. */
export function letGo(pool: Pool): void {
  shared.delete(pool);
  if (named.get(pool.name) === pool) named.delete(pool.name);
}
