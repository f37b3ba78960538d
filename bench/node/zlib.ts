/** Buffers of 4 KiB to 1 MiB, compressed and expanded in the thread pool. */
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import { amount, numbers } from './report.ts';

const AT_ONCE = 8;
const random = numbers(29);
const pack = promisify(deflate);
const unpack = promisify(inflate);

let done = 0;
async function churn(): Promise<void> {
  while (done++ < amount) {
    const size = 4096 << random(9);
    const buffer = Buffer.allocUnsafe(size + random(size));
    for (let i = 0; i < buffer.length; i += 16)
      buffer.writeUInt32LE((i * 2_654_435_761) >>> 20, Math.min(i, buffer.length - 4));
    const packed = (await pack(buffer)) as Buffer;
    const again = (await unpack(packed)) as Buffer;
    if (again.length !== buffer.length) throw new Error('zlib gave back another length');
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, churn));
