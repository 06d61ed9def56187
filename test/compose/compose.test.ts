import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createServices, type Services } from '../../src/compose.ts';
import { migrateAll } from '../../src/queues/migrate-all.ts';
import type { WorkerProcess } from '../../src/queues/worker-process.ts';
import { Secret } from '../../src/secret.ts';
import { organizationWith, stored } from '../queues/real-organization.ts';
import { until } from '../queues/support.ts';
import { useDatabase } from '../support/database.ts';
import { testConfig } from './settings.ts';

const database = useDatabase();
const workers: WorkerProcess[] = [];
const opened: Services[] = [];

beforeAll(async () => {
  await migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: 'postgres', queuePrefix: 'steward' });
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
  for (const services of opened.splice(0)) await services.close();
});

function worker(over: Record<string, string> = {}): WorkerProcess {
  const services = createServices(testConfig(database.url, over));
  opened.push(services);
  const made = services.createWorker();
  workers.push(made);
  return made;
}

test('a worker that logs in with the rights of steward_worker, and no others, can do its work', async () => {
  const role = `w_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  await sql.raw(`create role ${role} login password 'pw' in role steward_worker`).execute(database.db);
  try {
    const url = new URL(database.url);
    url.username = role;
    url.password = 'pw';
    const limited = worker({ DATABASE_URL: url.href });
    await limited.start();
    const { organizationId } = await organizationWith(database.db, 4);
    await sql`select steward.changed('organization', ${organizationId}::uuid)`.execute(database.db);
    await until('every member', async () => (await stored(database.db, organizationId))['organization'] === 4);
    await limited.stop();
  } finally {
    await sql
      .raw(`reassign owned by ${role} to current_user; drop owned by ${role}; drop role ${role}`)
      .execute(database.db);
  }
});

describe('refusing to start', () => {
  const refusal = async (over: Record<string, string>) => {
    const made = worker(over);
    return made.start().then(
      () => 'started',
      (error: { code?: string }) => error.code,
    );
  };

  test('with another queue than the installation has', async () => {
    expect(await refusal({ STEWARD_QUEUE: 'redis', REDIS_URL: 'redis://127.0.0.1:9' })).toBe('queue_differs');
    expect(await refusal({ STEWARD_QUEUE_PREFIX: 'other' })).toBe('queue_differs');
  });

  test('with a pool too small for its jobs', async () => {
    expect(await refusal({ STEWARD_POOL_SIZE: '3' })).toBe('pool_too_small');
  });

  test('without the database', async () => {
    expect(await refusal({ DATABASE_URL: 'postgres://postgres:postgres@127.0.0.1:9/none' })).toBe('database_away');
  });

  test('with a schema that is older, newer, or whose functions are of another release', async () => {
    const { db } = database;
    await sql`insert into steward_migrations.worker_migrations (name, timestamp) values ('9999-from-the-future', '2099')`.execute(
      db,
    );
    expect(await refusal({})).toBe('schema_newer');
    await sql`delete from steward_migrations.worker_migrations where name = '9999-from-the-future'`.execute(db);
    const { rows } = await sql<{ name: string; timestamp: string }>`
      delete from steward_migrations.worker_migrations where name = (select max(name) from steward_migrations.worker_migrations)
      returning name, timestamp`.execute(db);
    expect(await refusal({})).toBe('schema_older');
    await sql`insert into steward_migrations.worker_migrations (name, timestamp) values (${rows[0]?.name}, ${rows[0]?.timestamp})`.execute(
      db,
    );
    await sql`update steward.installation set value = '"another"' where key = 'programs'`.execute(db);
    expect(await refusal({})).toBe('programs_differ');
    await migrateAll(db, { databaseUrl: new Secret(database.url), queue: 'postgres', queuePrefix: 'steward' });
  });

  test('with a key in use that is not in the ring', async () => {
    await sql`
      insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, sealed_access, sealed_refresh, key_id, consented_at)
      values (gen_random_uuid(), 'admin', 'admin_client', 'acc', 'user', 'living', 'x', 'x', 'lost-key', now())`.execute(
      database.db,
    );
    expect(await refusal({})).toBe('key_missing');
    await sql`delete from steward.grants`.execute(database.db);
    expect(await refusal({})).toBe('started');
  });

  test('migrating to another queue is refused too', async () => {
    await expect(
      migrateAll(database.db, { databaseUrl: new Secret(database.url), queue: 'redis', queuePrefix: 'steward' }),
    ).rejects.toMatchObject({ code: 'queue_differs' });
  });
});
