import { defineConfig } from 'tsdown';

const common = { platform: 'node', target: 'node20', outDir: 'dist', fixedExtension: false } as const;

export default defineConfig([
  {
    ...common,
    entry: { index: 'lib/index.ts' },
    format: ['esm', 'cjs'],
    dts: true,
    shims: true,
  },
  { ...common, entry: { cli: 'lib/cli.ts' }, format: 'esm', dts: false, clean: false },
]);
