import { describe, expect, it } from 'vitest';
import { missingTools } from '../../scripts/tools.mjs';

describe('the set-up', () => {
  it('misses nothing on this machine', () => {
    expect(missingTools()).toEqual([]);
  });

  it('names a tool that is missing and the Debian package that has it', () => {
    const tools = [
      { any: ['no-such-tool', 'nor-this'], what: 'the tool', debian: 'its-package' },
      { any: ['no-such-tool', process.execPath], what: 'Node itself', debian: 'nodejs' },
      { any: ['neither-this'], what: 'another', debian: 'other-package' },
    ];
    expect(missingTools(tools)).toEqual([
      "the tool is missing; Debian's package: its-package",
      "another is missing; Debian's package: other-package",
      'On Debian or Ubuntu: apt-get install its-package other-package',
    ]);
  });

  it.each(['18.20.0', '20.18.3'])('asks for a newer Node than %s', (version) => {
    expect(missingTools([], version)).toEqual([
      `Node.js 20.19 or newer is needed to build from a clone; this is ${version}.`,
    ]);
  });

  it.each(['20.19.0', '22.1.0', '26.0.0'])('takes Node %s', (version) => {
    expect(missingTools([], version)).toEqual([]);
  });
});
