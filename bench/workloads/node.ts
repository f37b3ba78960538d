/** What people preload an allocator for: Node, with its Buffers, workers and native modules. */
import { join } from 'node:path';
import type { Workload } from '../model.ts';

interface Options {
  full: number;
  quick: number;
  settings?: Record<string, string>;
  needsModules?: string[];
}

function nodeProgram(name: string, file: string, what: string, options: Options): Workload {
  return {
    name,
    group: 'node',
    what,
    quick: true,
    ...(options.needsModules === undefined ? {} : { needsModules: options.needsModules }),
    command: (place) => ({
      program: process.execPath,
      args: ['--expose-gc', join(place.node, file), String(place.quick ? options.quick : options.full)],
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    }),
  };
}

export const nodePrograms: Workload[] = [
  nodeProgram('HTTP+JSON', 'http.mjs', 'a server that takes, changes and returns JSON, and its client', {
    full: 2500,
    quick: 300,
  }),
  nodeProgram('zlib churn', 'zlib.mjs', 'Buffers compressed and expanded', { full: 120, quick: 15 }),
  nodeProgram('four workers', 'workers.mjs', 'four workers churn Buffers, objects and JSON, and exit', {
    full: 400,
    quick: 40,
  }),
  nodeProgram('retained slices', 'retained-slices.mjs', 'nodejs/node#21967: small slices of large Buffers are kept', {
    full: 20_000,
    quick: 3000,
  }),
  nodeProgram('dropped Buffers', 'dropped-buffers.mjs', 'nodejs/node#21973: many Buffers of megabytes, dropped', {
    full: 20,
    quick: 2,
  }),
  nodeProgram('sharp', 'sharp.mjs', 'photographs resized with sharp, MALLOC_ARENA_MAX set', {
    full: 24,
    quick: 2,
    needsModules: ['sharp'],
    // libvips works in one thread on the system's allocator unless this is set: all must do the same work.
    settings: { MALLOC_ARENA_MAX: '2' },
  }),
];
