/** The paths that nearly every call takes, counted from the disassembly: a regression is seen whatever the noise. */
import { arch } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { Disassembly, isAtomicUpdate } from '../../bench/hot-path.ts';
import { ROOT } from '../../bench/places.ts';

const BUILD = join(ROOT, '.cache/hot-path');

/** Instructions from the exported name to its ret, both included. */
const LIMITS = [
  { library: 'libbuddymalloc.so', malloc: 20, free: 28 },
  { library: 'libbuddymalloc-unchecked.so', malloc: 12, free: 18 },
];

describe.runIf(arch() === 'x64')('the hot paths', () => {
  beforeAll(async () => {
    await execa('cmake', [
      ...[
        '-S',
        ROOT,
        '-B',
        BUILD,
        '-DCMAKE_BUILD_TYPE=Release',
        '-DBUDDYMALLOC_TESTS=OFF',
        '-DBUDDYMALLOC_UNCHECKED=ON',
      ],
    ]);
    await execa('cmake', ['--build', BUILD, '--parallel', '2']);
  });

  for (const { library, ...limits } of LIMITS) {
    for (const name of ['malloc', 'free'] as const) {
      test(`${name} of ${library} takes at most ${limits[name]} instructions`, async () => {
        const path = (await Disassembly.of(join(BUILD, library))).hotPath(name);
        const listing = path.map(({ mnemonic, operands }) => `${mnemonic} ${operands}`).join('\n');
        expect(path.length, listing).toBeLessThanOrEqual(limits[name]);
      });

      test(`${name} of ${library} has no atomic read-modify-write`, async () => {
        const path = (await Disassembly.of(join(BUILD, library))).hotPath(name);
        expect(path.filter(isAtomicUpdate)).toEqual([]);
      });
    }
  }
});

const LISTING = `
0000000000001000 <malloc>:
    1000:	jmp    1010 <bm_malloc>
    1005:	nop

0000000000001010 <bm_malloc>:
    1010:	cmp    $0x400,%rdi
    1017:	ja     1030 <slow>
    1019:	lock add %rax,(%rdi)
    101d:	xchg   %rax,(%rdi)
    1020:	xchg   %ax,%ax
    1022:	ret

0000000000001030 <slow>:
    1030:	call   1040 <other>
    1035:	ret
`;

describe('the reader of the disassembly', () => {
  const disassembly = new Disassembly(LISTING);

  test('follows a jump to the function itself and passes by a conditional one', () => {
    expect(disassembly.hotPath('malloc').map(({ address }) => address)).toEqual([
      0x1000, 0x1010, 0x1017, 0x1019, 0x101d, 0x1020, 0x1022,
    ]);
  });

  test('finds what locks: the prefix, and an exchange with memory', () => {
    const atomic = disassembly.hotPath('malloc').filter(isAtomicUpdate);
    expect(atomic.map(({ address }) => address)).toEqual([0x1019, 0x101d]);
  });

  test('refuses a path that calls another function', () => {
    expect(() => disassembly.hotPath('slow')).toThrow('calls 1040 <other>');
  });

  test('refuses a name that the library does not have', () => {
    expect(() => disassembly.hotPath('free')).toThrow('no free');
  });
});
