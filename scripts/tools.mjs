// What a build needs from the machine, and the Debian package that has it.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const OLDEST_NODE = [20, 19];

/** @type {{ any: string[], what: string, debian: string }[]} */
const TOOLS = [
  { any: [process.env.CC ?? '', 'cc', 'gcc', 'clang'], what: 'a C compiler (gcc or clang)', debian: 'gcc' },
  { any: [process.env.CXX ?? '', 'c++', 'g++', 'clang++'], what: 'a C++ compiler (g++ or clang++)', debian: 'g++' },
  { any: ['make'], what: 'make', debian: 'make' },
  { any: ['cmake'], what: 'CMake', debian: 'cmake' },
  { any: [process.env.PYTHON ?? '', 'python3', 'python'], what: 'Python 3, which node-gyp runs on', debian: 'python3' },
];

/** @param {string} command */
function answers(command) {
  const [file = '', ...args] = command.split(' ');
  return file !== '' && spawnSync(file, [...args, '--version'], { stdio: 'ignore' }).status === 0;
}

/** Those of the commands that do not run here. @param {string[]} commands */
export const missingCommands = (commands) => commands.filter((command) => !answers(command));

/** The lines that tell what is missing; none if nothing is. */
export function missingTools(tools = TOOLS, nodeVersion = process.versions.node) {
  const lines = [];
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const [oldMajor = 0, oldMinor = 0] = OLDEST_NODE;
  if (major < oldMajor || (major === oldMajor && minor < oldMinor)) {
    lines.push(`Node.js ${OLDEST_NODE.join('.')} or newer is needed to build from a clone; this is ${nodeVersion}.`);
  }
  const missing = tools.filter((tool) => !tool.any.some(answers));
  lines.push(...missing.map((tool) => `${tool.what} is missing; Debian's package: ${tool.debian}`));
  if (missing.length > 0) {
    lines.push(`On Debian or Ubuntu: apt-get install ${missing.map((tool) => tool.debian).join(' ')}`);
  }
  return lines;
}

/**
 * node-gyp's `--nodedir`, where Node's headers lie beside the running Node, so that it need not download them.
 * A setting of the user's own wins.
 */
export function nodedirArguments() {
  if (process.env.npm_config_nodedir || process.env.npm_package_config_node_gyp_nodedir) return [];
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
}
