/** The package as it is published: packed from a copy of the project, and installed in an empty folder. */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import { PACKAGE_ROOT } from '../../lib/root.ts';
import { nodedirArguments } from '../../scripts/tools.mjs';

/** Large or made by machine, and in no tarball: a copy of the project does without them. */
const NOT_COPIED = ['node_modules', '.git', '.cache', 'build', 'out', 'prebuilds'];

/** A temporary folder; the caller removes it. */
export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'buddymalloc-package-'));

export function copyProject(folder: string): void {
  cpSync(PACKAGE_ROOT, folder, {
    recursive: true,
    filter: (file) => !NOT_COPIED.includes(relative(PACKAGE_ROOT, file)),
  });
}

export interface Tarball {
  file: string;
  /** Paths in the package, sorted. */
  paths: string[];
}

export async function pack(project: string): Promise<Tarball> {
  const { stdout } = await execa('npm', ['pack', '--json', '--ignore-scripts'], { cwd: project });
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  return { file: join(project, packed.filename), paths: packed.files.map(({ path }) => path).sort() };
}

/** Installs the tarball in `folder`, as a user would who has the headers of Node on this machine. */
export async function install(tarball: string, folder: string): Promise<void> {
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const [nodedir] = nodedirArguments();
  await execa('npm', ['install', '--no-audit', '--no-fund', tarball], {
    cwd: folder,
    env: { JOBS: '2', ...(nodedir === undefined ? {} : { npm_config_nodedir: nodedir.replace('--nodedir=', '') }) },
  });
}

/** The first JavaScript example of the README. */
export function firstExample(): string {
  const readme = readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8');
  const [, code] = /```(?:js|javascript|ts|typescript|mjs)\n([\s\S]*?)```/.exec(readme) ?? [];
  if (code === undefined) throw new Error('the README has no JavaScript example');
  return code;
}
