/** Allocation patterns in C: the same operations, in the same order, under every allocator. */
import type { Group, Place, Workload } from '../model.ts';

/** In a quick run a pattern does this share of its operations. */
const QUICK_PERCENT = 10;

export interface PatternOptions {
  quick?: boolean;
  repeat?: number;
  quickRepeat?: number;
  roundsMax?: number;
  /** More parameters in a quick run. */
  quickParameters?: string[];
  /** Overrides the share of operations done in a quick run. */
  quickPercent?: number;
}

/** A workload that runs `patterns NAME key=value...`. */
export function pattern(group: Group, text: string, what: string, options: PatternOptions = {}): Workload {
  const [name = '', ...parameters] = text.split(' ');
  return {
    name: text,
    group,
    what,
    quick: options.quick ?? false,
    ...(options.roundsMax === undefined ? {} : { roundsMax: options.roundsMax }),
    command: (place: Place) => ({
      program: place.patterns,
      args: [name, ...parameters, ...share(place, options)],
      ...(options.repeat === undefined
        ? {}
        : { repeat: (place.quick ? options.quickRepeat : undefined) ?? options.repeat }),
    }),
  };
}

function share(place: Place, options: PatternOptions): string[] {
  if (!place.quick) return [];
  return [`scale_percent=${options.quickPercent ?? QUICK_PERCENT}`, ...(options.quickParameters ?? [])];
}

const quick = { quick: true };

const rows: [string, string, PatternOptions?][] = [
  ['pair size=16', 'malloc and free at once', quick],
  ['pair size=64', 'malloc and free at once'],
  ['pair size=256', 'malloc and free at once'],
  ['pair size=1K', 'malloc and free at once', quick],
  ['pair size=4K', 'malloc and free at once'],
  ['pair size=16K', 'malloc and free at once', quick],
  ['pair size=64K', 'malloc and free at once'],
  ['pair size=256K', 'malloc and free at once'],
  ['pair size=1M', 'malloc and free at once', quick],
  ['lifo burst=50', 'bursts freed last first', quick],
  ['lifo burst=1000', 'bursts freed last first'],
  ['lifo burst=10000', 'bursts freed last first', quick],
  ['lifo burst=100000', 'bursts freed last first'],
  ['fifo burst=50', 'bursts freed first first'],
  ['fifo burst=1000', 'bursts freed first first', quick],
  ['fifo burst=10000', 'bursts freed first first'],
  ['fifo burst=100000', 'bursts freed first first', quick],
  ['fifo burst=100 low=600', 'bursts freed first first'],
  ['random burst=50 high=512', 'bursts freed in random order'],
  ['random burst=1000 high=512', 'bursts freed in random order', quick],
  ['random burst=10000 high=512', 'bursts freed in random order'],
  ['random burst=100000 high=512', 'bursts freed in random order', quick],
  ['random burst=1000 low=1K high=32K count=1000000', 'bursts of larger blocks freed in random order'],
  ['replace live=200', 'random replacement, 16 to 512 bytes'],
  ['replace live=1000', 'random replacement, 16 to 512 bytes', quick],
  ['replace live=10000', 'random replacement, 16 to 512 bytes'],
  ['replace live=100000', 'random replacement, 16 to 512 bytes', quick],
  ['replace live=2000 high=32K', 'random replacement, mixed sizes to 32 KiB', quick],
  ['replace live=500 high=512K', 'random replacement, mixed sizes to 512 KiB'],
  ['stack', 'a stack of mixed sizes that grows and shrinks'],
  ['own threads=2', 'random replacement in every thread', quick],
  ['own threads=8', 'random replacement in every thread'],
  ['producer-consumer pairs=1', 'one thread allocates, another frees', quick],
  ['producer-consumer pairs=4', 'four threads allocate, four others free'],
  ['wander threads=4', 'blocks wander through threads that die', quick],
  ['wander threads=8 high=512', 'blocks wander through threads that die'],
  ['strangers threads=2', 'each thread frees what another allocated', quick],
  ['strangers threads=4', 'each thread frees what another allocated'],
  ['strangers threads=8', 'each thread frees what another allocated', quick],
  ['exchange threads=2', 'threads free what they find in shared places'],
  ['exchange threads=4', 'threads free what they find in shared places', quick],
  ['exchange threads=8', 'threads free what they find in shared places'],
  ['neighbours', 'two threads write neighbouring blocks', quick],
  ['neighbours inherited=1', 'the same, from blocks that a third one allocated'],
  ['large', 'blocks of 5 to 25 MiB kept and replaced at random', { quick: true, quickPercent: 15 }],
  ['realloc-double', 'vectors that double to 1 MiB', quick],
  ['realloc-double max=64M vectors=2', 'vectors that double to 64 MiB'],
  ['realloc-step', 'one block grown by 64 KiB to 256 MiB', { quick: true, quickParameters: ['max=16M'], roundsMax: 3 }],
  ['realloc-small', 'strings that grow a little at a time', quick],
  ['calloc size=256', 'calloc, untouched'],
  ['calloc size=256 touch=1', 'calloc, touched', quick],
  ['calloc size=4K', 'calloc, untouched', quick],
  ['calloc size=4K touch=1', 'calloc, touched'],
  ['calloc size=1M', 'calloc, untouched', quick],
  ['calloc size=1M touch=1', 'calloc, touched'],
  ['thread-exit', 'threads created and ended', quick],
  ['start', 'start of a trivial program', { quick: true, repeat: 200, quickRepeat: 50 }],
];

export const patterns: Workload[] = rows.map(([text, what, options]) => pattern('patterns', text, what, options));
