/** The programs that the tests run, and the Debian package that has each: the same packages as packages.txt. */
export const PACKAGE_OF = {
  ar: 'binutils',
  bash: 'bash',
  clang: 'clang',
  cmake: 'cmake',
  'g++': 'g++',
  gawk: 'gawk',
  gcc: 'gcc',
  gdb: 'gdb',
  git: 'git',
  gs: 'ghostscript',
  jq: 'jq',
  lua: 'lua5.4',
  make: 'make',
  openssl: 'openssl',
  perl: 'perl',
  python3: 'python3',
  'redis-benchmark': 'redis-tools',
  'redis-cli': 'redis-tools',
  'redis-server': 'redis-server',
  ruby: 'ruby',
  sort: 'coreutils',
  sqlite3: 'sqlite3',
  tar: 'tar',
  tclsh: 'tcl',
  xz: 'xz-utils',
  z3: 'z3',
} as const;

/** A program of the table, or one that comes with Node itself. */
export type Executable = keyof typeof PACKAGE_OF | 'node' | 'npm';

/** The Debian package to install for a program; Node's own come with Node. */
export function packageOf(program: Executable): string {
  return program === 'node' || program === 'npm' ? 'Node.js itself' : `package ${PACKAGE_OF[program]}`;
}
