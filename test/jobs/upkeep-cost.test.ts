import { sql } from 'kysely';
import { beforeAll, expect, test } from 'vitest';
import { upkeepTasks } from '../../src/jobs/upkeep/tasks.ts';
import { useDatabase } from '../support/database.ts';
import { services } from './perform-job.ts';

/** Organizations in which nothing is due: what a tick looks at every few seconds. One connection, for its settings. */
const organizations = 3_000;
const database = useDatabase({ max: 1 });

beforeAll(async () => {
  const { db } = database;
  await sql`
    insert into steward_app.organizations (id, name, created_at)
    select md5('o' || i)::uuid, 'O', now() - interval '40 days' from generate_series(1, ${organizations}::int) i`.execute(
    db,
  );
  await sql`
    insert into steward.grants (id, client_kind, client_id, zoom_account_id, zoom_user_id, state, sealed_access, sealed_refresh, consented_at)
    select md5('g' || i)::uuid, 'admin', 'c', 'a' || i, 'u', 'living', 'x', 'x', now() from generate_series(1, ${organizations}::int) i`.execute(
    db,
  );
  await sql`
    insert into steward.org_connections (id, organization_id, state, zoom_account_id, grant_id, created_at, verify_due_at)
    select md5('c' || i)::uuid, md5('o' || i)::uuid, 'active', 'a' || i, md5('g' || i)::uuid, now() - interval '30 days', now() + interval '3 hours'
      from generate_series(1, ${organizations}::int) i`.execute(db);
  await sql`
    insert into steward.directories (zoom_account_id, synced_at, blocked_until)
    select 'a' || i, now(), now() from generate_series(1, ${organizations}::int) i`.execute(db);
  await sql`
    insert into steward.runs (id, target, organization_id, target_id, generation, cause, actor, state, phase, created_at, ended_at)
    select gen_random_uuid(), 'organization', md5('o' || i)::uuid, md5('o' || i)::uuid, 1, 'schedule', 'schedule', 'done', 'done', now(), now()
      from generate_series(1, ${organizations}::int) i`.execute(db);
  await sql`
    insert into steward.candidates (id, connection_id, grant_id, state, expires_at, created_at)
    select gen_random_uuid(), md5('c' || i)::uuid, md5('g' || i)::uuid, 'adopted', now(), now() from generate_series(1, ${organizations}::int) i`.execute(
    db,
  );
  await sql`analyze`.execute(db);
  await sql`set track_functions = 'all'`.execute(db);
});

async function callsOfNow(): Promise<number> {
  await sql`select pg_stat_force_next_flush()`.execute(database.db);
  const { rows } = await sql<{ calls: number }>`
    select calls from pg_stat_user_functions where schemaname = 'steward' and funcname = 'now'`.execute(database.db);
  return rows[0]?.calls ?? 0;
}

// A filter that asks for the time asks for every row: at 100,000 organizations that was most of ten seconds a tick.
test.each(Object.entries(upkeepTasks))(
  '%s asks for the time a few times, however many organizations there are',
  async (_name, task) => {
    const before = await callsOfNow();
    expect(await task(database.db, services())).toEqual({ found: 0 });
    expect((await callsOfNow()) - before).toBeLessThan(50);
  },
);

test('a filter that asks for every row would be seen', async () => {
  const before = await callsOfNow();
  await sql`select from steward.org_connections where created_at > steward.now()`.execute(database.db);
  expect((await callsOfNow()) - before).toBeGreaterThanOrEqual(organizations);
});
