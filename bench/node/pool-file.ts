/** A file read as a stream, one byte of each page looked at: pool-file WAY FILE. */
import { createReadStream } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Readable } from 'node:stream';
import { createPool, createPooledReadStream } from 'buddymalloc';
import { watchMemory } from './pool-memory.ts';

const PAGE = 4096;

const [way = '', path = ''] = process.argv.slice(2);

const open = (): Readable =>
  way === 'buddymalloc' ? createPooledReadStream(path, createPool({ limit: '64 MiB' })) : createReadStream(path);

const memory = watchMemory();
let length = 0;
let sum = 0;
const started = performance.now();
for await (const chunk of open() as AsyncIterable<Buffer>) {
  length += chunk.length;
  for (let at = 0; at < chunk.length; at += PAGE) sum += chunk[at] as number;
}
const ms = performance.now() - started;
if (length === 0 || sum === 0) throw new Error('nothing was read');
console.log(JSON.stringify({ ms, bytes_read: length, ...memory() }));
