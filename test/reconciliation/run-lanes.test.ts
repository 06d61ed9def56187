import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { startOrganizationRun } from '../../src/db/run-repository.ts';
import type { AdvanceOptions } from '../../src/reconciliation/advance-run.ts';
import { locationsChunk } from '../../src/reconciliation/locations-apply.ts';
import { getOrganizationFacts } from '../../src/reconciliation/organization-facts.ts';
import { reconcileMember } from '../../src/reconciliation/reconcile-member.ts';
import { phases } from '../../src/reconciliation/run-phases.ts';
import { getRun } from '../../src/reconciliation/run-record.ts';
import { createSecondLane, type SecondLane } from '../../src/reconciliation/second-lane.ts';
import { useDatabase } from '../support/database.ts';
import { untilSomebodyWaits } from './locations/hold.ts';
import { createLocationWorld, online } from './locations/location-world.ts';
import { type FilledOrganization, fillOrganization } from './support/fill-organization.ts';
import {
  changeConnection,
  eventsSince,
  lastEvent,
  oneChunk,
  playRun,
  reconcileAll,
  rowVersions,
  startRun,
  storedResults,
} from './support/play-runs.ts';

const database = useDatabase();

/** A second lane that counts what it began; `dead` ones fail at once. */
function countingLane(
  before: () => Promise<void> = async () => {},
): SecondLane & { begun: number; ended: number; failures: unknown[] } {
  const failures: unknown[] = [];
  const lane = createSecondLane(database.another(1), (error) => failures.push(error));
  const counting = {
    begun: 0,
    ended: 0,
    failures,
    tryWork(work: Parameters<SecondLane['tryWork']>[0]) {
      return lane.tryWork(async (trx) => {
        counting.begun++;
        await before();
        await work(trx);
        counting.ended++;
      });
    },
  };
  return counting;
}

// The second lane stops before it writes where it stands, while the gate is closed. Not at a lock: that it does not wait for long.
beforeAll(async () => {
  await sql`create table gate (closed boolean not null, waits boolean not null)`.execute(database.db);
  await sql`insert into gate values (false, false)`.execute(database.db);
  await sql`
    create function gate() returns trigger language plpgsql as $$ begin
      while (select closed from gate) loop perform pg_sleep(0.005); end loop;
      return new;
    end $$`.execute(database.db);
  await sql`
    create trigger gate before update on steward.run_lanes for each row when (new.cursor <> old.cursor) execute function gate()`.execute(
    database.db,
  );
});
const setGate = (closed: boolean) => sql`update gate set closed = ${closed}`.execute(database.db);

