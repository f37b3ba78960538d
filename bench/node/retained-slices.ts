/** nodejs/node#21967: 128 bytes of every 64 KiB Buffer are kept for a while, as a reader of a stream does that keeps its lines. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { amount, reportIdle } from './report.ts';

const KEPT_BYTES = 4 * 1024 * 1024;

let kept: Buffer[] = [];
let length = 0;
for (let i = 0; i < amount; i++) {
  const slice = Buffer.allocUnsafe(65_536).subarray(0, 128);
  slice.fill(1);
  kept.push(slice);
  length += slice.length;
  if (length >= KEPT_BYTES) {
    kept = [];
    length = 0;
  }
  Buffer.alloc(65_536);
  await nextTurn();
}
kept = [];
await reportIdle();
