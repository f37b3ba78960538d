import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { installNode } from '../../scripts/nodes.mjs';
import { canTest } from '../left-out.ts';
import { ROOT } from './project.ts';

/** Where Debian's cross compiler keeps the C and C++ libraries of arm64, for the emulator. */
const LIBRARIES = '/usr/aarch64-linux-gnu';

const SCRIPT = `
import { adopt, free, handover, libraryPath, malloc, mallocCheck, mallinfo, realloc } from 'buddymalloc';
const live = [];
for (let i = 0; i < 3000; i++) {
  const block = malloc((i * 7919) % 40_000);
  new Uint8Array(block).fill(i);
  live.push(block);
  if (live.length > 100) free(live.splice((i * 31) % 100, 1)[0]);
}
for (const block of live) free(realloc(block, 100));
free(adopt(handover(malloc(1000))));
console.log(process.arch, libraryPath(), mallinfo().allocatedBlocks, mallocCheck());
`;

const needed: [string, string][] = [
  ['aarch64-linux-gnu-g++', 'g++-aarch64-linux-gnu'],
  ['qemu-aarch64', 'qemu-user'],
];

if (needed.every(([program, debian]) => canTest(program, debian, 'the prebuilt addon for arm64')))
  describe('the prebuilt files for arm64', () => {
    test('serve a Node for arm64, as its addon and preloaded', { timeout: 300_000 }, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'buddymalloc-arm64-'));
      try {
        const programs = installNode('22', 'arm64');
        if (programs === undefined) throw new Error('Node for arm64 cannot be installed');
        const node = join(programs, 'node');
        const installed = join(folder, 'node_modules/buddymalloc');
        await execa(process.execPath, [join(ROOT, 'scripts/prebuilds.mjs'), 'linux-arm64', '--out', installed]);
        for (const part of ['package.json', 'dist'])
          cpSync(join(ROOT, part), join(installed, part), { recursive: true });
        symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'));
        writeFileSync(join(folder, 'script.mjs'), SCRIPT);
        const emulate = (...args: string[]) => execa('qemu-aarch64', ['-L', LIBRARIES, ...args], { cwd: folder });
        const library = join(installed, 'prebuilds/linux-arm64/libbuddymalloc.so');
        const asAddon = await emulate(node, 'script.mjs');
        expect(asAddon.stdout).toBe(`arm64 ${library} 0 0`);
        const preloaded = await emulate(
          ...['-E', `LD_PRELOAD=${library}`, '-E', 'BUDDYMALLOC_STATS_AT_EXIT=1', node, '-p', 'process.arch'],
        );
        expect(preloaded.stdout).toBe('arm64');
        expect(preloaded.stderr).toMatch(/^buddymalloc \d.*\n[\s\S]*Total allocation requests +\d{4}/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });
