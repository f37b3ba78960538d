import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
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

  it('leaves it to the terminal to interrupt the command that it started, once', async () => {
    const script = `
      let count = 0;
      process.on('SIGINT', () => { count++; console.log('interrupted'); });
      process.on('SIGTERM', () => { console.log('times: ' + count); process.exit(); });
      console.log('ready');
      setInterval(() => {}, 1000);`;
    // What its standard input gets is typed at a terminal, in whose foreground the command line is.
    const terminal = ['-c', 'import pty, sys; pty.spawn(sys.argv[1:])', process.execPath];
    const { pid, stdin, stdout } = execa('python3', [
      ...terminal,
      CLI,
      'run',
      '--',
      process.execPath,
      '--eval',
      script,
    ]);
    let shown = '';
    async function next(wanted: RegExp): Promise<string | undefined> {
      while (!wanted.test(shown)) shown += String(await once(stdout, 'data'));
      return wanted.exec(shown)?.[1];
    }
    await next(/ready/);
    stdin.write('\x03');
    await next(/interrupted/);
    // Whatever else interrupts the command by way of the command line has come when this does.
    process.kill(Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')), 'SIGTERM');
    expect(await next(/times: (\d+)/)).toBe('1');
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
      const file = join(folder, 'data');
      const { stderr, exitCode } = await cli(['run', '--', file]);
      expect({ stderr, exitCode }).toEqual({ stderr: `buddymalloc: ${file}: permission denied`, exitCode: 126 });
    });

    it('says so of one that is not there', async () => {
      const file = join(folder, 'nothing');
      const { stderr, exitCode } = await cli(['run', '--', file]);
      expect({ stderr, exitCode }).toEqual({ stderr: `buddymalloc: ${file}: no such file`, exitCode: 127 });
    });

    it('says so of a script whose interpreter is not there', async () => {
      const file = join(folder, 'script');
      writeFileSync(file, '#!/no/such/interpreter\n', { mode: 0o755 });
      const { stderr, exitCode } = await cli(['run', '--', file]);
      expect(stderr).toBe(`buddymalloc: ${file}: the interpreter that it names was not found`);
      expect(exitCode).toBe(127);
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

describe('buddymalloc, installed in a folder', () => {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  /** The command line of a package in a folder of this name, and the folder of its library, if it has one. */
  function packageIn(name: string, { hasLibrary = true } = {}) {
    const outer = mkdtempSync(join(tmpdir(), 'buddymalloc-cli-'));
    folders.push(outer);
    const root = join(outer, name);
    const libraries = join(root, 'build/Release');
    mkdirSync(libraries, { recursive: true });
    cpSync(join(PACKAGE_ROOT, 'dist'), join(root, 'dist'), { recursive: true });
    cpSync(join(PACKAGE_ROOT, 'package.json'), join(root, 'package.json'));
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(root, 'node_modules'));
    const library = libraryPath() as string;
    if (hasLibrary) cpSync(library, join(libraries, basename(library)));
    const run = (...args: string[]) => execa(process.execPath, [join(root, 'dist/cli.js'), ...args], { reject: false });
    return { libraries, run };
  }

  it('whose name has a space starts the command with the library preloaded', async () => {
    const { libraries, run } = packageIn('a b');
    const { stdout, stderr } = await run('run', '--', 'cat', '/proc/self/maps');
    expect(stdout).toContain(`${libraries}/libbuddymalloc.so`);
    expect(stderr).toBe('');
  });

  it('whose name has a space prints no path that LD_PRELOAD cannot name', async () => {
    const { stdout, stderr, exitCode } = await packageIn('a b').run('path');
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toContain('use "buddymalloc run"');
  });

  it('whose name has a colon says why it does not start the command', async () => {
    const { stdout, stderr, exitCode } = await packageIn('a:b').run('run', '--', 'echo', 'started');
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 126 });
    expect(stderr).toMatch(/^buddymalloc: LD_PRELOAD cannot name .*, whose path has a colon$/);
  });

  it.each([[['path']], [['run', '--', 'echo']]])('without the library says to %j how to build it', async (args) => {
    const { stdout, stderr, exitCode } = await packageIn('unbuilt', { hasLibrary: false }).run(...args);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/^buddymalloc: libbuddymalloc.so has not been built: run "npm rebuild buddymalloc"/);
  });
});

describe('buddymalloc', () => {
  it.each([[['rnu']], [['run', '--hardend', 'true']], [['path', 'extra']]])(
    'says of %j what is wrong, and where help is',
    async (args) => {
      const { stdout, stderr, exitCode } = await cli(args);
      expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
      expect(stderr).toMatch(/^error: .*\n[\s\S]*See "buddymalloc --help"/);
    },
  );

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
  it('reads the options of the preloaded library itself', async () => {
    const script = "require('buddymalloc')";
    const env = { BUDDYMALLOC_STATS_AT_EXIT: '1' };
    const { stderr } = await execa(process.execPath, ['--eval', script], { cwd: PACKAGE_ROOT, env });
    expect(stderr).toMatch(/^buddymalloc \d.*\narena /);
  });

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
