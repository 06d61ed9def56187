import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StewardError } from '../errors.ts';
import { freePort } from './free-port.ts';
import { loadEmbeddedPostgres } from './load-embedded-postgres.ts';
import { answers, isAlive, isPostmasterOf, readPostmaster, stopPostmaster } from './postmaster.ts';

/** The running development instance, as its file says and as a look confirmed. */
export type InstanceInfo = {
  /** process that started it and stops it */
  readonly pid: number;
  readonly postgresPid: number;
  readonly port: number;
  /** postgres:// URL of its database */
  readonly url: string;
  /** what else its owner tells other commands, e.g. addresses of the gateway and the simulator */
  readonly more: Readonly<Record<string, string>>;
};

export type Instance = InstanceInfo & {
  /** Tells other commands more about this instance. */
  tell(more: Readonly<Record<string, string>>): Promise<void>;
  /** Stops Postgres and takes the file away; the data stay. */
  stop(): Promise<void>;
};

const fileOf = (dir: string): string => join(dir, 'instance.json');
const dataOf = (dir: string): string => join(dir, 'postgres');
// Written when the directory is whole: one that a crash left half-made is made again.
const wholeOf = (dir: string): string => join(dir, 'postgres.whole');

function readInfo(dir: string): InstanceInfo | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(dir), 'utf8')) as InstanceInfo;
  } catch {
    return undefined;
  }
}

/**
 * The instance that runs on this directory (default `.steward`), or undefined. What a crash left behind is not
 * taken for one: the process must be alive, Postgres must be that of the directory, and it must answer.
 */
export async function findInstance(dir = '.steward'): Promise<InstanceInfo | undefined> {
  const root = resolve(dir);
  const info = readInfo(root);
  if (!info || !isAlive(info.pid)) return undefined;
  if (!isPostmasterOf(info.postgresPid, dataOf(root)) || !(await answers(info.port))) return undefined;
  return info;
}

async function writeInfo(dir: string, info: InstanceInfo): Promise<void> {
  const draft = `${fileOf(dir)}.${randomUUID()}`;
  await writeFile(draft, `${JSON.stringify(info, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, fileOf(dir));
}

/** Clears away what a crash left: a server without its owner, a half-made directory, a pid file of nobody. */
async function clearRemains(dir: string): Promise<void> {
  const data = dataOf(dir);
  const postmaster = readPostmaster(data);
  if (postmaster && isPostmasterOf(postmaster.pid, data)) await stopPostmaster(postmaster.pid, data);
  // Postgres refuses to start when the id in its file is alive, even if that is somebody else by now.
  if (existsSync(join(data, 'postmaster.pid'))) await rm(join(data, 'postmaster.pid'), { force: true });
  if (!existsSync(wholeOf(dir))) await rm(data, { recursive: true, force: true });
  await rm(fileOf(dir), { force: true });
}

/** Only one process at a time may start on a directory; a lock whose holder is gone is nobody's. */
async function lock(dir: string): Promise<() => Promise<void>> {
  const file = join(dir, 'starting.lock');
  for (;;) {
    try {
      await writeFile(file, String(process.pid), { flag: 'wx' });
      return () => rm(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number(readFileSync(file, { encoding: 'utf8', flag: 'a+' }));
    if (holder === process.pid || !isAlive(holder)) {
      await rm(file, { force: true });
      continue;
    }
    throw new StewardError(
      'instance_starting',
      `Process ${holder} is starting an instance in ${dir}; wait for it, or use another directory.`,
    );
  }
}

/**
 * Starts Postgres on a directory that outlives the process, for `dev` and `start`, and tells other commands
 * where it is. The owner stops it; if the owner is killed, the next start clears up.
 * @throws StewardError `instance_running` when another process has it
 */
export async function startInstance(dir = '.steward', flags: readonly string[] = []): Promise<Instance> {
  const root = resolve(dir);
  await mkdir(root, { recursive: true, mode: 0o711 });
  // Under root the server runs as another user, who must get through.
  await chmod(root, 0o711);
  const unlock = await lock(root);
  try {
    const running = await findInstance(root);
    if (running)
      throw new StewardError(
        'instance_running',
        `Process ${running.pid} already runs the instance in ${root} on port ${running.port}; use that one, or stop it.`,
        {
          context: { pid: running.pid, port: running.port },
        },
      );
    await clearRemains(root);
    return await startHere(root, flags);
  } finally {
    await unlock();
  }
}

async function startHere(root: string, flags: readonly string[]): Promise<Instance> {
  const EmbeddedPostgres = await loadEmbeddedPostgres();
  const port = await freePort();
  const complaints: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: dataOf(root),
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', ...flags],
    onLog: (message) => complaints.push(String(message)),
    onError: (message) => complaints.push(String(message)),
  });
  try {
    if (!existsSync(wholeOf(root))) {
      await server.initialise();
      await writeFile(wholeOf(root), '');
    }
    await server.start();
  } catch (error) {
    throw new StewardError(
      'postgres_not_started',
      `The embedded Postgres did not start in ${root}. Expected, under root, a directory another user can reach. ${complaints.slice(-3).join(' ')}`,
      { cause: error },
    );
  }
  const postgresPid = readPostmaster(dataOf(root))?.pid ?? 0;
  const killServer = (): void => {
    try {
      process.kill(postgresPid, 'SIGINT');
    } catch {
      // it is gone already
    }
  };
  process.once('exit', killServer);
  let info: InstanceInfo = {
    pid: process.pid,
    postgresPid,
    port,
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    more: {},
  };
  await writeInfo(root, info);
  return {
    ...info,
    async tell(more) {
      info = { ...info, more: { ...info.more, ...more } };
      await writeInfo(root, info);
    },
    async stop() {
      process.off('exit', killServer);
      await rm(fileOf(root), { force: true });
      await server.stop();
    },
  };
}
