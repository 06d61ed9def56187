import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import {
  acceptMemberRestore,
  acceptRestore,
  pruneArchivedLocations,
} from '../../../src/reconciliation/locations-restore.ts';
import { useDatabase } from '../../support/database.ts';
import { createLocationWorld, online, room, zoom } from './location-world.ts';

const database = useDatabase();

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  test('what a person disconnected waits until a person accepts; accepting twice is accepting once', async () => {
    const w = await createLocationWorld(database.db, adapter);
    const id = await w.addEventType({ host: await w.addMember(), locations: [online, room] });
    const accept = () =>
      w.db
        .transaction()
        .execute((trx) => acceptRestore(trx, { organizationId: w.organizationId, actor: 'operator:test' }));
    expect(await accept()).toBeNull();
    await w.setConnection({ state: 'disconnecting', cause: 'person' });
    await w.reconcile();
    await w.setConnection({ state: 'active' });
    expect(await w.reconcile()).toMatchObject({ restored: 0 });

    // Twice at the same moment: one run, one generation.
    const runs = await Promise.all([accept(), accept()]);
    expect(runs.filter((run) => run !== null)).toHaveLength(1);
    const { rows } = await sql`
      select c.restore_generations, r.cause, r.state, r.generation from steward.org_connections c
        join steward.runs r on r.connection_id = c.id where c.organization_id = ${w.organizationId}`.execute(w.db);
    expect(rows).toEqual([{ restore_generations: ['2'], cause: 'restore_accepted', state: 'queued', generation: 3 }]);
    expect(await w.reconcile()).toMatchObject({ restored: 1 });
    expect(await w.kindsOf(id)).toEqual([zoom, 'physical']);
    expect(await accept()).toBeNull();
    const { rows: audit } =
      await sql`select action, actor from steward.audit_log where organization_id = ${w.organizationId}`.execute(w.db);
    expect(audit).toEqual([{ action: 'locations.restore_accepted', actor: 'operator:test' }]);
  });

  test('what a later disconnect takes is offered anew', async () => {
    const w = await createLocationWorld(database.db, adapter);
    const id = await w.addEventType({ host: await w.addMember(), locations: [online, room] });
    for (const restored of [1, 0]) {
      await w.setConnection({ state: 'disconnecting', cause: 'person' });
      await w.reconcile();
      await w.setConnection({ state: 'active' });
      if (restored) {
        await w.db
          .transaction()
          .execute((trx) => acceptRestore(trx, { organizationId: w.organizationId, actor: 'operator:test' }));
      }
      expect(await w.reconcile()).toMatchObject({ restored });
    }
    expect(await w.kindsOf(id)).toEqual(['physical']);
  });

  test("a member's own disconnect is offered to the member, and only theirs returns", async () => {
    const w = await createLocationWorld(database.db, adapter, 'none');
    const [ada, ben] = [await w.addMember({ personal: 'connected' }), await w.addMember({ personal: 'connected' })];
    const of = {
      ada: await w.addEventType({ host: ada, locations: [online, room] }),
      robin: await w.addEventType({ kind: 'round_robin', hosts: [ada], locations: [online] }),
      ben: await w.addEventType({ host: ben, locations: [online] }),
    };
    for (const id of [ada, ben]) await w.setPersonal(id, 'disconnected');
    expect(await w.reconcile()).toMatchObject({ removed: 3 });
    expect(await w.archivesOf(of.ada)).toMatchObject([{ cause: 'personal_disconnected', offered: true }]);
    for (const id of [ada, ben]) await w.setPersonal(id, 'connected');
    expect(await w.reconcile()).toMatchObject({ restored: 0 });
    const accept = () =>
      w.db
        .transaction()
        .execute((trx) =>
          acceptMemberRestore(trx, { organizationId: w.organizationId, memberId: ada, actor: `member:${ada}` }),
        );
    expect(await accept()).toBe(2);
    expect(await accept()).toBe(0);
    const { rows } = await sql<{
      job: string;
      payload: unknown;
    }>`select job, payload from steward.outbox where key = ${ada}`.execute(w.db);
    expect(rows).toEqual([{ job: 'reconcile-member', payload: { memberId: ada } }]);
    expect(await w.reconcile()).toMatchObject({ restored: 2 });
    expect(await w.kindsOf(of.ada)).toEqual([zoom, 'physical']);
    expect(await w.kindsOf(of.ben)).toEqual([]);
  });

  test('copies are deleted when their time is over, no sooner', async () => {
    const w = await createLocationWorld(database.db, adapter, 'disconnecting');
    const host = await w.addMember();
    const ids = [
      await w.addEventType({ host, locations: [online, online] }),
      await w.addEventType({ host, locations: [online] }),
    ];
    await w.reconcile();
    const prune = () => w.db.transaction().execute((trx) => pruneArchivedLocations(trx, { limit: 100 }));
    expect(await prune()).toBe(0);
    await sql`update steward.archived_locations set expires_at = steward.now() where event_type_id = ${ids[0]}`.execute(
      w.db,
    );
    expect(await prune()).toBe(2);
    expect(await w.archivesOf(ids[1] as string)).toHaveLength(1);
  });
});

