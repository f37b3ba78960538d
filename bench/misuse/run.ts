/** Runs every case of the catalogue of misuse (misuse.c), each in a process of its own, under one allocator. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { compileC } from '../build.ts';
import type { Allocator } from '../model.ts';
import { MISUSE_PROGRAM, MISUSE_SOURCES } from '../places.ts';

/** What the program ends with where the misuse had no effect. */
const HARMLESS = 3;
const SECONDS = 20;
const AT_ONCE = 4;

/** C++'s operators are called by their names in the linker's eyes. */
const WITH_CXX = ['-Wl,--no-as-needed', '-lstdc++', '-Wl,--as-needed'];

/** The program does on purpose what the compiler warns of, and must do it in the order that it is written. */
const FLAGS = ['-O1', '-fno-builtin', '-Wno-use-after-free', '-Wno-free-nonheap-object', '-Wno-stringop-overflow'];

/** Compiles the catalogue and returns the names of its cases. */
export async function misuseCases(): Promise<string[]> {
  mkdirSync(dirname(MISUSE_PROGRAM), { recursive: true });
  await compileC(MISUSE_PROGRAM, MISUSE_SOURCES, [...FLAGS, ...WITH_CXX]);
  const { stdout } = await execa(MISUSE_PROGRAM);
  return stdout.split('\n');
}

/** True if a signal ended the case, or the misuse had no effect. A case that hangs is not caught. */
async function isCaught({ library }: Allocator, name: string): Promise<boolean> {
  const { exitCode, signal, timedOut } = await execa(MISUSE_PROGRAM, [name], {
    reject: false,
    stdio: 'ignore',
    timeout: SECONDS * 1000,
    env: library === undefined ? {} : { LD_PRELOAD: library },
  });
  return !timedOut && (signal !== undefined || exitCode === HARMLESS);
}

/** The cases that the allocator does not catch. */
export async function missedBy(allocator: Allocator, names: readonly string[]): Promise<string[]> {
  const missed: string[] = [];
  const waiting = [...names];
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      if (!(await isCaught(allocator, name))) missed.push(name);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return names.filter((name) => missed.includes(name));
}
