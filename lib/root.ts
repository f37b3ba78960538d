import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's folder: this file is one folder below it, as source and as built. */
export const PACKAGE_ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
