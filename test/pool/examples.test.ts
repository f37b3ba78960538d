import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../lib/root.ts';

/** Seconds of load for each of the two servers. */
const UPLOAD_SECONDS = 5;

async function run(example: string, ...args: string[]): Promise<string> {
  const { stdout } = await execa(process.execPath, [join('.cache/demo', example, 'main.js'), ...args], {
    cwd: PACKAGE_ROOT,
  });
  return stdout;
}

beforeAll(async () => {
  await execa('node_modules/.bin/tsdown', ['--config', 'tsdown.demo.config.ts'], { cwd: PACKAGE_ROOT });
});

describe('the example', () => {
  it('with piscina gets every picture back, and every block', async () => {
    expect(JSON.parse(await run('piscina'))).toEqual({ right: 100, blocks: 0 });
  });

  it('of streams copies a file, adds to it, and leaves no block', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'buddymalloc-example-'));
    const [from, to] = [join(folder, 'from'), join(folder, 'to')];
    const text = 'all work and no play\n'.repeat(200_000);
    writeFileSync(from, text);
    expect(JSON.parse(await run('stream', from, to))).toEqual({ blocks: 0 });
    expect(readFileSync(to, 'utf8') === `${text}and\nmore\n`).toBe(true);
    rmSync(folder, { recursive: true });
  });

  it('of an upload server loses no block, fails no request and keeps to its limit', async () => {
    const stdout = await run('upload', `${UPLOAD_SECONDS}`);
    expect(stdout).toContain('No block is lost.');
    expect(stdout).toMatch(/mapped by the pool at most.* (32|64|96|128) MiB /);
    expect(stdout).toMatch(/requests failed.* 0 .* 0 /);
  });
});
