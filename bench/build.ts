/** Compiles the C patterns, the launcher and the Node programs, each when one of its sources is newer than it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { execa } from 'execa';
import ts from 'typescript';
import { BENCH, CACHE, INPUTS, LAUNCHER_PROGRAM, NODE_PROGRAMS, PATTERNS_PROGRAM } from './places.ts';

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

async function compileC(product: string, folder: string, flags: string[]): Promise<void> {
  const sources = filesIn(folder, '.c');
  if (!isOlder(product, [...sources, ...filesIn(folder, '.h')])) return;
  await execa(CC, [...C_FLAGS, ...flags, ...sources, '-o', product]);
}

/** The types are taken out and nothing else: what is measured is plain JavaScript. */
function transpileNode(): void {
  mkdirSync(NODE_PROGRAMS, { recursive: true });
  for (const source of filesIn(join(BENCH, 'node'), '.ts')) {
    const product = join(NODE_PROGRAMS, `${parse(source).name}.mjs`);
    if (!isOlder(product, [source])) continue;
    const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    });
    writeFileSync(product, outputText.replaceAll(/(from\s+'\.\/[^']+)\.ts'/g, "$1.mjs'"));
  }
}

export async function build(): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  mkdirSync(INPUTS, { recursive: true });
  await compileC(PATTERNS_PROGRAM, join(BENCH, 'patterns'), []);
  await compileC(LAUNCHER_PROGRAM, join(BENCH, 'launcher'), ['-static', '-Os']);
  transpileNode();
}
