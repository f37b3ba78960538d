/** What a program's own work takes of memory, without the 45 to 65 MiB that Node and its threads had before it began. */
import { resourceUsage } from 'node:process';

const KIBIBYTE = 1024;

/** @returns how far the resident memory has risen at most since this was called, as a figure to print */
export function watchMemory(): () => { rss_beyond_node: number } {
  const before = process.memoryUsage.rss();
  return () => ({ rss_beyond_node: Math.max(resourceUsage().maxRSS * KIBIBYTE - before, 0) });
}
