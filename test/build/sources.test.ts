import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './project.ts';

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const coreSources = (text: string) => [...text.matchAll(/\bcsrc\/(\w+\.c)\b/g)].map((match) => match[1] ?? '').sort();

const listed = read('csrc/sources.txt').trim().split('\n');

test('csrc/sources.txt lists every C file of csrc/ but those of some builds alone', () => {
  const files = readdirSync(join(ROOT, 'csrc')).filter(
    (file) => file.endsWith('.c') && !/^(preload|preload_cxx|client)\.c$/.test(file),
  );
  expect([...listed].sort()).toEqual(files.sort());
});

test('CMakeLists.txt builds the sources of csrc/sources.txt', () => {
  const [, list = ''] = /set\(BUDDYMALLOC_SOURCES\s([^)]*)\)/.exec(read('CMakeLists.txt')) ?? [];
  expect(coreSources(list)).toEqual([...listed].sort());
});

/** The files that a list of CMakeLists.txt or binding.gyp names, `hardened/verbs.c` with its folder. */
const allSources = (text: string) => [...text.matchAll(/\bcsrc\/([\w/]+\.c)\b/g)].map((match) => match[1] ?? '').sort();

test('CMakeLists.txt and binding.gyp build the hardened library from every file of csrc/hardened/, and leave out the same', () => {
  const files = readdirSync(join(ROOT, 'csrc/hardened')).filter((file) => file.endsWith('.c'));
  const cmake = read('CMakeLists.txt');
  const gyp = read('binding.gyp');
  const [, added = ''] = /list\(APPEND BUDDYMALLOC_HARDENED_SOURCES\s([^)]*)\)/.exec(cmake) ?? [];
  const [, removed = ''] = /list\(REMOVE_ITEM BUDDYMALLOC_HARDENED_SOURCES\s([^)]*)\)/.exec(cmake) ?? [];
  const [, gypAdded = ''] = /'hardened_sources':\s*\[([^\]]*)\]/.exec(gyp) ?? [];
  const [, gypRemoved = ''] = /'replaced_sources':\s*\[([^\]]*)\]/.exec(gyp) ?? [];
  expect(allSources(added)).toEqual(files.map((file) => `hardened/${file}`).sort());
  expect(allSources(gypAdded)).toEqual(allSources(added));
  expect(allSources(removed)).not.toEqual([]);
  expect(allSources(gypRemoved)).toEqual(allSources(removed));
});

test('binding.gyp builds the sources of csrc/sources.txt', () => {
  const [, list = ''] = /'core_sources':\s*\[([^\]]*)\]/.exec(read('binding.gyp')) ?? [];
  expect(coreSources(list)).toEqual([...listed].sort());
});
