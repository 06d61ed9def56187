import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { advanceRun } from '../../src/reconciliation/advance-run.ts';
import { defaultPressureLimits, findPressure } from '../../src/reconciliation/pressure.ts';
import { getRun } from '../../src/reconciliation/run-record.ts';
import { useDatabase } from '../support/database.ts';
import { fillOrganization } from './support/fill-organization.ts';
import { oneChunk, playRun, startRun } from './support/play-runs.ts';

const database = useDatabase();
const soon = { ...defaultPressureLimits, lockWaitMs: 50 };

/** Two sessions, one waiting for the other's lock, until released. */
async function somebodyWaits(): Promise<() => Promise<void>> {
  const holder = await database.another(1).startTransaction().execute();
  const waiter = await database.another(1).startTransaction().execute();
  await sql`select pg_advisory_xact_lock(42)`.execute(holder);
  const waiting = sql`select pg_advisory_xact_lock(42)`.execute(waiter);
  return async () => {
    await holder.rollback().execute();
    await waiting;
    await waiter.rollback().execute();
  };
}

async function untilPressed(): Promise<string> {
  for (;;) {
    const pressure = await findPressure(database.db, soon);
    if (pressure !== null) return pressure;
  }
}

test('a run gives way while somebody waits for a lock: one chunk a slice, and it says so; then it goes on as before', async () => {
  const org = await fillOrganization(database.db, 40);
  const run = await startRun(database.db, org);
  expect(await findPressure(database.db, soon)).toBeNull();
  const release = await somebodyWaits();
  expect(await untilPressed()).toMatch(/^somebody has been waiting 0\.\d s for a lock$/);
  const slowed = await playSlice(run);
  expect(slowed).toMatchObject({ state: 'more', slowed: expect.stringContaining('for a lock') });
  expect((await getRun(database.db, run)).progress.facts).toMatchObject({
    done: 8,
    slowed: expect.stringContaining('for a lock'),
  });
  // A wait that is short, by the measure of a real installation, slows nothing.
  expect(await findPressure(database.db, defaultPressureLimits)).toBeNull();
  await release();
  expect(await playSlice(run)).toMatchObject({ state: 'done', slowed: null });
  expect((await getRun(database.db, run)).progress.facts).toEqual({ done: 40, total: 40, alsoResults: true });
});

const playSlice = (run: string) => advanceRun(database.db, run, { chunkSize: 8, sliceMs: 60_000, pressure: soon });

test.each([
  [`interval '12.34 seconds'`, 'a replica is 12.3 s behind'],
  [`interval '9 seconds'`, null],
  // Idle and caught up, or not ours to see.
  ['null', null],
])('a replica with a lag of %s: %s', async (lag, expected) => {
  await database
    .another(1)
    .transaction()
    .execute(async (trx) => {
      await sql
        .raw(
          `create schema replicas; create view replicas.pg_stat_replication as select ${lag}::interval as replay_lag; set local search_path = replicas, pg_catalog`,
        )
        .execute(trx);
      expect(await findPressure(trx, defaultPressureLimits)).toBe(expected);
      await sql`set local search_path = default; drop schema replicas cascade`.execute(trx);
    });
});

test('a run that an operator paused says so, and no longer once it goes on', async () => {
  const org = await fillOrganization(database.db, 20);
  const run = await startRun(database.db, org);
  await oneChunk(database.db, run, { chunkSize: 8 });
  await sql`insert into steward.switches (name, reason, actor, since) values ('pause_writes', 'test', 'operator:x', now())`.execute(
    database.db,
  );
  expect((await oneChunk(database.db, run, { chunkSize: 8 })).state).toBe('paused');
  expect((await getRun(database.db, run)).progress.facts).toMatchObject({
    done: 8,
    total: 20,
    slowed: 'an operator paused writing',
  });
  await sql`delete from steward.switches`.execute(database.db);
  expect(await playRun(database.db, run, { chunkSize: 8 })).toMatchObject({ state: 'done' });
  expect((await getRun(database.db, run)).progress.facts).toEqual({ done: 20, total: 20, alsoResults: true });
});
