import { execa } from 'execa';
import { PACKAGE_ROOT } from '../../lib/root.ts';

/** How a script ended. */
export interface Ended {
  stdout: string;
  stderr: string;
  exitCode: number | undefined;
  signal: string | undefined;
}

/** Runs an ES module given as text in a Node of its own, where `import 'buddymalloc'` gives the built package. */
export async function runNode(
  script: string,
  flags: string[] = [],
  env: NodeJS.ProcessEnv = {},
  args: string[] = [],
): Promise<Ended> {
  const { stdout, stderr, exitCode, signal } = await execa(
    process.execPath,
    [...flags, '--input-type=module', '--eval', script, ...args],
    { cwd: PACKAGE_ROOT, reject: false, env },
  );
  return { stdout, stderr, exitCode, signal };
}
