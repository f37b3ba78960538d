import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './project.ts';

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const coreSources = (text: string) => [...text.matchAll(/\bcsrc\/(\w+\.c)\b/g)].map((match) => match[1] ?? '').sort();

const listed = read('csrc/sources.txt').trim().split('\n');

test('csrc/sources.txt lists every C file of csrc/ but preload.c and client.c', () => {
  const files = readdirSync(join(ROOT, 'csrc')).filter(
    (file) => file.endsWith('.c') && !/^(preload|client)\.c$/.test(file),
  );
  expect([...listed].sort()).toEqual(files.sort());
});

test('CMakeLists.txt builds the sources of csrc/sources.txt', () => {
  const [, list = ''] = /set\(BUDDYMALLOC_SOURCES\s([^)]*)\)/.exec(read('CMakeLists.txt')) ?? [];
  expect(coreSources(list)).toEqual([...listed].sort());
});

test('binding.gyp builds the sources of csrc/sources.txt', () => {
  const [, list = ''] = /'core_sources':\s*\[([^\]]*)\]/.exec(read('binding.gyp')) ?? [];
  expect(coreSources(list)).toEqual([...listed].sort());
});
