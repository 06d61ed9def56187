/**
 * Checks the house (docs/architecture.md): imports go one way, no circles, only config.ts reads the environment, only
 * entry files handle signals, a package is known where it belongs. Own code, because dependency-cruiser cannot read
 * TypeScript 7; the parser is the one knip uses.
 *   node scripts/check-layers.ts    exit 1 and one line a violation
 */
import { globSync } from 'node:fs';
import { posix } from 'node:path';
import { findCircles } from './layers/find-circles.ts';
import { readSource, type SourceFacts } from './layers/read-source.ts';
import { emptyNames, environmentReader, layerOf, mayHandleSignals, mayImport, packageHome } from './layers/rules.ts';

const files = globSync('src/**/*.ts').sort();
const problems: string[] = [];
const graph = new Map<string, string[]>();

const packageName = (specifier: string): string => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');

function checkImport(file: string, specifier: string, at: string): void {
  const layer = layerOf(file);
  if (!specifier.startsWith('.')) {
    const home = packageHome[packageName(specifier)];
    if (home && !home.includes(layer))
      problems.push(`${at}: ${specifier} belongs to ${home.join(', ')}; ${layer} may not know it`);
    return;
  }
  const target = posix.normalize(posix.join(posix.dirname(file), specifier));
  if (!target.startsWith('src/')) {
    problems.push(`${at}: src may not import ${target}, which is outside src`);
    return;
  }
  graph.get(file)?.push(target);
  const targetLayer = layerOf(target);
  if (target.endsWith('/index.ts') && targetLayer === layer)
    problems.push(`${at}: imports the barrel of its own layer; import the file that defines the name`);
  if (file.startsWith('src/db/migrations/') && !/^src\/db\/migrations\/[a-z-]+\.ts$/.test(target))
    problems.push(`${at}: a migration imports nothing from the app, got ${target}`);
  if (targetLayer !== layer && !mayImport[layer]?.includes(targetLayer))
    problems.push(`${at}: ${layer} may not import ${targetLayer} (${target})`);
}

function checkFile(file: string, facts: SourceFacts): void {
  for (const { specifier, line } of facts.imports) checkImport(file, specifier, `${file}:${line}`);
  if (!(layerOf(file) in mayImport))
    problems.push(`${file}: src/${layerOf(file)} is no layer; name it in scripts/layers/rules.ts`);
  if (emptyNames.test(posix.basename(file)))
    problems.push(`${file}: the name says nothing; name the file after its one responsibility`);
  if (file !== environmentReader)
    for (const line of facts.environment)
      problems.push(`${file}:${line}: reads process.env; only ${environmentReader} does, and passes it on`);
  if (!mayHandleSignals(file))
    for (const line of facts.signals)
      problems.push(`${file}:${line}: handles signals or ends the process; only src/cli and main.ts files do`);
}

for (const file of files) graph.set(file, []);
for (const file of files) checkFile(file, readSource(file));
for (const circle of findCircles(graph)) problems.push(`circle: ${[...circle, circle[0]].join(' → ')}`);

for (const problem of problems) process.stderr.write(`${problem}\n`);
process.stdout.write(
  `${files.length} files, ${[...graph.values()].flat().length} imports, ${problems.length} violations\n`,
);
if (problems.length > 0) process.exitCode = 1;
