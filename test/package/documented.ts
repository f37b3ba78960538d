/** What the package exports that can be called, read from its sources: functions, and the methods of its classes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { PACKAGE_ROOT } from '../../lib/root.ts';

export interface Documented {
  /** `free`, or `Pool.free`. */
  name: string;
  /** The code after `@example`. */
  example: string | undefined;
}

const LIB = join(PACKAGE_ROOT, 'lib');

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(join(LIB, file), 'utf8'), ts.ScriptTarget.Latest, true);
}

/** The names that lib/index.ts exports, types too. */
function exportedNames(): Set<string> {
  const names = new Set<string>();
  for (const statement of parse('index.ts').statements) {
    if (!ts.isExportDeclaration(statement) || statement.exportClause === undefined) continue;
    if (ts.isNamedExports(statement.exportClause))
      for (const element of statement.exportClause.elements) names.add(element.name.text);
  }
  return names;
}

const hasTag = (node: ts.Node, name: string) => ts.getJSDocTags(node).some(({ tagName }) => tagName.text === name);

function documented(node: ts.Node, name: string): Documented {
  const tag = ts.getJSDocTags(node).find(({ tagName }) => tagName.text === 'example');
  return { name, example: ts.getTextOfJSDocComment(tag?.comment) };
}

/** Those that others may call: neither private nor the package's own affair. */
function methodsOf(node: ts.ClassDeclaration, name: string): Documented[] {
  return node.members
    .filter((member) => ts.isMethodDeclaration(member))
    .filter((method) => ts.isIdentifier(method.name) && !hasTag(method, 'internal'))
    .filter((method) => (ts.getCombinedModifierFlags(method) & ts.ModifierFlags.Private) === 0)
    .map((method) => documented(method, `${name}.${(method.name as ts.Identifier).text}`));
}

export function documentedCalls(): Documented[] {
  const names = exportedNames();
  const files = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) =>
    parse(file).statements.flatMap((statement) => {
      if (!ts.isFunctionDeclaration(statement) && !ts.isClassDeclaration(statement)) return [];
      const name = statement.name?.text ?? '';
      if (!names.has(name) || hasTag(statement, 'internal')) return [];
      return ts.isFunctionDeclaration(statement) ? [documented(statement, name)] : methodsOf(statement, name);
    }),
  );
}
