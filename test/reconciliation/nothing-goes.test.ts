import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { advanceRun } from '../../src/reconciliation/advance-run.ts';
import { zoomMayGo } from '../../src/reconciliation/locations-apply.ts';
import { getRun } from '../../src/reconciliation/run-record.ts';
import { useDatabase } from '../support/database.ts';
import { type FilledOrganization, fillOrganization, memberOf } from './support/fill-organization.ts';
import { changeConnection, playRun, reconcileAll, startRun } from './support/play-runs.ts';

const database = useDatabase();

/** An organization whose members have one event type with Zoom and a room each, and round robins beside them. */
async function served(): Promise<FilledOrganization> {
  const org = await fillOrganization(database.db, 10);
  await sql`
    insert into steward_app.event_types (id, organization_id, kind, host_member_id, title)
    select gen_random_uuid(), organization_id, 'solo', id, 'Call' from steward_app.members where organization_id = ${org.organizationId}`.execute(
    database.db,
  );
  const robin = randomUUID();
  await sql`insert into steward_app.event_types (id, organization_id, kind, title) values (${robin}, ${org.organizationId}, 'round_robin', 'Support')`.execute(
    database.db,
  );
  await sql`insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id) values (${robin}, ${await memberOf(database.db, org, 1)}, ${org.organizationId})`.execute(
    database.db,
  );
  await sql`
    insert into steward_app.locations (id, event_type_id, organization_id, position, kind)
    select gen_random_uuid(), e.id, e.organization_id, p.position, p.kind
      from steward_app.event_types e cross join (values (0, 'zoom_conference'), (1, 'physical')) p (position, kind)
     where e.organization_id = ${org.organizationId}`.execute(database.db);
  return org;
}

/** The run, and what its phase of the locations looked at. */
async function looked(run: string) {
  await playRun(database.db, run);
  const { counts, progress } = await getRun(database.db, run);
  return { counts, ...progress.locations };
}

test('where nothing could be taken, no event type with Zoom is looked at', async () => {
  const org = await served();
  for (const state of ['active', 'interrupted', 'active'])
    expect(await looked(await changeConnection(database.db, org, { state }))).toMatchObject({
      nothingGoes: true,
      done: 0,
    });
});

test.each<[string, (org: FilledOrganization, memberId: string) => Promise<unknown>, number]>([
  [
    'is deactivated',
    (_, id) => sql`update steward_app.members set active = false where id = ${id}`.execute(database.db),
    2,
  ],
  ['is gone', (_, id) => sql`delete from steward_app.members where id = ${id}`.execute(database.db), 2],
  [
    'moved away',
    (_, id) =>
      sql`update steward_app.members set organization_id = gen_random_uuid() where id = ${id}`.execute(database.db),
    2,
  ],
  [
    'serves nothing but a round robin, and is gone',
    async (_, id) => {
      await sql`delete from steward_app.event_types where host_member_id = ${id}`.execute(database.db);
      await sql`delete from steward_app.members where id = ${id}`.execute(database.db);
    },
    1,
  ],
])('one member who %s, and nobody said so, is enough to look at all', async (_what, happens, removed) => {
  const org = await served();
  await reconcileAll(database.db, org);
  await happens(org, await memberOf(database.db, org, 1));
  const done = await looked(await startRun(database.db, org, 'schedule'));
  expect(done.nothingGoes).toBeUndefined();
  expect(done.counts).toMatchObject({ 'locations.removedEventTypes': removed });
});

test('of a run that stands, who left unannounced is left to the next that looks at facts', async () => {
  const org = await served();
  await reconcileAll(database.db, org);
  await sql`delete from steward_app.members where id = ${await memberOf(database.db, org, 1)}`.execute(database.db);
  for (const state of ['interrupted', 'active'])
    expect(await looked(await changeConnection(database.db, org, { state }, 'facts'))).toMatchObject({
      nothingGoes: true,
      done: 0,
    });
  expect(await looked(await startRun(database.db, org, 'schedule'))).toMatchObject({
    counts: { 'locations.removedEventTypes': 2 },
  });
});

test('a run that stands on one that was superseded before it had taken anything takes it', async () => {
  const org = await served();
  await reconcileAll(database.db, org);
  await sql`delete from steward_app.members where id = ${await memberOf(database.db, org, 1)}`.execute(database.db);
  const begun = await startRun(database.db, org, 'schedule');
  while ((await getRun(database.db, begun)).phase !== 'locations')
    await advanceRun(database.db, begun, { sliceMs: 0, chunkSize: 100 });
  const done = await looked(await changeConnection(database.db, org, { state: 'interrupted' }, 'facts'));
  expect(done.nothingGoes).toBeUndefined();
  expect(done.counts).toMatchObject({ 'locations.removedEventTypes': 2 });
  // It did, and what follows has nothing to ask.
  expect(await looked(await changeConnection(database.db, org, { state: 'active' }, 'facts'))).toMatchObject({
    nothingGoes: true,
  });
});

