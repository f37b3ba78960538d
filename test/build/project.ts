import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top folder of the project. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where cmake-js builds the libraries and the C tests, as the set-up of `npm test` does. */
export const OUT = join(ROOT, 'out');
