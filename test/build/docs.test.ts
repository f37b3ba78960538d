import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { globSync } from 'tinyglobby';
import { expect, test } from 'vitest';
import { ROOT } from './project.ts';

const PAGES = globSync(['*.md', 'docs/*.md', 'docs/adr/*.md'], { cwd: ROOT }).map((page) => ({
  page,
  text: readFileSync(join(ROOT, page), 'utf8'),
}));

test('every link of a page leads to a file', () => {
  const links = PAGES.flatMap(({ page, text }) =>
    [...text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, target = '']) => ({ page, target })),
  );
  const inside = links.filter(({ target }) => !target.includes('://'));
  expect(inside.length).toBeGreaterThan(30);
  expect(inside.filter(({ page, target }) => !existsSync(join(ROOT, dirname(page), target)))).toEqual([]);
});

test('every script that a page names is in package.json', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const named = PAGES.flatMap(({ page, text }) =>
    [...text.matchAll(/\bnpm (?:run |(?=test\b|start\b))([\w:-]+)/g)].map(([, script = '']) => ({ page, script })),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ script }) => scripts[script] === undefined)).toEqual([]);
});

test('the README stays under 150 lines', () => {
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n').length).toBeLessThan(150);
});

/** typedoc.json makes an error of every export, parameter of options and property without a description. */
test('everything that the package exports is documented, and every link leads somewhere', {
  timeout: 120_000,
}, async () => {
  const { exitCode, all } = await execa('node_modules/.bin/typedoc', ['--emit', 'none'], {
    cwd: ROOT,
    all: true,
    reject: false,
  });
  expect(exitCode, all).toBe(0);
});
