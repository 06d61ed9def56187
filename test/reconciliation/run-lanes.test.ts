import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { locationsChunk } from '../../src/reconciliation/locations-apply.ts';
import { getOrganizationFacts } from '../../src/reconciliation/organization-facts.ts';
import { phases } from '../../src/reconciliation/run-phases.ts';
import { getRun } from '../../src/reconciliation/run-record.ts';
import { useDatabase } from '../support/database.ts';
import { createLocationWorld, online } from './locations/location-world.ts';
import { fillOrganization } from './support/fill-organization.ts';
import { reconcileAll, startRun } from './support/play-runs.ts';

const database = useDatabase();

test('a part of a phase ends at its bound: nothing behind it is looked at, written or taken for gone', async () => {
  const { db } = database;
  const org = await fillOrganization(db, 20);
  await reconcileAll(db, org);
  // Everybody's rows are wrong, on both sides of the bound, and so are rows of people who left.
  await sql`update steward.member_facts set active = false where organization_id = ${org.organizationId}`.execute(db);
  await sql`
    with gone as (
      insert into steward.member_facts (organization_id, member_id, active, in_rollout, opted_out, personal, match)
      select ${org.organizationId}, (left(id::text, 35) || case right(id::text, 1) when '0' then '1' else '0' end)::uuid, true, true, false, 'none', 'none'
        from steward_app.members where organization_id = ${org.organizationId}
      returning member_id)
    insert into steward.member_connections (organization_id, member_id, effective, reason, hosting, basic_plan, shared_host, changed_at)
    select ${org.organizationId}, member_id, 'none', 'never_connected', 'no_connection', false, false, now() from gone`.execute(
    db,
  );
  const run = await getRun(db, await startRun(db, org));
  const { rows } = await sql<{
    id: string;
  }>`select id from steward_app.members where organization_id = ${org.organizationId} order by id`.execute(db);
  const pivot = rows[11]?.id as string;
  const facts = await getOrganizationFacts(db, org.organizationId);
  const versions = async (what: 'member_facts' | 'member_connections', side: '<=' | '>') =>
    (
      await sql`select member_id, ctid::text from ${sql.table(`steward.${what}`)}
                 where organization_id = ${org.organizationId} and member_id ${sql.raw(side)} ${pivot} order by 1`.execute(
        db,
      )
    ).rows;
  const behind = await versions('member_facts', '>');
  const part = async (cursor: string | null, limit: number, alsoResults: boolean) =>
    db.transaction().execute((trx) =>
      phases.facts.chunk(trx, {
        run: { ...run, cursor },
        facts,
        adapter: 'rows',
        limit,
        upTo: pivot,
        alsoResults,
        mayGo: true,
      }),
    );
  const first = await part(null, 8, false);
  expect(first).toMatchObject({ cursor: rows[7]?.id, looked: 8 });
  expect(await part(first.cursor, 8, false)).toMatchObject({ cursor: null, looked: 4 });
  expect(await versions('member_facts', '>')).toEqual(behind);
  expect(await versions('member_facts', '<=')).toHaveLength(12);
  const members = await versions('member_connections', '>');
  expect(
    await db.transaction().execute((trx) =>
      phases.members.chunk(trx, {
        run,
        facts,
        adapter: 'rows',
        limit: 100,
        upTo: pivot,
        alsoResults: false,
        mayGo: true,
      }),
    ),
  ).toMatchObject({ cursor: null, looked: 12 });
  expect(await versions('member_connections', '>')).toEqual(members);
  expect(await versions('member_connections', '<=')).toHaveLength(12);
  expect(await part(pivot, 8, true)).toEqual({ cursor: null, looked: 0, counts: {} });
});

test.each(['rows', 'json'] as const)('%s: a part of the locations ends at its bound', async (adapter) => {
  const w = await createLocationWorld(database.db, adapter);
  const host = await w.addMember();
  const ids: string[] = [];
  for (let i = 0; i < 9; i++) ids.push(await w.addEventType({ host, locations: [online] }));
  ids.sort();
  const flag = (id: string) =>
    sql`insert into steward.event_type_flags (event_type_id, organization_id, needs_location_since, run_id)
        values (${id}, ${w.organizationId}, now(), gen_random_uuid())`.execute(w.db);
  // Flags of event types that are gone, before all others and behind.
  const gone = ['00000000-0000-0000-0000-000000000001', 'ffffffff-ffff-ffff-ffff-fffffffffffe'];
  for (const id of gone) await flag(id);
  await w.setConnection({ state: 'disconnecting', cause: 'person' });
  const part = (after: string | null, limit: number, upTo?: string) =>
    w.db.transaction().execute((trx) =>
      locationsChunk(trx, {
        organizationId: w.organizationId,
        runId: randomUUID(),
        adapter,
        afterEventTypeId: after,
        ...(upTo === undefined ? {} : { upToEventTypeId: upTo }),
        limit,
      }),
    );
  expect(await part(null, 3, ids[4])).toMatchObject({ lastEventTypeId: ids[2], counts: { removed: 3 } });
  expect(await part(ids[2] ?? null, 3, ids[4])).toMatchObject({ lastEventTypeId: null, counts: { removed: 2 } });
  expect(await Promise.all(gone.map((id) => w.isFlagged(id)))).toEqual([false, true]);
  expect(await part(ids[4] ?? null, 100)).toMatchObject({ lastEventTypeId: null, counts: { removed: 4 } });
  expect(await Promise.all(gone.map((id) => w.isFlagged(id)))).toEqual([false, false]);
});
