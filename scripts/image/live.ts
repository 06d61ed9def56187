import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { loadEmbeddedPostgres } from '../../src/embedded/load-embedded-postgres.ts';
import { environmentOf, filledEnvFile, milliseconds, parseCompose, type Service } from './compose-file.ts';
import { type Container, isHealthy, type Place, startContainer } from './containers.ts';
import type { Image } from './tree.ts';

const repository = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');

type Say = (line: string) => void;
type Scene = {
  readonly service: (name: string) => Service;
  readonly image: Image;
  readonly services: string;
  readonly say: Say;
};

/** Waits as compose does, at most for start period and all retries; a process that ended is not waited for. */
async function becomesHealthy(place: Place, service: Service, container: Container | undefined): Promise<void> {
  const { interval, retries, start_period = '0s' } = service.healthcheck ?? { interval: '0s', retries: 0 };
  const until = performance.now() + milliseconds(start_period) + retries * milliseconds(interval);
  let ended: number | undefined;
  void container?.ended.then((code) => {
    ended = code;
  });
  while (!isHealthy(place, service)) {
    if (ended !== undefined) throw new Error(`ended with ${ended} before it was healthy:\n${container?.output()}`);
    if (performance.now() > until) throw new Error(`did not become healthy:\n${container?.output() ?? ''}`);
    await pause(250);
  }
}

/** Starts one service: unhealthy before, healthy afterwards. */
async function startHealthy(name: string, place: Place, words: readonly string[], scene: Scene): Promise<Container> {
  const service = scene.service(name);
  if (isHealthy(place, service)) throw new Error(`${name} is healthy although nothing runs: its check cannot fail`);
  const container = startContainer(place, words);
  await becomesHealthy(place, service, container).catch((error: unknown) => {
    container.process.kill('SIGKILL');
    throw new Error(`${name} ${String(error)}`);
  });
  scene.say(`ok       ${name}: unhealthy before, healthy now`);
  return container;
}

/** Postgres 18 from npm stands for the image postgres:18, at the same address; its check is asked in Debian's tree. */
async function startPostgres({ service, services, say }: Scene): Promise<() => Promise<void>> {
  const postgres = service('postgres');
  const { POSTGRES_USER = '', POSTGRES_PASSWORD = '', POSTGRES_DB = '' } = postgres.environment ?? {};
  const EmbeddedPostgres = await loadEmbeddedPostgres();
  const dir = mkdtempSync('/tmp/steward-image-postgres-');
  chmodSync(dir, 0o711);
  // Not var/run, which is a link to /run: outside the tree it would lead to the machine's own.
  const socket = join(services, 'run/postgresql');
  mkdirSync(socket, { recursive: true });
  chmodSync(socket, 0o777);
  const complaints: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(dir, 'data'),
    port: 5432,
    user: POSTGRES_USER,
    password: POSTGRES_PASSWORD,
    persistent: false,
    createPostgresUser: true,
    initdbFlags: ['--encoding=UTF8', '--locale=C', '--no-sync'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${socket}`],
    onLog: (message) => void complaints.push(String(message)),
    onError: (message) => void complaints.push(String(message)),
  });
  const place: Place = { root: services, workdir: '/', user: 'root', environment: {}, readOnly: false };
  if (isHealthy(place, postgres)) throw new Error('postgres is healthy although nothing runs');
  const stopIt = async (): Promise<void> => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await server.initialise();
    await server.start();
    await server.createDatabase(POSTGRES_DB);
    await becomesHealthy(place, postgres, undefined);
  } catch (error) {
    await stopIt();
    throw new Error(`postgres did not start: ${complaints.slice(-5).join(' ')}`, { cause: error });
  }
  say('ok       postgres: unhealthy before, healthy now');
  return stopIt;
}

/** Ends a process as compose does; it must go by itself, with 0, within its grace period. */
async function stop(name: string, container: Container, service: Service, say: Say): Promise<void> {
  const graceMs = milliseconds(service.stop_grace_period ?? '10s');
  const hard = setTimeout(() => container.process.kill('SIGKILL'), graceMs);
  const began = performance.now();
  container.process.kill('SIGTERM');
  const code = await container.ended;
  clearTimeout(hard);
  if (code !== 0) throw new Error(`${name} ended with ${code} on SIGTERM:\n${container.output()}`);
  say(`ok       ${name}: ended with 0 on SIGTERM after ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

/**
 * Plays docker-compose.yml with the image's tree: Postgres, Valkey, migrate, server and worker, with its environment,
 * read-only, as its user, and asks its health checks. The caller's network namespace is this play's own.
 */
export async function playCompose(image: Image, services: string, say: Say): Promise<void> {
  const compose = parseCompose(read('docker-compose.yml'));
  const service = (name: string): Service => {
    const found = compose.services[name];
    if (!found) throw new Error(`docker-compose.yml has no service ${name}`);
    return found;
  };
  const scene: Scene = { service, image, services, say };
  // Compose's own names for the other containers.
  writeFileSync(join(image.root, 'etc/hosts'), '127.0.0.1 localhost\n');
  appendFileSync(join(image.root, 'etc/hosts'), '127.0.0.1 postgres valkey\n');
  const envFile = filledEnvFile(read('.env.example'));
  const placeOf = (name: string): Place => ({
    root: image.root,
    workdir: image.workdir,
    user: image.user,
    environment: { ...image.environment, ...environmentOf(service(name), envFile) },
    readOnly: service(name).read_only === true,
  });
  const wordsOf = (name: string): string[] => [...image.entrypoint, ...(service(name).command ?? [])];

  const running: Container[] = [];
  const stopPostgres = await startPostgres(scene);
  try {
    const path = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    const data: Place = { root: services, workdir: '/data', user: 'valkey', environment: path, readOnly: false };
    running.push(await startHealthy('valkey', data, service('valkey').command ?? [], scene));
    const migrate = startContainer(placeOf('migrate'), wordsOf('migrate'));
    const code = await migrate.ended;
    if (code !== 0) throw new Error(`migrate ended with ${code}:\n${migrate.output()}`);
    say('ok       migrate: ended with 0');
    const started = new Map<string, Container>();
    for (const name of ['server', 'worker']) {
      const container = await startHealthy(name, placeOf(name), wordsOf(name), scene);
      started.set(name, container);
      running.push(container);
    }
    for (const [name, container] of started) await stop(name, container, service(name), say);
  } finally {
    for (const { process } of running) if (process.exitCode === null) process.kill('SIGKILL');
    await stopPostgres();
  }
}
