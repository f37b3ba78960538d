import { compareAll, fixture, script } from './compare.js';

const node = process.execPath;

compareAll([
  { name: 'node serving HTTP and JSON to itself', needs: ['node'], command: [node, fixture('http-json.mjs')] },
  { name: 'node with worker threads', needs: ['node'], command: [node, fixture('workers.mjs')], hardened: true },
  { name: 'node compressing with zlib', needs: ['node'], command: [node, fixture('zlib.mjs')] },
  {
    name: 'node with crypto, WebAssembly, files and children',
    needs: ['node'],
    command: [node, fixture('builtins.mjs')],
  },
  {
    name: "node's test runner",
    needs: ['node'],
    command: [
      node,
      '--test',
      `--test-reporter=${fixture('reporter.mjs')}`,
      fixture('runner.test.mjs'),
      fixture('runner-second.test.mjs'),
    ],
    status: 1, // one of the tests fails on purpose
  },
  { name: 'npm in a folder of packages', needs: ['npm', 'bash'], command: script('npm.sh') },
]);
