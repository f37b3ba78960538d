import { defineConfig } from 'tsdown';

/** The demo runs as plain JavaScript, so that no loader adds to what it measures. */
export default defineConfig({
  entry: [
    'examples/demo/{main,ring-worker,server,server-worker}.ts',
    'examples/upload/{main,server,worker}.ts',
    'examples/{piscina,stream}/*.ts',
  ],
  outDir: '.cache/demo',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  fixedExtension: false,
  dts: false,
  unbundle: true,
  deps: { skipNodeModulesBundle: true, neverBundle: ['buddymalloc'] },
});
