import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { layerFaults, parseLayers } from './layers.ts';
import { ROOT } from './project.ts';

const layersOfDesign = () => parseLayers(readFileSync(join(ROOT, 'docs/design.md'), 'utf8'));

describe('the layers of csrc/', () => {
  test('every include points down the table of docs/design.md', () => {
    expect(layerFaults(join(ROOT, 'csrc'), layersOfDesign())).toEqual([]);
  });
});

describe('the layer check', () => {
  const TABLE = `
| layer | files | may include | job |
| --- | --- | --- | --- |
| 0 | \`include/public\` | down | interface |
| 1 | \`low\`, \`side\` | down | a |
| 2 | \`high\` | down | b |
| 3 | \`door\` \`addon/*\` | \`include/public\` | c |
`;
  const SOURCES: Record<string, string> = {
    'include/public.h': '#include <stddef.h>\n',
    'low.h': '',
    'low.c': '#include "low.h"\n#include "include/public.h"\n',
    'side.h': '',
    'high.c': '#include "low.h"\n  # include "side.h"\n',
    'door.c': '#include "include/public.h"\n',
    'addon/one.h': '',
    'addon/two.cc': '#include "one.h"\n#include "public.h"\n',
  };
  let root = '';

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'layers-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function faultsWith(changes: Record<string, string>, table = TABLE): string[] {
    for (const [file, text] of Object.entries({ ...SOURCES, ...changes })) {
      mkdirSync(join(root, dirname(file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    return layerFaults(root, parseLayers(table));
  }

  test('accepts includes that point down, to the own header, and within a folder', () => {
    expect(faultsWith({})).toEqual([]);
  });

  test.each([
    [
      'an include that points up',
      { 'low.c': '#include "door.h"\n', 'door.h': '' },
      'low.c (layer 1) may not include door.h',
    ],
    [
      'an include of a neighbour in the same row',
      { 'side.h': '#include "low.h"\n' },
      'side.h (layer 1) may not include low.h',
    ],
    ['a door that looks inside', { 'door.c': '#include "low.h"\n' }, 'door.c (layer 3) may not include low.h'],
    ['an include of nothing', { 'high.c': '#include "none.h"\n' }, 'high.c includes "none.h", which does not exist'],
    ['a file that the table does not have', { 'new.c': '' }, 'new.c is in 0 rows of the table, expected one'],
    [
      'a header of the project in angle brackets',
      { 'high.c': '#include <low.h>\n' },
      'high.c includes <low.h>, a file of the project, without quotes',
    ],
  ])('reports %s', (_, changes, fault) => {
    expect(faultsWith(changes)).toEqual([fault]);
  });

  test('lets a header have a lower layer than the rest of its name', () => {
    const table = `${TABLE.replace('`low`, ', '')}| 4 | \`low\` | down | d |\n`;
    const upward = { 'high.c': '#include "low.h"\n' };
    expect(faultsWith(upward, table)).toEqual(['high.c (layer 2) may not include low.h']);
    expect(faultsWith(upward, `${table}| 1 | \`low.h\` | down | e |\n`)).toEqual(['two rows have the same layer']);
    expect(faultsWith(upward, table.replace('`side`', '`side` `low.h`'))).toEqual([]);
  });

  test('reports a name of the table that no file has', () => {
    expect(faultsWith({}, `${TABLE}| 4 | \`gone\` | down | d |\n`)).toEqual([
      'the table names gone, which does not exist',
    ]);
  });

  test('refuses a document without the table', () => {
    expect(() => parseLayers('# nothing')).toThrow('no table with the columns layer, files, may include');
  });
});
