import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const repository = resolve(import.meta.dirname, '../..');

/** Debian release of an image name such as node:24-trixie-slim. */
export function releaseOf(from: string): string {
  const release = /^node:24-([a-z]+)-slim$/.exec(from)?.[1];
  if (!release) throw new Error(`FROM ${from}: expected node:24-RELEASE-slim, which says what is below`);
  return release;
}

function debootstrap(release: string, into: string, packages: readonly string[]): void {
  const include = `--include=${packages.join(',')}`;
  execFileSync('debootstrap', ['--variant=minbase', include, release, into], { stdio: 'pipe', maxBuffer: 1 << 26 });
}

/** Makes `folder` once; half of it is never taken for the whole. */
function once(folder: string, make: (into: string) => void): string {
  if (existsSync(folder)) return folder;
  const into = `${folder}.partial`;
  execFileSync('rm', ['-rf', into]);
  mkdirSync(dirname(folder), { recursive: true });
  make(into);
  renameSync(into, folder);
  return folder;
}

/** What node:24-RELEASE-slim is made of: that release of Debian, Node and npm in /usr/local, the user node. */
export function nodeTree(release: string, work: string): string {
  return once(join(work, `node-${release}`), (into) => {
    debootstrap(release, into, ['ca-certificates']);
    copyFileSync(join(repository, 'node_modules/node/bin/node'), join(into, 'usr/local/bin/node'));
    const npm = ['install', '--global', '--prefix', join(into, 'usr/local'), '--no-audit', '--no-fund', 'npm@11'];
    execFileSync('npm', npm, { stdio: 'pipe' });
    execFileSync('chroot', [into, 'useradd', '--uid', '1000', '--user-group', '--create-home', 'node']);
  });
}

/** The clients and servers of the compose file's other services: valkey, and Postgres' pg_isready. */
export function servicesTree(release: string, work: string): string {
  return once(join(work, `services-${release}`), (into) => {
    debootstrap(release, into, ['postgresql-client', 'valkey-server', 'valkey-tools']);
    mkdirSync(join(into, 'data'));
    execFileSync('chroot', [into, 'chown', 'valkey:valkey', '/data']);
  });
}
