/** Compiles the C patterns, the launcher and the Node programs, each when one of its sources is newer than it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { execa } from 'execa';
import { BENCH, CACHE, INPUTS, LAUNCHER_PROGRAM, NODE_PROGRAMS, PATTERNS_PROGRAM, STILL_CLOCK } from './places.ts';

/** Without these a compiler may leave out a malloc and its free altogether. */
const KEEP_CALLS = ['malloc', 'free', 'calloc', 'realloc'].map((name) => `-fno-builtin-${name}`);
const C_FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', '-pthread', ...KEEP_CALLS];
const CC = process.env['CC'] ?? 'cc';

function filesIn(folder: string, ending: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name))
    .sort();
}

function isOlder(product: string, sources: string[]): boolean {
  if (!existsSync(product)) return true;
  const age = statSync(product).mtimeMs;
  return sources.some((source) => statSync(source).mtimeMs > age);
}

/** Another bench may run the product now: it is made under a name of its own and then takes the place. */
async function replaceBy(product: string, make: (draft: string) => Promise<void> | void): Promise<void> {
  const draft = `${product}.${process.pid}`;
  await make(draft);
  renameSync(draft, product);
}

export async function compileC(product: string, folder: string, flags: string[]): Promise<void> {
  const sources = filesIn(folder, '.c');
  if (!isOlder(product, [...sources, ...filesIn(folder, '.h')])) return;
  await replaceBy(product, async (draft) => {
    await execa(CC, [...C_FLAGS, ...flags, ...sources, '-o', draft]);
  });
}

/** The types are taken out and nothing else: what is measured is plain JavaScript. */
async function transpileNode(): Promise<void> {
  mkdirSync(NODE_PROGRAMS, { recursive: true });
  for (const source of filesIn(join(BENCH, 'node'), '.ts')) {
    const product = join(NODE_PROGRAMS, `${parse(source).name}.mjs`);
    if (!isOlder(product, [source])) continue;
    // Loaded here, since it takes longer to load than all else and is seldom needed.
    const { default: ts } = await import('typescript');
    const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    });
    const text = outputText.replaceAll(/(from\s+'\.\/[^']+)\.ts'/g, "$1.mjs'");
    await replaceBy(product, (draft) => writeFileSync(draft, text));
  }
}

export async function build(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  mkdirSync(INPUTS, { recursive: true });
  await compileC(PATTERNS_PROGRAM, join(BENCH, 'patterns'), []);
  await compileC(LAUNCHER_PROGRAM, join(BENCH, 'launcher'), ['-static', '-Os']);
  await compileC(STILL_CLOCK, join(BENCH, 'still-clock'), ['-shared', '-fPIC']);
  await transpileNode();
}