test('a cascade takes what it takes; afterwards only copies are looked at, and they return', async () => {
  const org = await served();
  await reconcileAll(database.db, org);
  const cascade = await looked(await changeConnection(database.db, org, { state: 'disconnecting' }));
  expect(cascade.counts).toMatchObject({ 'locations.removedEventTypes': 10 });
  expect(await zoomMayGo(database.db, org.organizationId)).toBe(true);
  await sql`update steward.archived_locations set offered = false where organization_id = ${org.organizationId}`.execute(
    database.db,
  );
  const returned = await looked(await changeConnection(database.db, org, { state: 'active' }));
  expect(returned).toMatchObject({ nothingGoes: true, counts: { 'locations.restoredEventTypes': 9 } });
});

test('who decides between two chunks is not overlooked by the run that follows', async () => {
  const org = await served();
  await reconcileAll(database.db, org);
  const run = await startRun(database.db, org, 'schedule');
  for (let slice = await advanceRun(database.db, run, { sliceMs: 0 }); slice.state === 'more'; ) {
    const { phase } = await getRun(database.db, run);
    if (phase === 'locations')
      await sql`update steward_app.members set active = false where id = ${await memberOf(database.db, org, 2)}`.execute(
        database.db,
      );
    slice = await advanceRun(database.db, run, { sliceMs: 0 });
  }
  expect(await looked(await startRun(database.db, org, 'schedule'))).toMatchObject({
    counts: { 'locations.removedEventTypes': 1 },
  });
});

/** What a cascade took, and everybody's facts as a run of today's connection has stored them; the run stands before its locations. */
async function aboutToReturn() {
  const org = await served();
  await reconcileAll(database.db, org);
  await playRun(database.db, await changeConnection(database.db, org, { state: 'disconnecting' }));
  await sql`update steward.archived_locations set offered = false where organization_id = ${org.organizationId}`.execute(
    database.db,
  );
  const run = await changeConnection(database.db, org, { state: 'active' });
  while ((await getRun(database.db, run)).phase !== 'locations')
    await advanceRun(database.db, run, { sliceMs: 0, chunkSize: 100 });
  return { org, run };
}

// Nine event types return, the round robin of member 1 among them; the ninth member has no Zoom user.
test.each<[string, number, number, number, (org: FilledOrganization, id: string) => Promise<unknown>]>([
  // What a person decided is seen at once, in both directions, also where nobody announced it.
  [
    'is deactivated',
    1,
    7,
    0,
    (_, id) => sql`update steward_app.members set active = false where id = ${id}`.execute(database.db),
  ],
  [
    'left, whose facts are still stored',
    1,
    7,
    0,
    (_, id) => sql`delete from steward_app.members where id = ${id}`.execute(database.db),
  ],
  [
    'connected a Zoom of their own',
    9,
    10,
    0,
    ({ organizationId }, id) =>
      sql`insert into steward_app.personal_connections (member_id, organization_id, state) values (${id}, ${organizationId}, 'connected')`.execute(
        database.db,
      ),
  ],
  // The directory is the worker's own: a change of it has a run of its own, which finds what this one did not.
  [
    'got a Zoom user, of which the run that follows will hear',
    9,
    9,
    1,
    ({ account }) =>
      sql`insert into steward.directory_users (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
          values (${account}, 'nine', 'nine', '9@' || ${account} || '.test', 'active', 2, steward.now())`.execute(
        database.db,
      ),
  ],
  [
    'lost the licence, of which the run that follows will hear',
    2,
    9,
    0,
    ({ account }) =>
      sql`update steward.directory_users set user_type = 4 where zoom_account_id = ${account} and user_key = ${account} || ':2'`.execute(
        database.db,
      ),
  ],
  // Nobody looked at them yet.
  [
    'is not stored',
    2,
    9,
    0,
    ({ organizationId }, id) =>
      sql`delete from steward.member_facts where organization_id = ${organizationId} and member_id = ${id}`.execute(
        database.db,
      ),
  ],
  [
    'is not stored, and cannot host',
    9,
    9,
    0,
    ({ organizationId }, id) =>
      sql`delete from steward.member_facts where organization_id = ${organizationId} and member_id = ${id}`.execute(
        database.db,
      ),
  ],
])('between facts and locations somebody %s', async (_what, number, returned, later, happens) => {
  const { org, run } = await aboutToReturn();
  await happens(org, await memberOf(database.db, org, number));
  expect((await looked(run)).counts).toMatchObject({ 'locations.restoredEventTypes': returned });
  const next = (await looked(await startRun(database.db, org, 'directory_changed'))).counts;
  expect(next['locations.restoredEventTypes'] ?? 0).toBe(later);
  // Nothing that came back goes again, but what somebody decided.
  expect(next['locations.removedEventTypes'] ?? 0).toBe(0);
});
