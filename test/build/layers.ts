/** Compares every `#include "..."` of csrc/ with the layer table of docs/design.md. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export interface Layer {
  number: number;
  /** Relative to csrc/: `name` is name.c and name.h but for what another entry names in full; `folder/*` is all of a folder. */
  files: string[];
  /** 'down', or the only names that may be included. */
  mayInclude: 'down' | string[];
}

const COLUMNS = ['layer', 'files', 'may include'];

function cells(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, '')
    .split('|')
    .map((cell) => cell.trim());
}

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
}

/** The rows of the first table whose first columns are layer, files and may include. */
export function parseLayers(markdown: string): Layer[] {
  const lines = markdown.split('\n');
  const header = lines.findIndex((line) =>
    COLUMNS.every((column, index) => cells(line)[index]?.toLowerCase() === column),
  );
  if (header < 0) throw new Error(`no table with the columns ${COLUMNS.join(', ')}`);
  const layers: Layer[] = [];
  for (const line of lines.slice(header + 2)) {
    if (!line.trim().startsWith('|')) break;
    const [number = '', files = '', may = ''] = cells(line);
    if (!/^\d+$/.test(number)) throw new Error(`not a layer's number: ${line}`);
    layers.push({
      number: Number(number),
      files: namesIn(files),
      mayInclude: may.toLowerCase() === 'down' ? 'down' : namesIn(may),
    });
  }
  return layers;
}

function sourceFiles(root: string, under = root): string[] {
  return readdirSync(under, { withFileTypes: true }).flatMap((entry) => {
    const path = join(under, entry.name);
    if (entry.isDirectory()) return sourceFiles(root, path);
    return /\.(c|h|cc|cpp|hpp)$/.test(entry.name) ? [relative(root, path)] : [];
  });
}

const nameOf = (file: string) => file.replace(/\.[^./]+$/, '');

function covers(entry: string, file: string): boolean {
  return entry.endsWith('/*') ? file.startsWith(entry.slice(0, -1)) : entry === file || entry === nameOf(file);
}

function placesOf(layers: Layer[], file: string): { layer: Layer; entry: string }[] {
  const places = layers.flatMap((layer) =>
    layer.files.filter((entry) => covers(entry, file)).map((entry) => ({ layer, entry })),
  );
  const inFull = places.filter(({ entry }) => entry === file);
  return inFull.length > 0 ? inFull : places;
}

interface Include {
  quoted: boolean;
  path: string;
}

function includesOf(text: string): Include[] {
  return [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]/gm)].map(([, quote, path = '']) => ({
    quoted: quote === '"',
    path,
  }));
}

/** The file that an include names, relative to `root`; undefined if there is none. */
function resolve(root: string, from: string, path: string): string | undefined {
  return [join(root, dirname(from), path), join(root, path), join(root, 'include', path)]
    .filter((candidate) => existsSync(candidate))
    .map((candidate) => relative(root, candidate))[0];
}

/** One line for every include, file and table entry that breaks the rules; none if all is well. */
export function layerFaults(root: string, layers: Layer[]): string[] {
  const files = sourceFiles(root);
  const faults: string[] = [];
  const numbers = layers.map((layer) => layer.number);
  if (new Set(numbers).size !== numbers.length) faults.push('two rows have the same layer');
  for (const entry of layers.flatMap((layer) => layer.files)) {
    if (!files.some((file) => covers(entry, file))) faults.push(`the table names ${entry}, which does not exist`);
  }
  for (const file of files) {
    const places = placesOf(layers, file);
    const place = places[0];
    if (place === undefined || places.length > 1) {
      faults.push(`${file} is in ${places.length} rows of the table, expected one`);
      continue;
    }
    for (const include of includesOf(readFileSync(join(root, file), 'utf8'))) {
      const target = resolve(root, file, include.path);
      if (!include.quoted) {
        if (target !== undefined)
          faults.push(`${file} includes <${include.path}>, a file of the project, without quotes`);
        continue;
      }
      if (target === undefined) {
        faults.push(`${file} includes "${include.path}", which does not exist`);
        continue;
      }
      const below = placesOf(layers, target)[0];
      if (nameOf(target) === nameOf(file) || (below !== undefined && below.entry === place.entry)) continue;
      const allowed =
        place.layer.mayInclude === 'down'
          ? below !== undefined && below.layer.number < place.layer.number
          : place.layer.mayInclude.some((entry) => covers(entry, target));
      if (!allowed) faults.push(`${file} (layer ${place.layer.number}) may not include ${target}`);
    }
  }
  return faults;
}
