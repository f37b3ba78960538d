// Copies a file through a pool of 1 MiB, then sends blocks to a stream that frees them. After `npm start`:
// node .cache/demo/stream/main.js FROM TO
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createPool, createPooledReadStream, writeAndFree } from 'buddymalloc';

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) {
  console.error('usage: node .cache/demo/stream/main.js FROM TO');
  process.exit(1);
}
const pool = createPool({ limit: '1 MiB' });

await pipeline(createPooledReadStream(from, pool), createWriteStream(to));

const log = createWriteStream(to, { flags: 'a' });
for (const line of ['and', 'more']) {
  const block = pool.alloc(line.length + 1);
  block.write(`${line}\n`);
  writeAndFree(log, block);
}
await new Promise<void>((resolve) => log.end(resolve));

console.log(JSON.stringify({ blocks: pool.stats().usedBlocks }));
