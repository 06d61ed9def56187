import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { findInstance, type Instance, type InstanceInfo, startInstance } from '../../src/embedded/instance.ts';
import { isAlive, stopPostmaster } from '../../src/embedded/postmaster.ts';

let dir: string;
const running: Instance[] = [];
const flags = ['-c', 'fsync=off'];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'steward-instance-'));
});
afterEach(async () => {
  for (const instance of running.splice(0)) await instance.stop();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const start = async (): Promise<Instance> => {
  const instance = await startInstance(dir, flags);
  running.push(instance);
  return instance;
};

async function query<T>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as T[];
  } finally {
    await client.end();
  }
}

/** An owner in a process of its own, killed with -9: Postgres stays behind without it. */
async function killedOwner(): Promise<InstanceInfo> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures/owner.ts'), dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (data: Buffer) => resolve(data.toString()));
    child.once('exit', () => reject(new Error('the owner ended')));
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  return JSON.parse(line) as InstanceInfo;
}

test('is found by others while it runs, and not after', async () => {
  expect(await findInstance(dir)).toBeUndefined();
  const instance = await start();
  await query(instance.url, 'create table kept (n int); insert into kept values (1)');
  await instance.tell({ gateway: 'http://127.0.0.1:4000' });
  expect(await findInstance(dir)).toMatchObject({
    pid: process.pid,
    url: instance.url,
    more: { gateway: 'http://127.0.0.1:4000' },
  });
  await expect(startInstance(dir, flags)).rejects.toMatchObject({ code: 'instance_running' });
  await instance.stop();
  running.length = 0;
  expect(await findInstance(dir)).toBeUndefined();
  expect(isAlive(instance.postgresPid)).toBe(false);
  expect(existsSync(join(dir, 'instance.json'))).toBe(false);
});

test('the owner is killed: it is not found any more, the next start clears up, the data stay', async () => {
  const killed = await killedOwner();
  expect(isAlive(killed.postgresPid)).toBe(true);
  expect(await findInstance(dir)).toBeUndefined();
  const instance = await start();
  expect(isAlive(killed.postgresPid)).toBe(false);
  expect(await query(instance.url, 'select n from kept')).toEqual([{ n: 1 }]);
});

test('a pid file whose number is somebody else’s by now, and a stale instance file, block nothing', async () => {
  const killed = await killedOwner();
  await stopPostmaster(killed.postgresPid, join(dir, 'postgres'));
  // This very process is alive and no Postgres: Postgres itself would refuse.
  await writeFile(join(dir, 'postgres/postmaster.pid'), `${process.pid}\n${join(dir, 'postgres')}\n1\n5432\n`);
  await writeFile(
    join(dir, 'instance.json'),
    JSON.stringify({ ...killed, pid: process.pid, postgresPid: process.pid }),
  );
  await writeFile(join(dir, 'starting.lock'), '999999999');
  expect(await findInstance(dir)).toBeUndefined();
  const instance = await start();
  expect(await query(instance.url, 'select n from kept')).toEqual([{ n: 1 }]);
  expect(JSON.parse(readFileSync(join(dir, 'instance.json'), 'utf8'))).toMatchObject({
    pid: process.pid,
    port: instance.port,
  });
});

test('a directory that was half made is made again', async () => {
  await rm(join(dir, 'postgres.whole'));
  const instance = await start();
  expect(await query(instance.url, `select count(*)::int as n from pg_tables where tablename = 'kept'`)).toEqual([
    { n: 0 },
  ]);
});
