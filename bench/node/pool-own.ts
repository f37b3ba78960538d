/** What an ArrayBuffer over native memory costs, freed by detaching it or left to the GC: pool-own WAY SIZE MILLISECONDS. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createPool, free, malloc } from 'buddymalloc';
import { time } from './pool-timing.ts';

/** So many between two turns of the event loop, which is where Node runs finalizers. */
const PER_TURN = 1000;

const [way = '', ...numbers] = process.argv.slice(2);
const [size = 0, milliseconds = 0] = numbers.map(Number);
const pool = createPool();

const ways: Record<string, () => void> = {
  buddymalloc: () => pool.free(pool.allocArrayBuffer(size)),
  'malloc and free': () => free(malloc(size)),
  'left to the GC': () => {
    malloc(size);
  },
};
const once = ways[way];
if (once === undefined) throw new Error(`there is no way called ${way}`);

async function many(): Promise<void> {
  for (let i = 0; i < PER_TURN; i++) once?.();
  await nextTurn();
}

await time(many, milliseconds, PER_TURN);