/** Backends of this database by what of an organization's locks they hold, or wait for. */
async function holders(
  organizationId: string,
): Promise<{ what: string; pid: number; granted: boolean; mode: string }[]> {
  const { rows } = await sql<{ what: string; pid: number; granted: boolean; mode: string }>`
    select what, l.pid, l.granted, l.mode
      from unnest(array['org', 'lane']) what join pg_locks l on l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
       and (l.classid::bigint << 32) + l.objid::bigint = hashtextextended(what || ':' || ${organizationId}::uuid, 0)`.execute(
    database.db,
  );
  return rows;
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Not within 10 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

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

const large = 80;
const small = { chunkSize: 8, sliceMs: 60_000 } satisfies AdvanceOptions;
const lanes = async ({ organizationId }: { readonly organizationId: string }) =>
  (
    await sql`
      select lane.* from steward.run_lanes lane join steward.runs run on run.id = lane.run_id
       where run.organization_id = ${organizationId}`.execute(database.db)
  ).rows;

/** Facts and results of everybody, by number; when an address was first known, and when a result changed, aside. */
async function contents(db: Database, { organizationId }: FilledOrganization): Promise<unknown[]> {
  const { rows } = await sql`
    select split_part(m.email, '@', 1)::integer as number, f.active, f.in_rollout, f.opted_out, f.personal, f.match, f.zoom_status, f.zoom_type,
           r.effective, r.reason, r.hosting, r.basic_plan, r.shared_host
      from steward_app.members m
      left join steward.member_facts f on f.organization_id = m.organization_id and f.member_id = m.id
      left join steward.member_connections r on r.organization_id = m.organization_id and r.member_id = m.id
     where m.organization_id = ${organizationId} order by 1`.execute(db);
  return rows;
}

test('a large organization on two lanes comes to what it comes to on one: rows, counts, progress and what is told', async () => {
  const { db } = database;
  const [one, two] = [await fillOrganization(db, large), await fillOrganization(db, large)];
  const seen: unknown[][] = [[], []];
  const lane = countingLane();
  for (const [at, org, options] of [
    [0, one, small],
    [1, two, { ...small, secondLane: lane }],
  ] as const) {
    const acts = ['first', 'interrupted', 'disconnecting'] as const;
    for (const act of acts) {
      const since = await lastEvent(db);
      const run = act === 'first' ? await startRun(db, org) : await changeConnection(db, org, { state: act });
      const { state, counts, progress } = await playRun(db, run, options);
      const told = (await eventsSince(db, org.organizationId, since)).map(({ type, data }) => ({
        type,
        data: { ...data, runId: null },
      }));
      const done = Object.fromEntries(
        Object.entries(progress).map(([phase, { done, total }]) => [phase, { done, total }]),
      );
      seen[at]?.push({ act, state, counts, done, told, rows: await contents(db, org) });
    }
    expect(await lanes(org)).toEqual([]);
  }
  expect(seen[1]).toEqual(seen[0]);
  // Ten chunks a pass: one until it is split, then two at once.
  expect(lane.ended).toBeGreaterThan(12);
  expect(lane.ended).toBe(lane.begun);
});

test('what a second lane wrote where it had nobody to look at is counted once', async () => {
  const { db } = database;
  const org = await fillOrganization(db, large);
  // Of people who left, behind everybody.
  await sql`
    insert into steward.member_facts (organization_id, member_id, active, in_rollout, opted_out, personal, match)
    select ${org.organizationId}, ('ffffffff-ffff-4fff-bfff-fffffffffff' || i)::uuid, true, true, false, 'none', 'none'
      from generate_series(1, 3) i`.execute(db);
  const run = await startRun(db, org);
  const options = { ...small, secondLane: countingLane() };
  await oneChunk(db, run, options);
  // All members of the second lane go before it begins.
  const { rows } = await sql<{ id: string }>`
    delete from steward_app.members m using steward.run_lanes lane
     where lane.run_id = ${run} and m.organization_id = ${org.organizationId} and m.id > lane.pivot returning m.id`.execute(
    db,
  );
  expect(rows).toHaveLength(35);
  expect(await playRun(db, run, options)).toMatchObject({
    state: 'done',
    counts: { 'facts.written': 45, 'facts.deleted': 3, 'members.written': 45 },
    progress: { facts: { done: 45 } },
  });
});

test('an organization of less than five chunks is not split', async () => {
  const lane = countingLane();
  const org = await fillOrganization(database.db, 36);
  await reconcileAll(database.db, org, { ...small, secondLane: lane });
  expect(lane.begun).toBe(0);
});

test('sizes of both lanes follow what their chunks cost; the size of one that failed is not tried again', async () => {
  const org = await fillOrganization(database.db, large);
  const run = await startRun(database.db, org);
  const options = { chunkSize: 4, chunkMs: 10_000, secondLane: countingLane() };
  for (let chunk = 0; chunk < 3; chunk++) await oneChunk(database.db, run, options);
  const { progress } = await getRun(database.db, run);
  // 4, then 6 and 6, then 9 and 9.
  expect(progress).toMatchObject({ facts: { done: 34, total: large, chunk: 14, split: true } });
  expect(await lanes(org)).toMatchObject([
    { run_id: run, phase: 'facts', chunk: 14, looked: 0, counts: {}, ended: false },
  ]);
  const failing = countingLane(async () => {
    throw new Error('canceling statement due to statement timeout');
  });
  await oneChunk(database.db, run, { ...options, secondLane: failing });
  expect(failing.begun).toBe(1);
  expect(await lanes(org)).toMatchObject([{ chunk: null }]);
  expect(await playRun(database.db, run, options)).toMatchObject({ counts: { 'facts.written': large } });
});

test('under pressure, and where the connection is taken or cannot be had, one lane goes on alone', async () => {
  const { db } = database;
  const org = await fillOrganization(db, large);
  const lane = countingLane();
  const run = await startRun(db, org);
  await oneChunk(db, run, { ...small, secondLane: lane });
  expect(await lanes(org)).toHaveLength(1);
  const holder = await database.another(1).startTransaction().execute();
  await sql`select pg_advisory_xact_lock(4711)`.execute(holder);
  const waiter = sql`select pg_advisory_lock(4711), pg_advisory_unlock(4711)`.execute(database.another(1));
  await until(async () => {
    const { rows } = await sql`
      select from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database() where not granted`.execute(
      db,
    );
    return rows.length > 0;
  });
  const pressure = { replicaLagMs: 1e9, lockWaitMs: 0 };
  expect(await oneChunk(db, run, { ...small, secondLane: lane, pressure })).toMatchObject({
    slowed: expect.stringContaining('lock'),
  });
  await holder.commit().execute();
  await waiter;
  await oneChunk(db, run, { ...small, secondLane: { tryWork: () => null } });
  expect(lane.begun).toBe(0);
  const failing = countingLane(async () => {
    throw new Error('no connection');
  });
  expect(await playRun(db, run, { ...small, secondLane: failing })).toMatchObject({
    state: 'done',
    counts: { 'facts.written': large, 'members.written': large },
    progress: { facts: { done: large } },
  });
  // Once, and not again for a while.
  expect(failing.begun).toBe(1);
  expect(failing.failures).toEqual([new Error('no connection')]);
  expect(await lanes(org)).toEqual([]);
});

test('who takes over a run that is split, without a second lane, goes on where the second stood', async () => {
  const { db } = database;
  const org = await fillOrganization(db, large);
  const run = await startRun(db, org);
  for (let chunk = 0; chunk < 4; chunk++) await oneChunk(db, run, { ...small, secondLane: countingLane() });
  expect(await getRun(db, run)).toMatchObject({ progress: { facts: { done: 56, split: true } } });
  expect(await playRun(db, run, small)).toMatchObject({
    state: 'done',
    counts: { 'facts.written': large, 'members.written': large },
    progress: { facts: { done: large } },
  });
});

/** Two lanes at work, the second amid its chunk: it has written its rows and not yet its cursor. */
async function amid(options: AdvanceOptions = {}) {
  const { db } = database;
  const org = await fillOrganization(db, large);
  const run = await startRun(db, org);
  await oneChunk(db, run, { ...small, secondLane: countingLane() });
  await oneChunk(db, run, { ...small, secondLane: countingLane() });
  await setGate(true);
  const lane = countingLane();
  const chunk = oneChunk(database.another(2), run, { ...small, secondLane: lane, ...options });
  chunk.catch(() => {});
  const held = async (what: string) =>
    (await holders(org.organizationId)).find((lock) => lock.what === what && lock.granted)?.pid;
  await until(async () => lane.begun === 1 && (await held('lane')) !== undefined);
  const kill = async (what: string) => {
    const { rows } = await sql`select pg_terminate_backend(${await held(what)}::integer)`.execute(db);
    return rows;
  };
  const finish = async () => {
    expect(await playRun(db, run, { ...small, secondLane: countingLane() })).toMatchObject({
      state: 'done',
      counts: { 'facts.written': large, 'members.written': large },
      progress: { facts: { done: large, total: large } },
    });
    expect(await lanes(org)).toEqual([]);
    expect(await reconcileAll(db, org, small)).toMatchObject({ counts: {} });
  };
  return { db, org, run, chunk, lane, kill, finish };
}

test('the second lane dies: the first commits its chunk, and the other half is still to do', async () => {
  const { db, run, chunk, lane, kill, finish } = await amid();
  await kill('lane');
  await setGate(false);
  expect((await chunk).state).toBe('more');
  expect(lane.ended).toBe(0);
  expect(await getRun(db, run)).toMatchObject({ progress: { facts: { done: 32, split: true } } });
  await finish();
});

test('the first lane dies: everybody waits until the second is over, and what that wrote is counted once', async () => {
  const { db, org, run, chunk, kill, finish } = await amid({ leaseMs: 1 });
  const failed = expect(chunk).rejects.toThrow();
  await kill('org');
  // Its lease is over: another worker takes the run, and a look at a member comes as well.
  const heir = oneChunk(database.another(2), run, { ...small, secondLane: countingLane() });
  const waiting = async (what: string) =>
    (await holders(org.organizationId)).filter((lock) => lock.what === what && !lock.granted).length;
  await until(async () => (await waiting('lane')) === 1);
  // Of somebody whom the run has been at: there is nothing to write.
  const { member_id } = await db
    .selectFrom('steward.member_facts')
    .select('member_id')
    .where('organization_id', '=', org.organizationId)
    .executeTakeFirstOrThrow();
  const look = reconcileMember(database.another(1), member_id, { cause: 'member_changed', actor: 'app' });
  await until(async () => (await waiting('org')) === 1);
  await setGate(false);
  await failed;
  expect((await heir).state).toBe('more');
  expect(await look).toMatchObject({ state: 'unchanged' });
  // Eight by the dead one's second lane, and eight by each of the heir's.
  expect(await getRun(db, run)).toMatchObject({ progress: { facts: { done: 24 + 8 + 16 } } });
  await finish();
});

test('both die, as with the process or the server: both chunks are lost and no other', async () => {
  const { db, org, run, chunk, kill, finish } = await amid({ leaseMs: 1 });
  const before = await rowVersions(db, org.organizationId);
  const failed = expect(chunk).rejects.toThrow();
  await kill('org');
  await kill('lane');
  await setGate(false);
  await failed;
  expect(await rowVersions(db, org.organizationId)).toEqual(before);
  expect(await getRun(db, run)).toMatchObject({ progress: { facts: { done: 24 } } });
  await finish();
});

test('a second lane that begins after its lease is lost, writing is paused, its generation moved or its phase over writes nothing', async () => {
  const { db } = database;
  const org = await fillOrganization(db, large);
  const run = await startRun(db, org);
  const start = () => oneChunk(db, run, { ...small, secondLane: countingLane() });
  await start();
  const after: (() => Promise<unknown>)[] = [
    // The lease is over, and somebody else has the run.
    () => oneChunk(db, run, small),
    () =>
      sql`insert into steward.switches (name, reason, actor, since) values ('pause_writes', 'test', 'operator:x', now())`.execute(
        db,
      ),
    () =>
      sql`update steward.org_connections set generation = generation + 1 where id = ${org.connectionId}`.execute(db),
  ];
  for (const act of after) {
    const go = Promise.withResolvers<void>();
    const lane = countingLane(() => go.promise);
    const worker = database.another(2);
    const chunk = oneChunk(worker, run, { ...small, leaseMs: 1, secondLane: lane });
    const failed = expect(chunk).rejects.toThrow();
    await until(async () => lane.begun === 1 && (await holders(org.organizationId)).some(({ what }) => what === 'org'));
    const first = (await holders(org.organizationId)).find(({ what }) => what === 'org')?.pid;
    await sql`select pg_terminate_backend(${first}::integer)`.execute(db);
    await until(async () => (await holders(org.organizationId)).length === 0);
    await act();
    const before = [await rowVersions(db, org.organizationId), await lanes(org)];
    go.resolve();
    await failed;
    expect(lane.ended).toBe(1);
    expect([await rowVersions(db, org.organizationId), await lanes(org)]).toEqual(before);
    await db.deleteFrom('steward.switches').execute();
  }
  expect((await start()).state).toBe('superseded');
  expect(await lanes(org)).toEqual([]);
});

test('whoever raises the generation waits for the second lane too; what that did is counted to the run that ended', async () => {
  const { db, org, run, chunk, kill } = await amid({ leaseMs: 1 });
  const failed = expect(chunk).rejects.toThrow();
  await kill('org');
  const successor = changeConnection(database.another(1), org, { state: 'interrupted' });
  await until(async () => {
    const { rows } = await sql`
      select from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and query like '%update steward.org_connections%'`.execute(
      db,
    );
    return rows.length === 1;
  });
  await setGate(false);
  await failed;
  const next = await successor;
  expect(await getRun(db, run)).toMatchObject({ state: 'superseded', counts: { 'facts.written': 32 } });
  expect(await lanes(org)).toEqual([]);
  expect(await playRun(db, next, { ...small, secondLane: countingLane() })).toMatchObject({ state: 'done' });
  expect(await storedResults(db, org.organizationId)).toEqual({
    'organization/interrupted': 72,
    'personal/can_host': 8,
  });
});

test.each(['rows', 'json'] as const)(
  '%s: an edit that holds an event type of the second lane and wants one of the first does not stand for long',
  async (adapter) => {
    const w = await createLocationWorld(database.db, adapter);
    const host = await w.addMember();
    const ids: string[] = [];
    for (let i = 0; i < 30; i++) ids.push(await w.addEventType({ host, locations: [online] }));
    ids.sort();
    const { rows } = await sql<{ id: string }>`
      update steward.org_connections set state = 'disconnecting', generation = generation + 1, disconnected_at = now(), disconnect_cause = 'person'
       where organization_id = ${w.organizationId} returning id`.execute(w.db);
    const run = await w.db
      .transaction()
      .execute((trx) =>
        startOrganizationRun(trx, { connectionId: rows[0]?.id as string, cause: 'disconnect', actor: 'app' }),
      );
    const options = { chunkSize: 4, sliceMs: 0, adapter };
    // Begins once the first lane has what the edit will want: else the edit could have it first, and stand in nobody's way.
    const lane = countingLane(() =>
      until(async () => {
        const { rows: free } = await sql`
          select from steward_app.event_types where id = ${ids[5]} for share skip locked`.execute(w.db);
        return free.length === 0;
      }),
    );
    // Until the locations are split: the first lane has taken four, and the pivot is the 18th.
    for (;;) {
      await oneChunk(w.db, run, { ...options, secondLane: { tryWork: () => null } });
      const at = await getRun(w.db, run);
      if (at.phase === 'locations' && at.progress.locations?.split) break;
    }
    const edit = await database.another(1).startTransaction().execute();
    const touch = (id: string | undefined) =>
      sql`update steward_app.event_types set title = 'Edited' where id = ${id}`.execute(edit);
    await touch(ids[18]);
    const chunk = oneChunk(database.another(2), run, { ...options, secondLane: lane });
    await untilSomebodyWaits(w.db);
    await touch(ids[5]);
    await edit.commit().execute();
    expect((await chunk).state).toBe('more');
    expect(lane).toMatchObject({ begun: 1, ended: 0 });
    const other = countingLane();
    expect(await playRun(w.db, run, { ...options, secondLane: other })).toMatchObject({
      state: 'done',
      counts: { 'locations.removed': 30, 'locations.removedEventTypes': 30 },
    });
    expect(other.ended).toBeGreaterThan(1);
    expect(await Promise.all(ids.map((id) => w.kindsOf(id)))).toEqual(ids.map(() => []));
  },
);
