import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../lib/root.ts';
import { nodedirArguments } from '../../scripts/tools.mjs';

/** What `npm pack` puts into the tarball, beside the built files and the C and C++ sources. */
const TOP_LEVEL = ['CHANGELOG.md', 'LICENSE', 'README.md', 'binding.gyp', 'csrc', 'dist', 'package.json'];

interface Packed {
  filename: string;
  files: { path: string }[];
}

/** The first JavaScript example of the README. */
function firstExample(): string {
  const readme = readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8');
  const [, code] = /```(?:js|javascript|ts|typescript|mjs)\n([\s\S]*?)```/.exec(readme) ?? [];
  if (code === undefined) throw new Error('the README has no JavaScript example');
  return code;
}

describe('the tarball of the package', () => {
  let folder: string;
  let packed: Packed;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'buddymalloc-pack-'));
    const { stdout } = await execa('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: PACKAGE_ROOT,
    });
    [packed] = JSON.parse(stdout) as [Packed];
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('contains what is needed and nothing else', () => {
    const paths = packed.files.map((file) => file.path);
    expect([...new Set(paths.map((path) => path.split('/')[0]))].sort()).toEqual(TOP_LEVEL);
    const unexpected = paths.filter(
      (path) => path.includes('/') && !/^(csrc|dist)\/.*\.(c|h|cc|def|map|js|cjs|ts|cts|txt)$/.test(path),
    );
    expect(unexpected).toEqual([]);
  });

  it('passes publint', async () => {
    const { messages } = await publint({ pkgDir: PACKAGE_ROOT, strict: true, pack: 'npm' });
    expect(messages).toEqual([]);
  });

  it('has types for import and require, as attw sees them', async () => {
    const attw = join(PACKAGE_ROOT, 'node_modules/.bin/attw');
    const { stdout, exitCode } = await execa(attw, [join(folder, packed.filename), '--format', 'table-flipped'], {
      reject: false,
    });
    expect(exitCode, stdout).toBe(0);
  });

  it('installs in an empty folder, where the first example of the README runs', { timeout: 300_000 }, async () => {
    const project = mkdtempSync(join(tmpdir(), 'buddymalloc-user-'));
    try {
      writeFileSync(join(project, 'package.json'), '{ "private": true }');
      const [nodedir] = nodedirArguments();
      await execa('npm', ['install', '--no-audit', '--no-fund', join(folder, packed.filename)], {
        cwd: project,
        env: nodedir === undefined ? {} : { npm_config_nodedir: nodedir.replace('--nodedir=', '') },
      });
      writeFileSync(join(project, 'example.mjs'), firstExample());
      const example = await execa(process.execPath, ['example.mjs'], { cwd: project });
      expect(example.stderr).toBe('');
      const required = await execa(process.execPath, ['-p', "typeof require('buddymalloc').malloc"], { cwd: project });
      expect(required.stdout).toBe('function');
      const preloaded = await execa('npx', ['buddymalloc', 'run', '--', 'cat', '/proc/self/maps'], { cwd: project });
      expect(preloaded.stdout).toContain(join(project, 'node_modules/buddymalloc/build/Release/libbuddymalloc.so'));
    } finally {
      rmSync(project, { recursive: true });
    }
  });
});