test('an id that lives again elsewhere does not come back, and holds nobody up', async () => {
  const w = await createLocationWorld(database.db, 'rows');
  const host = await w.addMember();
  const [taken, fine] = [
    await w.addEventType({ host, locations: [online, room] }),
    await w.addEventType({ host, locations: [online] }),
  ];
  await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
  await w.reconcile();
  const other = await w.addEventType({ host, locations: [] });
  await sql`
    insert into steward_app.locations (id, event_type_id, organization_id, position, kind)
    select (content ->> 'id')::uuid, ${other}, ${w.organizationId}, 0, 'custom' from steward.archived_locations where event_type_id = ${taken}`.execute(
    w.db,
  );
  await w.setConnection({ state: 'active' });
  expect(await w.reconcile()).toMatchObject({ restored: 1 });
  expect(await w.kindsOf(taken)).toEqual(['physical']);
  expect(await w.kindsOf(fine)).toEqual([zoom]);
});

test("whole rows return: the main app's own columns, generated ones, a default for one added since, details that are JSON null", async () => {
  const w = await createLocationWorld(database.db, 'rows');
  await sql`alter table steward_app.locations add column label text, add column loud text generated always as (upper(label)) stored`.execute(
    w.db,
  );
  const id = await w.addEventType({ host: await w.addMember(), locations: [online, room] });
  await sql`update steward_app.locations set label = 'ours', details = 'null' where event_type_id = ${id} and kind = ${zoom}`.execute(
    w.db,
  );
  const print = async () =>
    (
      await sql<{ bytes: string }>`select row(id, position, details, label, loud, created_at)::text as bytes
    from steward_app.locations where event_type_id = ${id} order by position`.execute(w.db)
    ).rows;
  const before = await print();
  await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
  await w.reconcile();
  await sql`alter table steward_app.locations add column weight integer not null default 7`.execute(w.db);
  // Taken later in the same cascade: beside a copy that is older than the column, its own value of it is kept.
  const later = await w.addEventType({ host: await w.addMember(), locations: [online] });
  await sql`update steward_app.locations set weight = 9 where event_type_id = ${later}`.execute(w.db);
  await w.reconcile();
  await w.setConnection({ state: 'active' });
  expect(await w.reconcile()).toMatchObject({ restored: 2 });
  expect(await print()).toEqual(before);
  const { rows } = await sql`
    select event_type_id = ${later} as later, weight from steward_app.locations where event_type_id in (${id}, ${later}) group by 1, 2 order by 1`.execute(
    w.db,
  );
  expect(rows).toEqual([
    { later: false, weight: 7 },
    { later: true, weight: 9 },
  ]);
});

test('what comes back is the same whatever time zone and date style the sessions have', async () => {
  const w = await createLocationWorld(database.db, 'rows');
  const id = await w.addEventType({ host: await w.addMember(), locations: [room, online] });
  await sql`update steward_app.locations set created_at = '1999-12-31 23:59:59.123456+00', updated_at = 'infinity' where event_type_id = ${id}`.execute(
    w.db,
  );
  const before = (await w.locationsOf(id)).map(({ bytes }) => bytes);
  await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
  await sql
    .raw(`alter database "${new URL(database.url).pathname.slice(1)}" set timezone = 'Asia/Kathmandu'`)
    .execute(w.db);
  await sql.raw(`alter database "${new URL(database.url).pathname.slice(1)}" set datestyle = 'SQL, DMY'`).execute(w.db);
  const elsewhere = { ...w, db: database.another(1) };
  const { locationsChunk } = await import('../../../src/reconciliation/locations-apply.ts');
  const chunk = () =>
    elsewhere.db.transaction().execute((trx) =>
      locationsChunk(trx, {
        organizationId: w.organizationId,
        runId: id,
        adapter: 'rows',
        afterEventTypeId: null,
        limit: 10,
      }),
    );
  expect((await chunk()).counts).toMatchObject({ removed: 1 });
  await w.setConnection({ state: 'active' });
  expect(await w.reconcile()).toMatchObject({ restored: 1 });
  expect((await w.locationsOf(id)).map(({ bytes }) => bytes)).toEqual(before);
});
