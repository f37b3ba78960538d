/** What a recycled block costs, beside allocUnsafe: pool-fixed WAY SIZE MILLISECONDS. */
import { createPool } from 'buddymalloc';
import { time } from './pool-timing.ts';

const [way = '', ...numbers] = process.argv.slice(2);
const [size = 0, milliseconds = 0] = numbers.map(Number);
const fixed = createPool().fixed(size);

function ours(): void {
  const block = fixed.acquire();
  block[0] = 1;
  fixed.release(block);
}

let last: Buffer | undefined;
function theirs(): void {
  last = Buffer.allocUnsafe(size);
  last[0] = 1;
}

await time(way === 'buddymalloc' ? ours : theirs, milliseconds);
