import childProcess from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Leak } from './watch.ts';

const preload = resolve(import.meta.dirname, 'fixtures/child.ts');
const file = join(tmpdir(), `canary-${process.pid}.jsonl`);

type Environment = Readonly<Record<string, string | undefined>>;
const watched = (env: Environment = process.env): Environment => ({
  ...env,
  CANARY_FILE: file,
  NODE_OPTIONS: `${env['NODE_OPTIONS'] ?? ''} --import=${preload}`.trim(),
});

type Start = (program: string, args?: unknown, options?: { env?: Environment }) => unknown;

/** From now on every Node process that is started from here is watched as well. */
export function watchChildren(): void {
  const through =
    (start: Start): Start =>
    (program, args, options) => {
      if (start !== fork && program !== process.execPath) return start(program, args, options);
      const [list, said] = Array.isArray(args) ? [args, options] : [[], args as typeof options];
      return start(program, list, { ...said, env: watched(said?.env) });
    };
  const spawn = childProcess.spawn as Start;
  const fork = childProcess.fork as Start;
  childProcess.spawn = through(spawn) as typeof childProcess.spawn;
  childProcess.fork = through(fork) as typeof childProcess.fork;
  syncBuiltinESMExports();
}

/** What children of this process told, once. */
export function takeLeaksOfChildren(): Leak[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  rmSync(file);
  return lines.map((line) => JSON.parse(line) as Leak);
}
