/**
 * Builds what is packed: JavaScript, declarations and source maps by tsc, and the files beside the sources that are
 * read at run time.
 *   npm run build                     both packages
 *   npm run build -- --only worker    dist/                  (zoom-steward)
 *   npm run build -- --only client    packages/client/dist/  (zoom-steward-client)
 * Exit 0: built. 1: the compiler refused. 2: unknown flag.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';

const repository = join(import.meta.dirname, '..');
const require = createRequire(import.meta.url);

/** tsc by its own path: the build also runs where npm has linked no commands. */
function compile(project: string): void {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  const { status, error } = spawnSync(process.execPath, [tsc, '-p', project], { cwd: repository, stdio: 'inherit' });
  if (status !== 0) throw new Error(`tsc -p ${project} ${error ? `did not start: ${error.message}` : 'failed'}`);
}

function buildWorker(): void {
  const [src, dist] = [join(repository, 'src'), join(repository, 'dist')];
  rmSync(dist, { recursive: true, force: true });
  compile('tsconfig.build.json');
  // SQL programs and whatever else is read at run time.
  for (const entry of globSync('**/*', { cwd: src, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.endsWith('.ts')) continue;
    const target = join(dist, relative(src, entry.parentPath), entry.name);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(entry.parentPath, entry.name), target);
  }
}

function buildClient(): void {
  const folder = join(repository, 'packages/client');
  const dist = join(folder, 'dist');
  rmSync(dist, { recursive: true, force: true });
  compile('packages/client/tsconfig.json');
  copyFileSync(join(repository, 'LICENSE'), join(folder, 'LICENSE'));
  // import and require share one module, so that an error thrown by one is an instance of the other's class.
  const names = Object.keys(require(join(dist, 'index.js')) as object).sort();
  writeFileSync(join(dist, 'index.mjs'), `export { ${names.join(', ')} } from './index.js';\n`);
  writeFileSync(join(dist, 'index.d.mts'), `export * from './index.js';\n`);
}

const builds: Readonly<Record<string, () => void>> = { worker: buildWorker, client: buildClient };

try {
  const { values } = parseArgs({ options: { only: { type: 'string' } } });
  const wanted = values.only === undefined ? Object.keys(builds) : [values.only];
  const unknown = wanted.find((name) => !(name in builds));
  if (unknown !== undefined) throw new TypeError(`expected --only worker or client, got ${unknown}`);
  for (const name of wanted) builds[name]?.();
} catch (error) {
  process.stderr.write(`build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
