import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/**
 * The preload library under test: BUDDYMALLOC_TEST_LIBRARY, or the one that cmake-js built.
 * @throws Error if it has not been built
 */
export function libraryPath(): string {
  const path = process.env.BUDDYMALLOC_TEST_LIBRARY ?? join(ROOT, 'out/Release/libbuddymalloc.so');
  if (!existsSync(path)) {
    throw new Error(`${path} is not there: build the preload library first`);
  }
  return path;
}

/** The hardened library beside it. */
export function hardenedPath(): string {
  return libraryPath().replace(/\.so$/, '-hardened.so');
}
