import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's folder: this file is one folder below it, as source and as built. */
export const PACKAGE_ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** What to do where something that must be compiled is not there. */
export const HOW_TO_BUILD = 'run "npm rebuild buddymalloc", or "npm run build" in a clone';

/**
 * For packages that are CommonJS: to `import` one has Node 20 load a parser for it, whose memory, some 5 MiB, is not given back.
 */
export const require: NodeJS.Require = createRequire(import.meta.url);
