import { execFile } from 'node:child_process';
import {
  accessSync,
  constants,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';

export const repository = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** The environment without what an outer `npm run` says about its own project. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const outer = /^(npm_(package|lifecycle|command|execpath|node_execpath|config_local_prefix)|INIT_CWD$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !outer.test(name)));
}

/** Runs a program to its end and returns its stdout; rejects with what it wrote when it fails. */
export async function ran(
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string> },
): Promise<string> {
  const env = { ...ownEnvironment(), ...options.env };
  return (await run(program, [...args], { cwd: options.cwd, env, maxBuffer: 1 << 26 })).stdout;
}

/** An empty project of one kind, with the consumer's files in it. */
export function emptyProject(folder: string, type: 'module' | 'commonjs'): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'main-app', private: true, type }));
  cpSync(join(import.meta.dirname, 'consumer'), folder, { recursive: true });
  return folder;
}

/** Puts the repository's packages beside those of the project, as an install would. */
export function linkPackages(project: string, wanted: (name: string) => boolean = () => true): void {
  const [from, to] = [join(repository, 'node_modules'), join(project, 'node_modules')];
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from))
    if (!name.startsWith('.') && wanted(name)) symlinkSync(join(from, name), join(to, name));
}

function versionOf(node: string): Promise<number> {
  return run(node, ['-p', 'process.versions.node']).then(
    ({ stdout }) => Number(stdout.split('.', 1)[0]),
    () => Number.NaN,
  );
}

/** The oldest Node on this machine that the client promises to work on, and never older than that. */
export async function oldestNode(): Promise<string> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  const found = [process.execPath, ...folders.map((folder) => join(folder, 'node')).filter(isExecutable)];
  const versions = await Promise.all(found.map(async (node) => ({ node, version: await versionOf(node) })));
  const [oldest] = versions.filter(({ version }) => version >= 20).sort((a, b) => a.version - b.version);
  if (!oldest) throw new Error('Expected a Node of version 20 or newer on PATH, found none');
  return oldest.node;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Type-checks the project's consumer of `client` with the TypeScript in `compiler`, by default the repository's. */
export async function typeCheck(
  project: string,
  client: string,
  options: { module: string; moduleResolution: string },
  compiler = join(repository, 'node_modules/typescript'),
): Promise<void> {
  const consumer = readFileSync(join(project, 'types.ts'), 'utf8').replace("'zoom-steward-client'", `'${client}'`);
  writeFileSync(join(project, 'checked.ts'), consumer);
  const strict = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
  const compilerOptions = {
    ...strict,
    ...options,
    noEmit: true,
    target: 'es2022',
    types: ['node'],
    skipLibCheck: true,
  };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['checked.ts'] }));
  await ran(process.execPath, [join(compiler, 'bin/tsc'), '-p', project], { cwd: project }).catch(
    (error: { stdout: string }) => {
      throw new Error(`${client} under ${JSON.stringify(options)}:\n${error.stdout}`);
    },
  );
}
