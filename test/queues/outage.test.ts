import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type PrivateRedis, startPrivateRedis } from '../../src/embedded/redis.ts';
import { migratePostgresQueue } from '../../src/queues/postgres-backend.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { useDatabase } from '../support/database.ts';
import { beginChain, chainState, chainWorker, createChainTable } from './chain.ts';
import { mustHaveRedis, redisLacking } from './redis-server.ts';
import { until } from './support.ts';

const database = useDatabase();
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  await migratePostgresQueue(new Secret(database.url));
  await createChainTable(database.db);
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
});

const complete = (id: string, total: number, withinMs?: number) =>
  until('the end of the chain', async () => (await chainState(database.db, id)).done === total, withinMs);

async function started(over: Partial<Parameters<typeof chainWorker>[0]> = {}): Promise<WorkerProcess> {
  const worker = chainWorker({ url: database.url, prefix: 'out', ...over });
  workers.push(worker);
  await worker.start();
  return worker;
}

test('every connection to Postgres is cut at once: the worker goes on, and nothing is lost', async () => {
  await started({ sliceMs: 30, stepMs: 2 });
  const during = await beginChain(database.db, 60);
  await until('some steps', async () => (await chainState(database.db, during)).done > 3);
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and application_name <> ''`
    .execute(database.db)
    .catch(() => {});
  // What the relay had claimed when it was cut waits for the end of its lease, 10 s.
  await complete(during, 60, 25_000);
  const after = await beginChain(database.db, 5);
  await complete(after, 5);
});

describe.skipIf(redisLacking !== undefined && !mustHaveRedis)('Redis', () => {
  let redis: PrivateRedis;
  beforeAll(async () => {
    redis = await startPrivateRedis();
  });
  afterAll(() => redis?.stop());

  const onRedis = (telemetry = createTelemetry()) => ({
    telemetry,
    sliceMs: 40,
    parts: {
      config: {
        queue: 'redis' as const,
        databaseUrl: new Secret(database.url),
        redisUrl: new Secret(redis.url),
        queuePrefix: 'out',
        concurrency: { quick: 1, bulk: 1, zoom: 1 },
        sliceMs: 40,
        outboxPollMs: 50,
        tickMs: 600_000,
        shutdownMs: 8_000,
        events: 'queue' as const,
      },
    },
  });

  test('a chain runs through it', async () => {
    await started(onRedis());
    const id = await beginChain(database.db, 40);
    await complete(id, 40);
  });

  test('goes away and comes back empty: changes stay in the outbox meanwhile, and are delivered', async () => {
    const telemetry = createTelemetry();
    const delays: string[] = [];
    telemetry.on('outbox_delayed', ({ code }) => delays.push(code));
    await started(onRedis(telemetry));
    const before = await beginChain(database.db, 10);
    await complete(before, 10);
    const port = Number(new URL(redis.url).port);
    await redis.kill();
    const id = await beginChain(database.db, 10);
    await until('a relay that could not', () => delays.length > 0);
    expect((await sql`select 1 from steward.outbox where key = ${id}`.execute(database.db)).rows).toHaveLength(1);
    expect((await chainState(database.db, id)).done).toBe(0);
    redis = await startPrivateRedis({ port });
    await complete(id, 10, 20_000);
    await until(
      'an outbox without it',
      async () => (await sql`select 1 from steward.outbox where key = ${id}`.execute(database.db)).rows.length === 0,
    );
  });
});
