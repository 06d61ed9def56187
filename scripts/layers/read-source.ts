import { readFileSync } from 'node:fs';
import { type Expression, parseSync, Visitor } from 'oxc-parser';

export type SourceFacts = {
  /** module specifiers as written, `import type` and `import()` with a literal included */
  readonly imports: readonly { readonly specifier: string; readonly line: number }[];
  /** lines that read process.env */
  readonly environment: readonly number[];
  /** lines that listen to a signal or end the process */
  readonly signals: readonly number[];
};

const isProcess = (node: Expression, property: string): boolean =>
  node.type === 'MemberExpression' &&
  !node.computed &&
  node.object.type === 'Identifier' &&
  node.object.name === 'process' &&
  node.property.type === 'Identifier' &&
  node.property.name === property;

const listenerMethods = ['on', 'once', 'addListener', 'prependListener'];

/** What the layer check needs to know of a file, from its syntax tree: comments and strings do not count. */
export function readSource(path: string): SourceFacts {
  const text = readFileSync(path, 'utf8');
  const { program, errors } = parseSync(path, text);
  if (errors[0]) throw new Error(`${path}: expected TypeScript, got: ${errors[0].message}`);
  const lineOf = (offset: number): number => text.slice(0, offset).split('\n').length;
  const imports: { specifier: string; line: number }[] = [];
  const environment: number[] = [];
  const signals: number[] = [];
  const add = (source: { value: string } | null, at: number): void => {
    if (source) imports.push({ specifier: source.value, line: lineOf(at) });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node.source, node.start),
    ExportNamedDeclaration: (node) => add(node.source, node.start),
    ExportAllDeclaration: (node) => add(node.source, node.start),
    ImportExpression: (node) => {
      if (node.source.type === 'Literal' && typeof node.source.value === 'string')
        add({ value: node.source.value }, node.start);
    },
    TSImportType: (node) => add(node.source, node.start),
    MemberExpression: (node) => {
      if (isProcess(node, 'env')) environment.push(lineOf(node.start));
    },
    VariableDeclarator: (node) => {
      // const { env } = process
      if (node.id.type === 'ObjectPattern' && node.init?.type === 'Identifier' && node.init.name === 'process')
        environment.push(lineOf(node.start));
    },
    CallExpression: (node) => {
      const listens = listenerMethods.some((method) => isProcess(node.callee, method));
      const [event] = node.arguments;
      const named = event?.type === 'Literal' && typeof event.value === 'string' ? event.value : 'SIG';
      if ((listens && named.startsWith('SIG')) || isProcess(node.callee, 'exit')) signals.push(lineOf(node.start));
    },
  }).visit(program);
  return { imports, environment, signals };
}
