// A pool of workers that makes negatives of pictures: the pixels go to a worker and come back without a copy. After `npm start`:
// node .cache/demo/piscina/main.js
import { createPool } from 'buddymalloc';
import { Piscina } from 'piscina';

const PICTURES = 100;
const BYTES = 1_000_000;

const pool = createPool({ name: 'pictures', limit: '64 MiB' });
const workers = new Piscina<number, number>({ filename: new URL('./worker.js', import.meta.url).href, maxThreads: 2 });

async function negative(number: number): Promise<boolean> {
  // Waits while too many pictures are under way.
  const picture = await pool.allocAsync(BYTES);
  picture.fill(number);
  const result = pool.adopt(await workers.run(pool.handle(picture)));
  const isRight = result.every((byte) => byte === 255 - number);
  pool.free(result);
  return isRight;
}

const results = await Promise.all(Array.from({ length: PICTURES }, (_, number) => negative(number)));
await workers.destroy();
console.log(JSON.stringify({ right: results.filter(Boolean).length, blocks: pool.stats().usedBlocks }));
