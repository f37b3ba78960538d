/** A file read as a stream, one byte of each page looked at: pool-file WAY FILE. */
import { createReadStream } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Readable } from 'node:stream';
import * as buddymalloc from 'buddymalloc';

const PAGE = 4096;

const [way = '', path = ''] = process.argv.slice(2);

type PooledReader = (path: string, pool: buddymalloc.Pool) => Readable;

function open(): Readable {
  if (way !== 'buddymalloc') return createReadStream(path);
  const { createPooledReadStream } = buddymalloc as unknown as { createPooledReadStream?: PooledReader };
  if (createPooledReadStream === undefined) throw new Error('the package has no createPooledReadStream');
  return createPooledReadStream(path, buddymalloc.createPool({ limit: '64 MiB' }));
}

let length = 0;
let sum = 0;
const started = performance.now();
for await (const chunk of open() as AsyncIterable<Buffer>) {
  length += chunk.length;
  for (let at = 0; at < chunk.length; at += PAGE) sum += chunk[at] as number;
}
const ms = performance.now() - started;
if (length === 0 || sum === 0) throw new Error('nothing was read');
console.log(JSON.stringify({ ms, bytes_read: length }));
