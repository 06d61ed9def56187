import { sql, type Transaction } from 'kysely';
import { expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import type { DB } from '../../src/db/schema.ts';
import { lockOrganization, shareOrganization } from '../../src/reconciliation/locks.ts';
import { reconcileMember } from '../../src/reconciliation/reconcile-member.ts';
import { getRun } from '../../src/reconciliation/run-record.ts';
import { useDatabase } from '../support/database.ts';
import { type FilledOrganization, fillOrganization, memberOf } from './support/fill-organization.ts';
import {
  changeConnection,
  oneChunk,
  playRun,
  reconcileAll,
  rowVersions,
  startRun,
  storedResults,
} from './support/play-runs.ts';

const database = useDatabase();
const fresh = (members = 20) => fillOrganization(database.db, members);
const why = { cause: 'member_changed', actor: 'app' } as const;

/** A transaction that somebody else holds open. */
async function holding(
  db: Database,
  take: (trx: Transaction<DB>) => Promise<unknown>,
): Promise<{ commit(): Promise<void> }> {
  const trx = await db.startTransaction().execute();
  await take(trx);
  return { commit: () => trx.commit().execute() };
}

/** Makes every chunk wait after it wrote its rows and before it writes its cursor, until the gate opens. */
async function closeGate(): Promise<{ open(): Promise<void> }> {
  const gate = 4711;
  await sql`
    create or replace function gate() returns trigger language plpgsql as $$ begin
      if (new.cursor, new.phase) is distinct from (old.cursor, old.phase) then perform pg_advisory_xact_lock_shared(${sql.lit(gate)}); end if;
      return new;
    end $$`.execute(database.db);
  await sql`create or replace trigger gate before update on steward.runs for each row execute function gate()`.execute(
    database.db,
  );
  const closed = await holding(database.another(), (trx) => sql`select pg_advisory_xact_lock(${gate})`.execute(trx));
  return {
    async open() {
      await closed.commit();
    },
  };
}

/** Waits until so many backends of this database wait for a lock. */
async function waiters(count: number): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
      database.db,
    );
    if ((rows[0]?.n ?? 0) >= count) return;
  }
}

const stored = async ({ organizationId }: FilledOrganization, memberId: string) =>
  database.db
    .selectFrom('steward.member_connections')
    .select(['effective', 'reason', 'run_id'])
    .where('organization_id', '=', organizationId)
    .where('member_id', '=', memberId)
    .executeTakeFirst();

const connectPersonally = (db: Database, { organizationId }: FilledOrganization, memberId: string) =>
  sql`insert into steward_app.personal_connections (member_id, organization_id, state) values (${memberId}, ${organizationId}, 'connected')`.execute(
    db,
  );

test('a chunk that waited sees what was committed while it waited: the older picture does not win', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const run = await startRun(database.db, org);
  const member = await memberOf(database.db, org, 1);
  const other = await holding(database.another(), (trx) => shareOrganization(trx, org.organizationId));
  const chunk = playRun(database.another(), run);
  await waiters(1);
  // Facts commit, then their look, all while the chunk has begun and waits.
  await connectPersonally(database.db, org, member);
  await other.commit();
  expect(await chunk).toMatchObject({ counts: { 'members.toPersonal': 1 } });
  expect(await stored(org, member)).toMatchObject({ effective: 'personal' });
});

test('a look at a member that waited for a chunk does not bring an older picture either', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  const member = await memberOf(database.db, org, 1);
  const chunk = await holding(database.another(), (trx) => lockOrganization(trx, org.organizationId));
  const look = reconcileMember(database.another(), member, why);
  await waiters(1);
  await connectPersonally(database.db, org, member);
  await chunk.commit();
  expect(await look).toMatchObject({ state: 'written' });
  expect(await stored(org, member)).toMatchObject({ effective: 'personal' });
});

