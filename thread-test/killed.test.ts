/** A process of workers that dies in the middle of handing blocks over takes nothing of others with it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { adopt, free, handover, mallinfo, malloc, mallocCheck } from '../lib/index.ts';

/** What is killed: two workers that hand blocks to each other for ever, and print when a thousand have arrived. */
const WORKERS = new URL('./endless.ts', import.meta.url).pathname;

const shared = () =>
  [...readdirSync('/dev/shm'), ...readdirSync(tmpdir()).filter((name) => name.includes('buddymalloc'))].sort();

test('a process that is killed while its workers hand blocks over leaves nothing behind, and other processes alone', async () => {
  const before = shared();
  const { allocatedBlocks } = mallinfo();
  for (let round = 0; round < 2; round++) {
    const child = spawn(process.execPath, ['--import', 'tsx', WORKERS], { stdio: ['ignore', 'pipe', 'inherit'] });
    const handles = Array.from({ length: 100 }, (_, i) => handover(malloc(i * 1000)));
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGKILL');
    for (const [i, handle] of handles.entries()) {
      const block = adopt(handle);
      expect(block.byteLength).toBe(i * 1000);
      free(block);
    }
    expect(mallocCheck()).toBe(0);
  }
  expect(mallinfo().allocatedBlocks).toBe(allocatedBlocks);
  expect(shared()).toEqual(before);
}, 60_000);
