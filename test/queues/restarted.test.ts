import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type BenchWorker, startBenchWorker } from '../../bench/worker.ts';
import { createDatabase, type Database } from '../../src/db/database.ts';
import { migrateReferenceApp } from '../../src/db/migrate.ts';
import { startOrganizationRun } from '../../src/db/run-repository.ts';
import { type EmbeddedPostgresServer, startTemporaryPostgres } from '../../src/embedded/postgres.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import { Secret } from '../../src/secret.ts';
import { onBothBackends } from './both-backends.ts';
import { organizationWith, passTime, type RealOrganization, runState, stored } from './real-organization.ts';
import { until } from './support.ts';

vi.setConfig({ testTimeout: 120_000 });

const members = 400;
let server: EmbeddedPostgresServer;
beforeAll(async () => {
  server = await startTemporaryPostgres(['-c', 'max_connections=100', '-c', 'fsync=off']);
});
afterAll(() => server?.stop());

onBothBackends('a worker whose servers are restarted in the middle of a run', (queue) => {
  const workers: BenchWorker[] = [];
  let db: Database;
  let url: string;

  beforeAll(async () => {
    const admin = createDatabase({ url: server.url(), max: 1 });
    await sql.raw(`create database restarted_${queue.kind}`).execute(admin);
    await admin.destroy();
    url = server.url(`restarted_${queue.kind}`);
    db = createDatabase({ url, max: 3 });
    await migrateReferenceApp(db);
    await migrateAll(db, { databaseUrl: new Secret(url), queue: queue.kind, queuePrefix: 'again' });
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.stop();
  });
  afterAll(() => db?.destroy());

  async function startWorker(): Promise<BenchWorker> {
    const redisUrl = queue.redisUrl();
    const worker = await startBenchWorker(url, {
      STEWARD_QUEUE: queue.kind,
      ...(redisUrl === null ? {} : { REDIS_URL: redisUrl }),
      STEWARD_QUEUE_PREFIX: 'again',
      STEWARD_CHUNK_SIZE: '10',
      STEWARD_CHUNK_MS: '0',
      STEWARD_SLICE_MS: '100',
      STEWARD_TICK_MS: '200',
    });
    workers.push(worker);
    return worker;
  }

  async function runInside({ connectionId }: RealOrganization): Promise<string> {
    const runId = await db
      .transaction()
      .execute((trx) => startOrganizationRun(trx, { connectionId, cause: 'activated', actor: 'schedule' }));
    await until('the run to begin', async () => (await runState(db, runId)).cursor !== null);
    return runId;
  }

  // Signal 0 asks only whether the process is there.
  const lives = ({ pid }: BenchWorker): boolean => process.kill(pid, 0);

  /** The database may be away for a moment: that is what is tried. */
  const eventually = (what: string, holds: () => Promise<boolean>) => until(what, () => holds().catch(() => false));

  test('Postgres: the process goes on, the run ends, and what is said afterwards is heard', async () => {
    const worker = await startWorker();
    const organization = await organizationWith(db, members);
    const runId = await runInside(organization);
    await server.restart();
    await eventually('an answer', async () => (await runState(db, runId)).state === 'running');
    // Leases of what was cut would end by themselves; npm run crash -- --blow restart-postgres waits for them.
    await passTime(db, 60);
    await eventually('the end of the run', async () => (await runState(db, runId)).state === 'done');
    expect(await stored(db, organization.organizationId)).toEqual({ organization: members });
    await sql`
      with gone as (
        update steward_app.members set active = false
         where id = (select min(id::text)::uuid from steward_app.members where organization_id = ${organization.organizationId})
        returning id)
      select steward.changed('member', id) from gone`.execute(db);
    await eventually('the look at a member', async () => (await stored(db, organization.organizationId))['none'] === 1);
    expect(lives(worker)).toBe(true);
  });

  test.runIf(queue.kind === 'redis')('Redis, back empty: the process goes on, and the run ends', async () => {
    const worker = await startWorker();
    const organization = await organizationWith(db, members);
    const runId = await runInside(organization);
    await queue.redis()?.kill();
    const { state, cursor } = await runState(db, runId);
    expect({ state, inside: cursor !== null }).toEqual({ state: 'running', inside: true });
    await queue.startAgain();
    await passTime(db, 60);
    await eventually('the end of the run', async () => (await runState(db, runId)).state === 'done');
    expect(await stored(db, organization.organizationId)).toEqual({ organization: members });
    expect(lives(worker)).toBe(true);
  });
});
