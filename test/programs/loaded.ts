import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The environment that makes the dynamic linker log into `folder`, one file a process, which libraries it loads. */
export function loadLog(folder: string): Record<string, string> {
  return { LD_DEBUG: 'libs', LD_DEBUG_OUTPUT: join(folder, 'ld') };
}

/** The names of the programs that, by the logs in `folder`, started with `library` loaded. */
export function programsWith(library: string, folder: string): string[] {
  const programs = new Set<string>();
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    let loaded = false;
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
      const started = /initialize program: (.*)$/.exec(line)?.[1];
      if (line.endsWith(`calling init: ${library}`)) {
        loaded = true;
      } else if (started !== undefined) {
        if (loaded) programs.add(basename(started));
        loaded = false; // one process may turn into another program by exec
      }
    }
  }
  return [...programs].sort();
}
