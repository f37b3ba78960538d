/** nodejs/node#21973: many Buffers of several megabytes, read at the same time in the thread pool, and dropped. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { amount, reportIdle } from './report.ts';

const AT_ONCE = 25;
const MEGABYTE = 1_000_000;

const folder = mkdtempSync(join(tmpdir(), 'buddymalloc-bench-'));
const files = [2, 3, 5, 8].map((megabytes) => {
  const file = join(folder, `${megabytes}`);
  writeFileSync(file, Buffer.alloc(megabytes * MEGABYTE, megabytes));
  return file;
});
let total = 0;
for (let round = 0; round < amount; round++) {
  const buffers = await Promise.all(
    Array.from({ length: AT_ONCE }, (_, i) => readFile(files[(i + round) % files.length] ?? '')),
  );
  total += buffers.reduce((sum, buffer) => sum + buffer.length + buffer.toString('latin1', 0, 1000).length, 0);
}
rmSync(folder, { recursive: true });
if (total === 0) throw new Error('nothing was read');
await reportIdle();
