/** What the Node programs print at their end: one line of JSON with their memory. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Long enough for an allocator that waits before it gives memory back. */
const IDLE_MS = 1000;

/** The amount of work, from the command line. */
export const amount = Number(process.argv[2]);

/** The same numbers in every run. */
export function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
}

/** Collects what was dropped, rests, and prints resident memory before and after: what a person sees of an idle server. */
export async function reportIdle(): Promise<void> {
  const busy = process.memoryUsage.rss();
  (globalThis as { gc?: () => void }).gc?.();
  await sleep(IDLE_MS);
  console.log(JSON.stringify({ rss_busy: busy, rss_idle: process.memoryUsage.rss() }));
}
