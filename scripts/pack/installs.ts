import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Packed } from './pack.ts';
import { emptyProject, ran, typeCheck } from './projects.ts';

// Under "npm run -s" npm would say nothing when it fails.
const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
const install = (project: string, ...args: string[]): Promise<string> =>
  ran('npm', ['install', ...quiet, ...args], { cwd: project });
const evaluate = (project: string, type: 'module' | 'commonjs', text: string, node = process.execPath) =>
  ran(node, [`--input-type=${type}`, '-e', text], { cwd: project });

/** Bytes of all files below a folder. */
function bytesBelow(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.reduce((sum, entry) => sum + lstatSync(join(entry.parentPath, entry.name)).size, 0);
}

// A database that knows nobody: enough to see that the client is there and works.
const askClient = `createSteward({ db: { query: async () => ({ rows: [] }) } }).resolve('nobody').then((zoom) => {
  if (zoom !== undefined) throw new Error('expected nobody');
});`;
const imports = (name: string) => `import { createSteward } from '${name}';\n${askClient}`;
const requires = (name: string) => `const { createSteward } = require('${name}');\n${askClient}`;

/** Installs the client in an empty project of each kind and runs it on Node 20; returns its size in bytes. */
export async function checkClient(client: Packed, into: string): Promise<number> {
  const runtime = emptyProject(join(into, 'node-20'), 'commonjs');
  await install(runtime, '--foreground-scripts', 'node@20');
  const node = join(runtime, 'node_modules/node/bin/node');
  const sizes: number[] = [];
  for (const type of ['module', 'commonjs'] as const) {
    const project = emptyProject(join(into, `client-${type}`), type);
    await install(project, client.tarball);
    sizes.push(bytesBelow(join(project, 'node_modules')));
    await evaluate(project, 'module', imports('zoom-steward-client'), node);
    await evaluate(project, 'commonjs', requires('zoom-steward-client'), node);
  }
  return Math.max(...sizes);
}

async function playDemo(project: string): Promise<void> {
  const output = await ran('npx', ['--no-install', 'zoom-steward', 'demo', '--members', '60', '--json'], {
    cwd: project,
  });
  const report = JSON.parse(output.trim().split('\n').at(-1) ?? '') as { ok: boolean };
  if (!report.ok) throw new Error(`the installed demo says: ${output}`);
}

/** Installs the worker in an empty project of each kind, plays the demo there and imports what it exports. */
export async function checkWorker(worker: Packed, into: string): Promise<void> {
  for (const type of ['module', 'commonjs'] as const) {
    const project = emptyProject(join(into, `worker-${type}`), type);
    await install(project, worker.tarball);
    for (const name of ['zoom-steward', 'zoom-steward/client']) {
      await evaluate(project, 'module', imports(name));
      await evaluate(project, 'commonjs', requires(name));
    }
    await playDemo(project);
  }
}

/** Installs the worker with install scripts off: the demo says what to do, and doing that is enough. */
export async function checkWithoutScripts(worker: Packed, into: string): Promise<void> {
  const project = emptyProject(join(into, 'worker-without-scripts'), 'module');
  await install(project, '--ignore-scripts', worker.tarball);
  const said = await playDemo(project).then(
    () => '',
    (error: { stderr?: string }) => error.stderr ?? String(error),
  );
  const mend = /allow it: (npm rebuild \S+ --ignore-scripts=false)/.exec(said)?.[1];
  if (!mend) throw new Error(`expected a sentence with the command that mends it, got: ${said}`);
  await ran('sh', ['-c', mend], { cwd: project });
  await playDemo(project);
}

const resolutions = [
  { module: 'nodenext', moduleResolution: 'nodenext' },
  { module: 'esnext', moduleResolution: 'bundler' },
];

/** Type-checks a main app that uses both packages, in projects of each kind, with the compilers people have. */
export async function checkTypes(packed: readonly Packed[], into: string, compilers: readonly string[]): Promise<void> {
  const tarballs = packed.map(({ tarball }) => tarball);
  const beside = ['pg', '@types/pg', '@types/node@20', 'kysely'];
  for (const type of ['module', 'commonjs'] as const) {
    const project = emptyProject(join(into, `types-${type}`), type);
    await install(project, ...tarballs, ...beside);
    for (const version of compilers) {
      const folder = emptyProject(join(into, `typescript-${version}`), 'commonjs');
      await install(folder, `typescript@${version}`);
      const compiler = join(folder, 'node_modules/typescript');
      for (const { name } of packed)
        for (const options of resolutions) await typeCheck(project, name, options, compiler);
    }
  }
}
