// Hashes a body, stores it, and gives its memory back. Each worker has one file, so that the folder does not grow.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { openPool } from 'buddymalloc';
import { POOL, type Stored, type Task, type Way } from './protocol.ts';

const { way, folder } = workerData as { way: Way; folder: string };
const pool = way === 'pool' ? openPool(POOL) : undefined;
const file = await open(join(folder, `${threadId}`), 'w');

async function store({ id, body }: Task): Promise<void> {
  const block = pool !== undefined && typeof body === 'number' ? pool.adopt(body) : undefined;
  const bytes = block ?? Buffer.from(body as ArrayBuffer);
  try {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten;
    parentPort?.postMessage({ id, sha256 } satisfies Stored);
  } finally {
    if (block !== undefined) pool?.free(block);
  }
}

// One after the other, since they share the file.
let last = Promise.resolve();
parentPort?.on('message', (task: Task) => {
  last = last.then(() => store(task));
});
