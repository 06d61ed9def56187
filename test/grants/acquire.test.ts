import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { fileGrant } from '../../src/grants/grant-repository.ts';
import { acquireAttempt, endAttempt } from '../../src/grants/refresh-attempt-repository.ts';
import { defaultRefreshTimes as times } from '../../src/grants/refresh-times.ts';
import { useDatabase } from '../support/database.ts';
import { tokens } from './scripted-zoom.ts';
import { adminClient, advanceClock, api, fileOne, soon, testVault } from './setting.ts';

// The last gate before a request: whoever read the grant a moment too early is stopped here and nowhere else.
const database = useDatabase();

const acquire = (grantId: string, version = 1) =>
  acquireAttempt(database.db, { grantId, version, cause: 'needed', holder: 'test', times, probe: false });

const acquired = async (grantId: string) => {
  const got = await acquire(grantId);
  if (!got.ok) throw new Error(`Expected the lease, got ${got.reason}`);
  return got.attempt;
};

test('an attempt whose outcome nobody knows: busy until its deadline and the margin are over, then a recovery', async () => {
  const { grantId } = await fileOne(database.db);
  const attempt = await acquired(grantId);
  await endAttempt(database.db, attempt, { outcome: 'unknown', detail: 'reset', nextInMs: null });
  for (const laterMs of [0, times.leaseMs + 1_000, times.marginMs - 6_000]) {
    await advanceClock(database.db, laterMs);
    expect(await acquire(grantId)).toEqual({ ok: false, reason: 'busy' });
  }
  await advanceClock(database.db, 6_000);
  expect(await acquire(grantId)).toMatchObject({ ok: true, attempt: { recovery: true, failures: 1 } });
});

test('a back-off holds whoever decided to refresh before it was known', async () => {
  const { grantId } = await fileOne(database.db);
  const attempt = await acquired(grantId);
  await endAttempt(database.db, attempt, { outcome: 'unknown', detail: 'server: 503', nextInMs: 20_000 });
  expect(await acquire(grantId)).toEqual({ ok: false, reason: 'busy' });
  await advanceClock(database.db, 21_000);
  expect(await acquire(grantId)).toMatchObject({ ok: true, attempt: { recovery: true } });
});

test('of many at once one has the lease; an older version has none', async () => {
  const { grantId } = await fileOne(database.db);
  const got = await Promise.all(Array.from({ length: 8 }, () => acquire(grantId)));
  expect(got.filter((one) => one.ok)).toHaveLength(1);
  expect(await acquire(grantId, 0)).toEqual({ ok: false, reason: 'moved' });
});

test('a consent does not free the lease: the refresh of the older pair may still be on its way', async () => {
  const { grantId } = await fileOne(database.db, { account: 'consented', user: 'consented' });
  await acquired(grantId);
  await database.db.transaction().execute((trx) =>
    fileGrant(trx, testVault, {
      client: adminClient,
      zoomAccountId: 'consented',
      zoomUserId: 'consented',
      zoomUserEmail: null,
      tokens: tokens('consent'),
      api,
    }),
  );
  expect(await acquire(grantId, 2)).toEqual({ ok: false, reason: 'busy' });
  await advanceClock(database.db, times.leaseMs + 1_000);
  expect(await acquire(grantId, 2)).toMatchObject({ ok: true, attempt: { recovery: false } });
});

test('of two that come at once when the time of an open breaker is over, one probes', async () => {
  const { db } = database;
  const [one, two] = [await fileOne(db), await fileOne(db)];
  await sql`insert into steward.client_states (client_id, breaker_since, breaker_until, breaker_count)
            values (${adminClient.clientId}, steward.now(), steward.now(), 1)`.execute(db);
  const both = await db.transaction().execute(async (trx) => {
    await sql`select 1 from steward.client_states for update`.execute(trx);
    const acquiring = [acquire(one.grantId), acquire(two.grantId)];
    // Both have seen that its time is over, and wait for the row.
    await soon(async () => {
      const { rows } = await sql<{ n: number }>`select count(*)::int as n from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(database.db);
      return rows[0]?.n;
    }).toBe(2);
    return { acquiring };
  });
  const got = await Promise.all(both.acquiring);
  expect(got.filter((it) => it.ok)).toMatchObject([{ attempt: { probe: true } }]);
  expect(got.filter((it) => !it.ok)).toEqual([{ ok: false, reason: 'open' }]);
});
