import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { libraryPath } from '../../lib/index.ts';
import { PACKAGE_ROOT } from '../../lib/root.ts';

const CLI = join(PACKAGE_ROOT, 'dist/cli.js');

/** Starts the command line as a user would. */
const cli = (args: string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}) =>
  execa(process.execPath, [CLI, ...args], { reject: false, ...options });

describe('buddymalloc run', () => {
  it('starts the command with the library preloaded', async () => {
    const { stdout } = await cli(['run', '--', 'cat', '/proc/self/maps']);
    expect(stdout).toContain('/libbuddymalloc.so');
  });

  it('starts it with the hardened library where --hardened says so', async () => {
    const { stdout } = await cli(['run', '--hardened', '--', 'cat', '/proc/self/maps']);
    expect(stdout).toContain('/libbuddymalloc-hardened.so');
    expect(stdout).not.toContain('/libbuddymalloc.so');
  });

  it('starts it without the two dashes too', async () => {
    const { stdout } = await cli(['run', 'echo', '--version']);
    expect(stdout).toContain('echo');
  });

  it('leaves the options of the command to the command', async () => {
    const { stdout } = await cli(['run', '--', 'printf', '%s|', '--help', '-x', '--', 'a b']);
    expect(stdout).toBe('--help|-x|--|a b|');
  });

  it('gives the command its own standard input, output and error', async () => {
    const { stdout, stderr } = await cli(['run', '--', 'sh', '-c', 'cat; echo problem >&2'], { input: 'text\n' });
    expect({ stdout, stderr }).toEqual({ stdout: 'text', stderr: 'problem' });
  });

  it.each([0, 1, 7, 255])('ends with the exit code %i of the command', async (code) => {
    const { exitCode } = await cli(['run', '--', 'sh', '-c', `exit ${code}`]);
    expect(exitCode).toBe(code);
  });

  it.each(['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGHUP', 'SIGUSR1'])('ends by %s as the command did', async (name) => {
    const { signal } = await cli(['run', '--', 'sh', '-c', `kill -${name.slice(3)} $$`]);
    expect(signal).toBe(name);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const)('passes %s on to the command', async (name) => {
    const script = `
      process.on('${name}', () => { console.log('got it'); process.exit(9); });
      console.log('ready');
      setInterval(() => {}, 1000);`;
    const command = cli(['run', '--', process.execPath, '--eval', script]);
    command.stdout.once('data', () => command.kill(name));
    const { stdout, exitCode } = await command;
    expect({ stdout, exitCode }).toEqual({ stdout: 'ready\ngot it', exitCode: 9 });
  });

  it('puts the library in front of an LD_PRELOAD that is there, which it keeps', async () => {
    const { stdout } = await cli(['run', '--', 'printenv', 'LD_PRELOAD'], {
      env: { LD_PRELOAD: 'libm.so.6:libdl.so.2' },
    });
    expect(stdout).toBe(`${libraryPath()}:libm.so.6:libdl.so.2`);
  });

  it('leaves nothing of itself in the environment but LD_PRELOAD', async () => {
    const env = { MARK: 'kept', LD_PRELOAD: '' };
    const { stdout } = await cli(['run', '--', 'env'], { env });
    expect(stdout.split('\n')).toContain('MARK=kept');
    expect(stdout.split('\n')).toContain(`LD_PRELOAD=${libraryPath()}`);
  });

  it('says that a command was not found, with the exit code of a shell', async () => {
    const { stderr, exitCode } = await cli(['run', '--', 'no-such-command']);
    expect({ stderr, exitCode }).toEqual({ stderr: 'buddymalloc: no-such-command: command not found', exitCode: 127 });
  });

  it('asks for a command if there is none', async () => {
    const { stderr, exitCode } = await cli(['run']);
    expect(stderr).toContain("missing required argument 'command'");
    expect(exitCode).toBe(1);
  });

  describe('given a file that is no program', () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'buddymalloc-cli-'));
      writeFileSync(join(folder, 'data'), 'text', { mode: 0o644 });
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    it('says so, with the exit code of a shell', async () => {
      const { stderr, exitCode } = await cli(['run', '--', join(folder, 'data')]);
      expect(stderr).toContain('EACCES');
      expect(exitCode).toBe(126);
    });
  });
});

describe('buddymalloc path', () => {
  it('prints the path of the library', async () => {
    const { stdout, exitCode } = await cli(['path']);
    expect({ stdout, exitCode }).toEqual({ stdout: libraryPath(), exitCode: 0 });
  });

  it('prints the path of the hardened library where --hardened says so', async () => {
    const { stdout } = await cli(['path', '--hardened']);
    expect(stdout).toBe(libraryPath({ hardened: true }));
    expect(stdout).toMatch(/\/libbuddymalloc-hardened\.so$/);
  });
});

describe('buddymalloc', () => {
  it('lists its commands', async () => {
    const { stdout } = await cli(['--help']);
    expect(stdout).toMatch(/run .*\n[\s\S]*\n\s+path/);
  });

  it('knows its version', async () => {
    const { stdout } = await cli(['--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe('the addon', () => {
  it('lives in one process with the preloaded library', async () => {
    const script =
      "const { malloc, free, mallinfo, mallocCheck } = require('buddymalloc');" +
      'for (let i = 0; i < 1000; i++) free(malloc(i * 100));' +
      'console.log(mallinfo().allocatedBlocks, mallocCheck());';
    const { stdout, stderr } = await execa(process.execPath, [CLI, 'run', '--', process.execPath, '--eval', script], {
      cwd: PACKAGE_ROOT,
    });
    expect({ stdout, stderr }).toEqual({ stdout: '0 0', stderr: '' });
  });
});
