import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import type { Service } from './compose-file.ts';

/** A process in a tree, as a container of the compose file would hold it. */
export type Place = {
  readonly root: string;
  readonly workdir: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  /** compose's read_only, with its tmpfs on /tmp */
  readonly readOnly: boolean;
};

/** The command line that runs `words` in that place and becomes them: signals reach them. */
function commandLine(place: Place, words: readonly string[]): [program: string, args: string[]] {
  const bind = 'mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && mount -t tmpfs tmpfs "$1/tmp"';
  const lock = place.readOnly ? ' && mount -o remount,ro,bind "$1"' : '';
  const enter =
    'root=$1 user=$2 && shift 2 && exec setpriv --no-new-privs chroot --userspec="$user" "$root" env -i "$@"';
  const variables = Object.entries(place.environment).map(([name, value]) => `${name}=${value}`);
  const inside = ['/bin/sh', '-c', 'cd "$0" && exec "$@"', place.workdir, ...words];
  const script = `${bind}${lock} && ${enter}`;
  return ['unshare', ['--mount', 'sh', '-c', script, 'sh', place.root, place.user, ...variables, ...inside]];
}

export type Container = {
  readonly process: ChildProcess;
  /** everything it wrote */
  output(): string;
  /** exit code, or null while it runs */
  readonly ended: Promise<number>;
};

export function startContainer(place: Place, words: readonly string[]): Container {
  const [program, args] = commandLine(place, words);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (written += String(chunk)));
  const ended = new Promise<number>((done) => child.once('exit', (code) => done(code ?? -1)));
  return { process: child, output: () => written, ended };
}

/** Runs the service's health check once, inside its place: does it say healthy? */
export function isHealthy(place: Place, { healthcheck }: Service): boolean {
  if (!healthcheck) throw new Error('expected a health check');
  const [kind, ...words] = healthcheck.test;
  const [program, args] = commandLine(place, kind === 'CMD' ? words : ['/bin/sh', '-c', words.join(' ')]);
  return spawnSync(program, args, { stdio: 'pipe' }).status === 0;
}
