import { execa } from 'execa';
import { PACKAGE_ROOT } from '../../lib/root.ts';

/** How a script ended. */
export interface Ended {
  stdout: string;
  stderr: string;
  exitCode: number | undefined;
  signal: string | undefined;
}

/**
 * Runs an ES module given as text in a Node of its own, where `import 'buddymalloc'` gives the built package.
 * @param starter - a program that starts Node, and its arguments
 */
export async function runNode(
  script: string,
  flags: string[] = [],
  env: NodeJS.ProcessEnv = {},
  args: string[] = [],
  starter: string[] = [],
): Promise<Ended> {
  const command = [...starter, process.execPath, ...flags, '--input-type=module', '--eval', script, ...args];
  const { stdout, stderr, exitCode, signal } = await execa(command[0] as string, command.slice(1), {
    cwd: PACKAGE_ROOT,
    reject: false,
    env,
  });
  return { stdout, stderr, exitCode, signal };
}