test('two looks at the same member, one after the other however they come', async () => {
  const org = await fresh();
  const member = await memberOf(database.db, org, 1);
  const looks = await Promise.all(Array.from({ length: 6 }, () => reconcileMember(database.db, member, why)));
  expect(looks.map(({ state }) => state).sort()).toEqual([
    'unchanged',
    'unchanged',
    'unchanged',
    'unchanged',
    'unchanged',
    'written',
  ]);
});

test('looks at people with one address at once, in any order: no deadlock, and all are ambiguous', async () => {
  const org = await fresh();
  await reconcileAll(database.db, org);
  await sql`update steward_app.members set email = 'same@x.test' where organization_id = ${org.organizationId}`.execute(
    database.db,
  );
  const { rows } = await sql<{
    id: string;
  }>`select id from steward_app.members where organization_id = ${org.organizationId} order by random()`.execute(
    database.db,
  );
  await Promise.all(rows.map(({ id }) => reconcileMember(database.db, id, why)));
  const { rows: facts } = await sql<{ key: string; n: number }>`
    select address_key as key, count(*) as n from steward.member_facts where organization_id = ${org.organizationId} group by 1`.execute(
    database.db,
  );
  expect(facts).toEqual([{ key: 'same@x.test', n: 20 }]);
});

test('the generation moved while the run was under way: it writes nothing more, its successor finishes', async () => {
  const org = await fresh();
  const run = await startRun(database.db, org);
  await oneChunk(database.db, run, { chunkSize: 8 });
  const before = await rowVersions(database.db, org.organizationId);
  const successor = await changeConnection(database.db, org, { state: 'interrupted' });
  expect(await playRun(database.db, run, { chunkSize: 8 })).toMatchObject({ state: 'superseded' });
  expect(await rowVersions(database.db, org.organizationId)).toEqual(before);
  expect(await playRun(database.db, successor, { chunkSize: 8 })).toMatchObject({ state: 'done' });
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    'organization/interrupted': 18,
    'personal/can_host': 2,
  });
});

test('the generation moved without a word to the run: its next chunk sees it all the same', async () => {
  const org = await fresh();
  const run = await startRun(database.db, org);
  await oneChunk(database.db, run, { chunkSize: 8 });
  const before = await rowVersions(database.db, org.organizationId);
  await sql`update steward.org_connections set generation = generation + 1 where id = ${org.connectionId}`.execute(
    database.db,
  );
  expect(await playRun(database.db, run, { chunkSize: 8 })).toMatchObject({ state: 'superseded' });
  expect((await getRun(database.db, run)).state).toBe('superseded');
  expect(await rowVersions(database.db, org.organizationId)).toEqual(before);
});

test('whoever raises the generation waits for the chunk at work, and the other way round, without a deadlock', async () => {
  const org = await fresh(60);
  const run = await startRun(database.db, org);
  const act = (async () => {
    for (const state of ['interrupted', 'active', 'interrupted', 'active'])
      await changeConnection(database.another(2), org, { state });
  })();
  const slices: string[] = [];
  for (
    let slice = await oneChunk(database.db, run, { chunkSize: 2 });
    slice.state === 'more';
    slice = await oneChunk(database.db, run, { chunkSize: 2 })
  ) {
    slices.push(slice.state);
  }
  await act;
  const { rows } = await sql<{
    id: string;
  }>`select id from steward.runs where organization_id = ${org.organizationId} and state = 'queued'`.execute(
    database.db,
  );
  expect(rows).toHaveLength(1);
  expect(await playRun(database.db, rows[0]?.id as string)).toMatchObject({ state: 'done' });
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    'organization/can_host': 48,
    'organization/no_zoom_user': 6,
    'personal/can_host': 6,
  });
});

