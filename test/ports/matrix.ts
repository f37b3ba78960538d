/**
 * All C tests as gcc and clang build them with -O0 to -O3, without and with LTO: `npm run matrix`, about an hour;
 * `npm run matrix -- 'gcc -O2' 'clang -O3 -flto'` runs those alone.
 */
import { join } from 'node:path';
import { build, failures } from './build.ts';

const COMPILERS = [
  ['gcc', 'g++', []],
  ['clang', 'clang++', ['-fuse-ld=lld']],
] as const;

const PROGRAMS = ['test-static', 'test-hardened', 'preinit-static'];

const LEVELS = ['-O0', '-O1', '-O2', '-O3'];
const LTO = ['', ' -flto'];

const wanted = process.argv.slice(2);
const all = COMPILERS.flatMap(([compiler]) =>
  LEVELS.flatMap((level) => LTO.map((lto) => `${compiler} ${level}${lto}`)),
);
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`there is no build '${unknown.join("', '")}'; the builds are '${all.join("', '")}'`);
  process.exit(1);
}
let failed = 0;
for (const [compiler, cxx, link] of COMPILERS) {
  for (const level of LEVELS) {
    for (const lto of LTO) {
      const flags = `${level}${lto}`;
      if (wanted.length > 0 && !wanted.includes(`${compiler} ${flags}`)) continue;
      let faults: string[];
      try {
        const folder = build(`matrix-${compiler}`, PROGRAMS, {
          CMAKE_C_COMPILER: compiler,
          CMAKE_CXX_COMPILER: cxx,
          CMAKE_BUILD_TYPE: 'None',
          CMAKE_C_FLAGS: flags,
          CMAKE_CXX_FLAGS: flags,
          CMAKE_EXE_LINKER_FLAGS: lto === '' ? '' : link.join(' '),
        });
        faults = PROGRAMS.flatMap((name) => failures([join(folder, 'tests', name)], ['_test']));
      } catch (error) {
        faults = [String(error)];
      }
      failed += faults.length;
      console.log(`${compiler} ${flags}: ${faults.length === 0 ? 'all C tests pass' : faults.join('\n')}`);
    }
  }
}
process.exit(failed === 0 ? 0 : 1);
