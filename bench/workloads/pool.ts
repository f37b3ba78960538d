/** The pool for Node beside what a program would use without it: each row is one program, which is told the way to take. */
import { closeSync, existsSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { installNode } from '../../scripts/nodes.mjs';
import { OURS, type Place, type Workload } from '../model.ts';

/** The versions of Node that the targets are about. */
export const NODES = ['20', '24'];
const RUNNING = process.versions.node.split('.')[0];

/** Files in memory, so that no disk has a part in it. */
const FILES = '/dev/shm';
const fileOf = (bytes: number) => join(FILES, `buddymalloc-bench-${bytes}`);
const FILE_BYTES = 2 ** 30;
const FILE_QUICK_BYTES = 2 ** 26;

/** Milliseconds that mitata measures a call for. */
const CALL_MS = 500;
/** Less is over before everything is compiled. */
const CALL_QUICK_MS = 150;

export const sizeName = (bytes: number): string =>
  bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`;

/** @throws Error if that version is not here and cannot be installed: the row is then shown as failed */
function programOf(node: string): string {
  if (node === RUNNING) return process.execPath;
  const programs = installNode(node);
  if (programs === undefined) throw new Error(`Node ${node} cannot be installed`);
  return join(programs, 'node');
}

interface Row {
  name: string;
  what: string;
  ways: string[];
  file: string;
  /** After the way. */
  full: (string | number)[];
  quick: (string | number)[];
  prepare?: (place: Place) => Promise<void>;
  /** False for what takes too long in the quick bench. */
  isQuick?: boolean;
}

function rowOn(node: string, row: Row): Workload {
  return {
    name: poolRow(node, row.name),
    group: 'pool',
    what: row.what,
    quick: node === RUNNING && row.isQuick !== false,
    ways: row.ways,
    ...(row.prepare === undefined ? {} : { prepare: row.prepare }),
    command: (place, way) => ({
      program: programOf(node),
      args: ['--expose-gc', join(place.node, row.file), way, ...(place.quick ? row.quick : row.full).map(String)],
    }),
  };
}

/** The workload of a row of the table on one version of Node. */
export const poolRow = (node: string, name: string): string => `Node ${node}: ${name}`;

export const CALL_SIZES = [64, 1024, 4096, 65_536, 2 ** 20];
export const HANDOVER_SIZES = [65_536, 2 ** 20];
export const TRANSFER = 'allocUnsafeSlow + transfer(0)';
export const THING = '@thi.ng/malloc';

const callRow = (size: number, live: number): string => `alloc and free, ${live} live, ${sizeName(size)}`;
export const ringRow = (size: number): string => callRow(size, 64);
export const crowdRow = callRow(1024, 4000);
export const fixedRow = 'fixed: acquire and release, 64 B';
export const ownRow = 'own ArrayBuffer: alloc and free, 4 KiB';
export const streamRow = 'chunks of 64 KiB to 1 MiB, 32 live, all written';
export const handoverRow = (size: number): string => `handover to a worker and back, ${sizeName(size)}`;
export const fileRow = 'a file of 1 GiB in memory, read as a stream';

async function makeFile({ quick }: Place): Promise<void> {
  const bytes = quick ? FILE_QUICK_BYTES : FILE_BYTES;
  const path = fileOf(bytes);
  process.once('exit', () => rmSync(path, { force: true }));
  if (existsSync(path) && statSync(path).size === bytes) return;
  const file = openSync(path, 'w');
  const part = Buffer.alloc(2 ** 20, 'buddymalloc');
  for (let at = 0; at < bytes; at += part.length) writeSync(file, part);
  closeSync(file);
}

/** Node can give an ArrayBuffer's memory back by hand from version 22 on. */
const byHand = (node: string): string[] => (Number(node) >= 22 ? [TRANSFER] : []);

const rowsOn = (node: string): Row[] => [
  ...CALL_SIZES.map((size) => ({
    name: ringRow(size),
    what: 'one block given back and one taken, its first byte written',
    ways: [OURS, 'alloc', 'allocUnsafe', 'allocUnsafeSlow', ...byHand(node), 'SharedArrayBuffer', THING],
    file: 'pool-calls.mjs',
    full: [size, 64, CALL_MS],
    quick: [size, 64, CALL_QUICK_MS],
    isQuick: size <= 65_536,
  })),
  {
    name: crowdRow,
    what: 'the same among many live blocks',
    ways: [OURS, 'allocUnsafe', THING],
    file: 'pool-calls.mjs',
    full: [1024, 4000, CALL_MS],
    quick: [1024, 4000, CALL_QUICK_MS],
  },
  {
    name: fixedRow,
    what: 'a recycled Buffer',
    ways: [OURS, 'allocUnsafe'],
    file: 'pool-fixed.mjs',
    full: [64, CALL_MS],
    quick: [64, CALL_QUICK_MS],
  },
  {
    name: ownRow,
    what: 'an ArrayBuffer over native memory, freed by detaching it',
    ways: [OURS, 'malloc and free', 'left to the GC'],
    file: 'pool-own.mjs',
    full: [4096, CALL_MS],
    quick: [4096, CALL_QUICK_MS],
  },
  {
    name: streamRow,
    what: 'what a server of large bodies does',
    ways: [OURS, 'allocUnsafeSlow'],
    file: 'pool-stream.mjs',
    full: [10_000],
    // The first 32 find memory that was never touched: of fewer chunks they would be the slowest 1 %.
    quick: [4000],
  },
  ...HANDOVER_SIZES.map((size) => ({
    name: handoverRow(size),
    what: '16 on their way, from inbox to inbox, or with a message for each; a number alone is what posting takes by itself',
    ways: [OURS, 'handles by postMessage', 'transfer', 'a number alone'],
    file: 'pool-handover.mjs',
    full: [size, 20_000],
    // Fewer are over before the compiler is done.
    quick: [size, 10_000],
  })),
  {
    name: fileRow,
    what: 'one byte of each page looked at',
    ways: [OURS, 'createReadStream'],
    file: 'pool-file.mjs',
    full: [fileOf(FILE_BYTES)],
    quick: [fileOf(FILE_QUICK_BYTES)],
    prepare: makeFile,
  },
];

export const pool: Workload[] = NODES.flatMap((node) => rowsOn(node).map((row) => rowOn(node, row)));
