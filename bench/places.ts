/** Where the bench keeps what it builds and generates: beside nothing that is in git. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const BENCH = dirname(fileURLToPath(import.meta.url));
export const ROOT = dirname(BENCH);
export const CACHE = join(ROOT, '.cache/bench');
export const PATTERNS_PROGRAM = join(CACHE, 'patterns');
export const LAUNCHER_PROGRAM = join(CACHE, 'launcher');
export const STILL_CLOCK = join(CACHE, 'still-clock.so');
export const MISUSE_PROGRAM = join(CACHE, 'misuse');
export const MISUSE_SOURCES = join(BENCH, 'misuse');
export const NODE_PROGRAMS = join(CACHE, 'node');
export const INPUTS = join(CACHE, 'inputs');
/** The default build of the library to preload, as `npm run build` leaves it. */
export const LIBRARY = join(ROOT, 'out/Release/libbuddymalloc.so');
/** The hardened build beside it. */
export const HARDENED_LIBRARY = join(ROOT, 'out/Release/libbuddymalloc-hardened.so');