test('two workers on one run: one holds it, the other is sent away, every member is written once', async () => {
  const org = await fresh(80);
  const run = await startRun(database.db, org);
  const others = [database.another(), database.another(), database.another()];
  const states = await Promise.all(
    others.map(async (db) => {
      const seen = new Set<string>();
      for (let state = 'more'; state !== 'done'; ) {
        ({ state } = await oneChunk(db, run, { chunkSize: 7 }));
        seen.add(state);
      }
      return seen;
    }),
  );
  expect(states.some((seen) => seen.has('busy'))).toBe(true);
  expect((await getRun(database.db, run)).counts).toMatchObject({ 'facts.written': 80, 'members.written': 80 });
});

test('a worker that lost its lease while it slept writes nothing', async () => {
  const org = await fresh();
  const run = await startRun(database.db, org);
  const stop = await holding(database.another(), (trx) => lockOrganization(trx, org.organizationId));
  const sleeper = oneChunk(database.another(), run, { chunkSize: 8, leaseMs: 1 });
  await waiters(1);
  // Its lease is over; another one takes the run and waits for the same lock.
  const heir = oneChunk(database.another(), run, { chunkSize: 8 });
  await waiters(2);
  await stop.commit();
  expect((await sleeper).state).toBe('busy');
  expect((await heir).state).toBe('more');
  expect(await getRun(database.db, run)).toMatchObject({
    counts: { 'facts.written': 8 },
    progress: { facts: { done: 8 } },
  });
});

test('until a chunk has committed nobody raises the generation under it', async () => {
  const org = await fresh();
  const run = await startRun(database.db, org);
  const gate = await closeGate();
  const chunk = oneChunk(database.another(), run, { chunkSize: 8 });
  await waiters(1);
  // Even somebody who says nothing to the run: the fence is the connection's row.
  const act =
    sql`update steward.org_connections set generation = generation + 1 where id = ${org.connectionId}`.execute(
      database.another(),
    );
  await waiters(2);
  await gate.open();
  expect((await chunk).state).toBe('more');
  await act;
  expect(await playRun(database.db, run)).toMatchObject({ state: 'superseded' });
});

test('a worker that dies inside a chunk loses that chunk and no other; the next one goes on at the cursor', async () => {
  const org = await fresh();
  const run = await startRun(database.db, org);
  await oneChunk(database.db, run, { chunkSize: 8 });
  const standing = await getRun(database.db, run);
  const before = await rowVersions(database.db, org.organizationId);

  // It has written the facts of its chunk and stands before the cursor when its connection is cut.
  const gate = await closeGate();
  const chunk = oneChunk(database.another(2), run, { chunkSize: 8, leaseMs: 50 });
  const failed = expect(chunk).rejects.toThrow(/terminat/);
  await waiters(1);
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
    database.db,
  );
  await failed;
  await gate.open();

  expect(await rowVersions(database.db, org.organizationId)).toEqual(before);
  expect(await getRun(database.db, run)).toMatchObject({
    cursor: standing.cursor,
    counts: standing.counts,
    progress: standing.progress,
  });
  expect(await playRun(database.db, run, { chunkSize: 8 })).toMatchObject({
    state: 'done',
    counts: { 'facts.written': 20, 'members.written': 20 },
  });
});

test('looks at members and a run of their organization at once: the end is as if they had come one by one', async () => {
  const org = await fresh(60);
  await reconcileAll(database.db, org);
  const run = await changeConnection(database.db, org, { state: 'interrupted' });
  const { rows } = await sql<{
    id: string;
  }>`select id from steward_app.members where organization_id = ${org.organizationId}`.execute(database.db);
  const looks = (async () => {
    for (const { id } of rows.slice(0, 30)) await reconcileMember(database.db, id, why);
  })();
  let state = 'more';
  while (state === 'more') ({ state } = await oneChunk(database.db, run, { chunkSize: 5 }));
  await looks;
  expect(state).toBe('done');
  expect(await storedResults(database.db, org.organizationId)).toEqual({
    'organization/interrupted': 54,
    'personal/can_host': 6,
  });
  expect(await reconcileAll(database.db, org)).toMatchObject({ counts: {} });
});
