/** What one allocation and one free cost in a ring of live blocks: pool-calls WAY SIZE LIVE MILLISECONDS. */
import { time } from './pool-timing.ts';
import { wayCalled } from './pool-ways.ts';

const [way = '', ...numbers] = process.argv.slice(2);
const [size = 0, live = 0, milliseconds = 0] = numbers.map(Number);
const { alloc, free, bytes } = wayCalled(way, size * live);

const ring: object[] = Array.from({ length: live }, () => alloc(size));
let at = 0;

/** The oldest block is given back and a new one takes its place; its first byte is written. */
function replace(): void {
  free?.(ring[at] as object);
  const block = alloc(size);
  bytes(block)[0] = at;
  ring[at] = block;
  at = at + 1 === live ? 0 : at + 1;
}

await time(replace, milliseconds);
