import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { execa } from 'execa';
import { publint } from 'publint';
import { globSync } from 'tinyglobby';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../lib/root.ts';
import { copyProject, firstExample, install, newFolder, pack, type Tarball } from './tarball.ts';

const TOP_LEVEL = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'binding.gyp', 'package.json'];
/** What the README leads to; the records of decisions stay in the repository. */
const PAGES = globSync(['docs/*.md', 'docs/*.svg'], { cwd: PACKAGE_ROOT });
const TARGET = `prebuilds/${process.platform}-${process.arch}`;
const BUILD_FILE = readFileSync(join(PACKAGE_ROOT, 'binding.gyp'), 'utf8');
/** The addon, and the libraries to preload that binding.gyp builds. */
const PREBUILT = [
  'buddymalloc.glibc.node',
  ...[...BUILD_FILE.matchAll(/'product_name': '([\w-]+)'/g)].map(([, name]) => `lib${name}.so`),
];

/** The files of dist/ that the entry points of package.json lead to. */
function reachableFiles(): string[] {
  const { exports, bin } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    const text = readFileSync(join(PACKAGE_ROOT, file), 'utf8');
    for (const [, other = ''] of text.matchAll(/(?:from |import |import\(|require\()"(\.\.?\/[^"]+)"/g))
      visit(normalize(join('dist', other)));
  };
  for (const [, file = ''] of JSON.stringify({ exports, bin }).matchAll(/"(?:\.\/)?(dist\/[^"]+)"/g)) visit(file);
  return [...found];
}

/** What the compiler read, as it says in the files for make, and the linker: all of csrc/ that a build needs. */
function filesCompiled(build: string): string[] {
  const found = new Set(['csrc/addon/exports.map']);
  for (const file of globSync('**/*.o.d', { cwd: build, dot: true })) {
    const text = readFileSync(join(build, file), 'utf8');
    for (const [, path = ''] of text.matchAll(/^\.\.\/(csrc\/\S+):$/gm)) found.add(normalize(path));
    for (const [, path = ''] of text.matchAll(/^\S+\.o: \.\.\/(csrc\/\S+)/gm)) found.add(normalize(path));
  }
  return [...found];
}

/** The example, the command line and require(), each as a user of the installed package has them. */
async function expectToWork(project: string, library: string): Promise<void> {
  writeFileSync(join(project, 'example.mjs'), firstExample());
  const example = await execa(process.execPath, ['example.mjs'], { cwd: project });
  expect(example.stderr).toBe('');
  const required = await execa(process.execPath, ['-p', "typeof require('buddymalloc').malloc"], { cwd: project });
  expect(required.stdout).toBe('function');
  const script = "console.log(require('node:fs').readFileSync('/proc/self/maps', 'latin1'))";
  const preloaded = await execa('npx', ['buddymalloc', 'run', '--', 'node', '-e', script], { cwd: project });
  expect(preloaded.stdout).toContain(join(project, 'node_modules/buddymalloc', library));
}

describe('the package', () => {
  const stage = newFolder();
  let tarball: Tarball;
  beforeAll(async () => {
    copyProject(stage);
    tarball = await pack(stage);
  });
  afterAll(() => rmSync(stage, { recursive: true }));

  it('passes publint', async () => {
    const { messages } = await publint({ pkgDir: PACKAGE_ROOT, strict: true, pack: 'npm' });
    expect(messages).toEqual([]);
  });

  it('has types for import and require, as attw sees them', async () => {
    const attw = join(PACKAGE_ROOT, 'node_modules/.bin/attw');
    const { stdout, exitCode } = await execa(attw, [tarball.file, '--format', 'table-flipped'], { reject: false });
    expect(exitCode, stdout).toBe(0);
  });

  it('is built by node-gyp where no prebuilt addon loads, from all that the tarball has of csrc/', {
    timeout: 300_000,
  }, async () => {
    const project = newFolder();
    try {
      mkdirSync(join(stage, TARGET), { recursive: true });
      for (const name of PREBUILT) writeFileSync(join(stage, TARGET, name), 'for some other machine');
      await install((await pack(stage)).file, project);
      await expectToWork(project, 'build/Release/libbuddymalloc.so');
      const build = join(project, 'node_modules/buddymalloc/build');
      expect(tarball.paths).toEqual([...TOP_LEVEL, ...PAGES, ...reachableFiles(), ...filesCompiled(build)].sort());
    } finally {
      rmSync(project, { recursive: true });
    }
  });

  it('with a prebuilt addon needs no compiler where it is installed', { timeout: 300_000 }, async () => {
    const project = newFolder();
    try {
      await execa(process.execPath, [join(PACKAGE_ROOT, 'scripts/prebuilds.mjs'), '--out', stage]);
      const { file, paths } = await pack(stage);
      expect(paths).toEqual([...tarball.paths, ...PREBUILT.map((name) => `${TARGET}/${name}`)].sort());
      await install(file, project);
      const installed = join(project, 'node_modules/buddymalloc');
      expect(readdirSync(installed)).not.toContain('build');
      await expectToWork(project, `${TARGET}/libbuddymalloc.so`);
    } finally {
      rmSync(project, { recursive: true });
    }
  });
});
