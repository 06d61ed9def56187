import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { environmentVariable } from '../config.ts';
import { StewardError } from '../errors.ts';
import { freePort } from './free-port.ts';

export type PrivateRedis = {
  /** redis:// URL, on this machine only */
  readonly url: string;
  readonly pid: number;
  /** which program it is: redis-server or valkey-server */
  readonly program: string;
  stop(): Promise<void>;
  /** `kill -9`, for tests */
  kill(): Promise<void>;
};

/** Path of a redis-server or valkey-server on PATH, or undefined. */
export function findRedisServer(path = environmentVariable('PATH') ?? ''): string | undefined {
  for (const program of ['redis-server', 'valkey-server']) {
    for (const dir of path.split(delimiter)) {
      const file = join(dir, program);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // not here
      }
    }
  }
  return undefined;
}

const readyWithinMs = 10_000;
const pingEveryMs = 20;

function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => end(data.toString().startsWith('+PONG')));
    socket.once('error', () => end(false));
  });
}

/**
 * A Redis of our own on a free port: nothing on disk, no eviction, gone with `stop()` or with this process'
 * end. For demo and tests. `flags` are passed to the server and win, e.g. `['--maxmemory-policy', 'allkeys-lru']`.
 * @throws StewardError `redis_missing` where neither redis-server nor valkey-server is installed
 */
export async function startPrivateRedis({
  port,
  flags = [],
}: {
  readonly port?: number;
  readonly flags?: readonly string[];
} = {}): Promise<PrivateRedis> {
  const program = findRedisServer();
  if (program === undefined)
    throw new StewardError(
      'redis_missing',
      'Expected redis-server or valkey-server on PATH, found neither; install Redis 7 or Valkey, or set REDIS_URL.',
    );
  const listen = port ?? (await freePort());
  const dir = await mkdtemp(join(tmpdir(), 'steward-redis-'));
  const child: ChildProcess = spawn(
    program,
    [
      '--port',
      String(listen),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      dir,
      '--maxmemory-policy',
      'noeviction',
      '--daemonize',
      'no',
      '--loglevel',
      'warning',
      '--protected-mode',
      'yes',
      ...flags,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint = `${complaint}${chunk.toString()}`.slice(-500);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const killWithUs = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killWithUs);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    process.off('exit', killWithUs);
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
    await rm(dir, { recursive: true, force: true });
  };
  const deadline = Date.now() + readyWithinMs;
  while (!(await ping(listen))) {
    if (Date.now() > deadline || child.exitCode !== null) {
      await end('SIGKILL');
      throw new StewardError(
        'redis_not_ready',
        `The private Redis did not answer within ${readyWithinMs} ms. ${complaint}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, pingEveryMs));
  }
  return {
    url: `redis://127.0.0.1:${listen}`,
    pid: child.pid as number,
    program,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}
