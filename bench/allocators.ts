/** Finds the allocators to compare: ours, the system's, the packaged rivals that are here, and those named by hand. */
import { existsSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { execa } from 'execa';
import { globSync } from 'tinyglobby';
import { launch } from './launch.ts';
import { type Allocator, BASELINE, CONTROL, OURS } from './model.ts';
import { NODE_PROGRAMS, PATTERNS_PROGRAM } from './places.ts';

interface Packaged {
  name: string;
  /** Debian's package. */
  package: string;
  /** File names, the first that the system's linker knows is taken. */
  files: string[];
  /** Where to look besides. */
  patterns?: string[];
}

const PACKAGED: Packaged[] = [
  {
    name: 'mimalloc',
    package: 'libmimalloc2.0',
    files: ['libmimalloc.so.2.0', 'libmimalloc.so.2', 'libmimalloc.so.3'],
  },
  { name: 'jemalloc', package: 'libjemalloc2', files: ['libjemalloc.so.2'] },
  { name: 'tcmalloc', package: 'libtcmalloc-minimal4', files: ['libtcmalloc_minimal.so.4'] },
  { name: 'tbbmalloc', package: 'libtbbmalloc2', files: ['libtbbmalloc_proxy.so.2'] },
  {
    name: 'scudo',
    package: 'libclang-rt-19-dev',
    files: [],
    patterns: [
      '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-x86_64.so',
      '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-aarch64.so',
    ],
  },
];

/** What the Node programs import. */
const MODULES = ['sharp'];

export const PACKAGES: readonly string[] = PACKAGED.map((rival) => rival.package);

/** How the linker's cache marks libraries that this machine's programs can load. */
const LOADABLE = process.arch === 'arm64' ? 'AArch64' : 'x86-64';

/** The linker's cache: file name to path. It also has the libraries of other word sizes. */
async function linkerCache(): Promise<Map<string, string>> {
  const { stdout } = await execa('ldconfig', ['-p'], { reject: false, env: { PATH: `${process.env['PATH']}:/sbin` } });
  const paths = new Map<string, string>();
  for (const line of stdout.split('\n')) {
    const [, file, kind, path] = /^\s*(\S+) \((.*)\) => (\S+)$/.exec(line) ?? [];
    if (file !== undefined && path !== undefined && kind?.includes(LOADABLE) && !paths.has(file)) paths.set(file, path);
  }
  return paths;
}

/** The C library itself, to preload over an allocator that a program is linked with. */
export async function systemLibrary(): Promise<string | undefined> {
  return (await linkerCache()).get('libc.so.6');
}

/** `name=path.so` of the command line. */
export function parseAllocator(text: string): Allocator {
  const [, name, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || path === undefined) throw new Error(`--allocator takes name=path.so, not '${text}'`);
  const library = resolve(path);
  if (!existsSync(library)) throw new Error(`--allocator ${name}: there is no file ${path}`);
  return { name, library };
}

/** `.../llvm-19/...` before `.../llvm-14/...`. */
function newestFirst(patterns: string[]): string[] {
  const paths = patterns.length > 0 ? globSync(patterns, { absolute: true }) : [];
  return paths.sort((a, b) => b.localeCompare(a, undefined, { numeric: true }));
}

async function packagedHere(): Promise<Allocator[]> {
  const cache = await linkerCache();
  return PACKAGED.flatMap(({ name, files, patterns = [] }) => {
    const library = [...files.map((file) => cache.get(file)), ...newestFirst(patterns)].find(
      (path) => path !== undefined,
    );
    return library === undefined ? [] : [{ name, library }];
  });
}

/** A library that a trivial program cannot run with is no rival here. */
async function runs(allocator: Allocator): Promise<boolean> {
  try {
    await launch(allocator, { program: PATTERNS_PROGRAM, args: ['start'] });
    return true;
  } catch {
    return false;
  }
}

export interface Field {
  allocators: Allocator[];
  /** Names that were found or given and do not run. */
  broken: string[];
}

/**
 * Ours first, the system's last and twice: a copy of itself tells how noisy the machine is.
 * @param library ours
 * @param named given by hand; one of the same name replaces a packaged one
 */
export async function findAllocators(library: string, named: Allocator[]): Promise<Field> {
  const byName = new Map([...(await packagedHere()), ...named].map((allocator) => [allocator.name, allocator]));
  const preloaded = [{ name: OURS, library: resolve(library) }, ...byName.values()];
  const field: Field = { allocators: [], broken: [] };
  for (const allocator of preloaded) {
    if (await runs(allocator)) field.allocators.push(allocator);
    else field.broken.push(allocator.name);
  }
  field.allocators.push({ name: BASELINE }, { name: CONTROL });
  return field;
}

/** Installs the packaged rivals, which needs the right to, and the modules that the Node programs use. */
export async function installRivals(): Promise<void> {
  await execa('apt-get', ['-o', 'DPkg::Lock::Timeout=300', 'install', '-y', ...PACKAGES], { stdio: 'inherit' });
  mkdirSync(NODE_PROGRAMS, { recursive: true });
  await execa('npm', ['install', '--no-save', '--no-package-lock', '--prefix', NODE_PROGRAMS, ...MODULES], {
    stdio: 'inherit',
  });
}
