import { sql } from 'kysely';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { createServices, type Services } from '../../src/compose.ts';
import { startOrganizationRun } from '../../src/db/run-repository.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { onBothBackends } from '../queues/both-backends.ts';
import { organizationWith, stored } from '../queues/real-organization.ts';
import { until } from '../queues/support.ts';
import { useDatabase } from '../support/database.ts';
import { testConfig } from './settings.ts';

onBothBackends('a worker made of the real parts', (queue) => {
  const database = useDatabase();
  const workers: WorkerProcess[] = [];

  beforeAll(() =>
    migrateAll(database.db, {
      databaseUrl: new Secret(database.url),
      queue: queue.kind,
      queuePrefix: `real-${queue.kind}`,
    }),
  );
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.stop();
  });

  function worker(over: Record<string, string> = {}): WorkerProcess {
    const redisUrl = queue.redisUrl();
    const services: Services = createServices(
      testConfig(database.url, {
        STEWARD_QUEUE: queue.kind,
        ...(redisUrl === null ? {} : { REDIS_URL: redisUrl }),
        STEWARD_QUEUE_PREFIX: `real-${queue.kind}`,
        ...over,
      }),
    );
    const made = services.createWorker();
    workers.push(made);
    return made;
  }

  test('fans an active connection out, chunk by chunk and slice by slice', async () => {
    await worker({ STEWARD_CHUNK_SIZE: '60', STEWARD_CHUNK_MS: '0', STEWARD_SLICE_MS: '20' }).start();
    const { organizationId, connectionId } = await organizationWith(database.db, 200);
    const runId = await database.db
      .transaction()
      .execute((trx) => startOrganizationRun(trx, { connectionId, cause: 'activated', actor: 'schedule' }));
    await until('the end of the run', async () => {
      const run = await database.db
        .selectFrom('steward.runs')
        .select('state')
        .where('id', '=', runId)
        .executeTakeFirstOrThrow();
      return run.state === 'done';
    });
    expect(await stored(database.db, organizationId)).toEqual({ organization: 200 });
  });

  test('follows "look at this organization" and "look at this member" said in SQL', async () => {
    await worker().start();
    const { organizationId } = await organizationWith(database.db, 3);
    await sql`select steward.changed('organization', ${organizationId}::uuid)`.execute(database.db);
    await until('every member', async () => (await stored(database.db, organizationId))['organization'] === 3);
    const { rows } = await sql<{ id: string }>`
      insert into steward_app.members (id, organization_id, email, email_verified, name, role)
      values (gen_random_uuid(), ${organizationId}, 'late@acme.example', true, 'Late', 'user') returning id`.execute(
      database.db,
    );
    await sql`select steward.changed('member', ${rows[0]?.id}::uuid)`.execute(database.db);
    await until('the joiner', async () => (await stored(database.db, organizationId))['organization'] === 4);
  });

  test('ends the connection of an organization that is gone, cascade and last step included', async () => {
    await worker().start();
    const { organizationId, connectionId } = await organizationWith(database.db, 5);
    await sql`select steward.changed('organization', ${organizationId}::uuid)`.execute(database.db);
    await until('every member', async () => (await stored(database.db, organizationId))['organization'] === 5);
    await sql`update steward_app.organizations set deleted_at = now() where id = ${organizationId}`.execute(
      database.db,
    );
    await sql`select steward.changed('organization', ${organizationId}::uuid)`.execute(database.db);
    await until('the end of the disconnect', async () => {
      const row = await database.db
        .selectFrom('steward.org_connections')
        .select('state')
        .where('id', '=', connectionId)
        .executeTakeFirstOrThrow();
      return row.state === 'none';
    });
    expect((await stored(database.db, organizationId))['none']).toBe(5);
  });
});
