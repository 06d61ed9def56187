import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createEvents } from '../../src/client/events.ts';
import type { Database } from '../../src/db/database.ts';
import { claimEventBatches, releaseEventBatches, sequenceEvents } from '../../src/db/event-delivery-repository.ts';
import { insertEvent } from '../../src/db/event-repository.ts';
import { advanceClock } from '../connections/organization.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();

const tell = (
  db: Database,
  organizationId: string,
  type: string,
  data: Record<string, unknown> = {},
  subjectId?: string,
) =>
  db
    .transaction()
    .execute((trx) =>
      insertEvent(trx, { organizationId, type, data, ...(subjectId === undefined ? {} : { subjectId }) }),
    );

beforeEach(async () => {
  await sql`truncate steward.events, steward.event_streams, steward.event_sums, steward.event_batches, steward.event_hours`.execute(database.db);
});

/** That somebody waits for a lock. */
async function waiting(db: Database): Promise<void> {
  const { rows } = await sql`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(db);
  expect(rows).toHaveLength(1);
}

const events = () => createEvents(database.db as never);
const types = async (after?: number) =>
  (await events().read(after === undefined ? {} : { after })).map(({ type }) => type);

describe('positions', () => {
  it('are given in the order of commits: what commits late is passed by nobody', async () => {
    const { db } = database;
    const [a, b] = [randomUUID(), randomUUID()];
    const late = database.another(1);
    let commit = (): void => {};
    let written = (): void => {};
    const isWritten = new Promise<void>((resolve) => {
      written = resolve;
    });
    const slow = late.transaction().execute(async (trx) => {
      await insertEvent(trx, { organizationId: a, type: 'connection.at_risk' });
      written();
      await new Promise<void>((resolve) => {
        commit = resolve;
      });
    });
    await isWritten;
    await tell(db, b, 'connection.interrupted');
    await sequenceEvents(db, 100);
    const first = await events().read();
    expect(first.map(({ type }) => type)).toEqual(['connection.interrupted']);
    commit();
    await slow;
    await sequenceEvents(db, 100);
    // The smaller number of the two, and yet behind the cursor of nobody.
    expect(await types(first[0]!.position)).toEqual(['connection.at_risk']);
  });

  it('are given by one at a time: a second at the same time finds nothing to do', async () => {
    const { db } = database;
    const organizationId = randomUUID();
    for (let n = 0; n < 30; n += 1) await tell(db, organizationId, 'run.finished', { n });
    await Promise.all(Array.from({ length: 6 }, () => sequenceEvents(db, 7)));
    while ((await sequenceEvents(db, 7)) > 0);
    const read = await events().read();
    expect(read.map(({ data }) => data['n'])).toEqual(Array.from({ length: 30 }, (_, n) => n));
    expect(read.map(({ position }) => position)).toEqual(read.map(({ position }) => position).sort((x, y) => x - y));
  });

  it('wait for who takes events holding nothing that he waits for', async () => {
    const { db } = database;
    const organizations = Array.from({ length: 20 }, () => randomUUID()).sort();
    for (const organizationId of organizations) await tell(db, organizationId, 'run.finished');
    await sequenceEvents(db, 100);
    for (const organizationId of organizations) await tell(db, organizationId, 'run.finished');
    const placer = database.another(1);
    const placed = await db.transaction().execute(async (trx) => {
      await sql`select from steward.event_streams where organization_id = ${organizations[0]} for update`.execute(trx);
      const placing = sequenceEvents(placer, 100);
      await vi.waitFor(() => waiting(db));
      const { rows } = await sql`select from steward.event_streams for update skip locked`.execute(trx);
      expect(rows).toHaveLength(organizations.length);
      return { placing };
    });
    expect(await placed.placing).toBe(organizations.length);
  });
});

describe('taking', () => {
  it('reads what was not taken, or after a cursor, of all organizations or one', async () => {
    const { db } = database;
    const [a, b] = [randomUUID(), randomUUID()];
    await tell(db, a, 'connection.activated', { x: 1 }, a);
    await tell(db, b, 'connection.activated');
    await tell(db, a, 'connection.at_risk');
    await sequenceEvents(db, 100);
    const all = await events().read();
    expect(all[0]).toEqual({
      position: expect.any(Number),
      organizationId: a,
      type: 'connection.activated',
      subjectId: a,
      data: { x: 1 },
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
    await events().taken({ position: all[1]!.position, organizationId: a });
    expect((await events().read()).map(({ organizationId }) => organizationId)).toEqual([b, a]);
    expect(await types(all[0]!.position)).toEqual(['connection.activated', 'connection.at_risk']);
    expect((await events().read({ organizationId: b, limit: 5 })).length).toBe(1);
    await events().taken({ position: all[2]!.position });
    expect(await events().read()).toEqual([]);
    const { rows } = await sql<{ n: number; due: number }>`
      select count(*) filter (where delivered_at is not null)::int as n,
             (select count(*)::int from steward.event_streams where due_at is not null) as due from steward.events`.execute(
      db,
    );
    expect(rows[0]).toEqual({ n: 3, due: 0 });
  });

  it('a position that was made up swallows nothing that comes', async () => {
    const { db } = database;
    const organizationId = randomUUID();
    await tell(db, organizationId, 'connection.activated');
    await sequenceEvents(db, 100);
    await events().taken({ position: 10 ** 15 });
    await tell(db, organizationId, 'connection.at_risk');
    await sequenceEvents(db, 100);
    expect(await types()).toEqual(['connection.at_risk']);
    expect(await claimEventBatches(db, { limit: 10, events: 10, redoMs: 1_000 })).toMatchObject([
      { organizationId, events: [{ type: 'connection.at_risk' }] },
    ]);
    await expect(sql`select steward.events_taken(null)`.execute(db)).rejects.toMatchObject({ code: '22004' });
  });

  it('is rolled back with the transaction that keeps them', async () => {
    const { db } = database;
    await tell(db, randomUUID(), 'connection.activated');
    await sequenceEvents(db, 100);
    const [event] = await events().read();
    await db
      .transaction()
      .execute(async (trx) => {
        await events().taken({ position: event!.position, on: trx as never });
        throw new Error('the app fails');
      })
      .catch(() => {});
    expect(await types()).toEqual(['connection.activated']);
  });
});

describe('batches for the queue', () => {
  const claim = () => claimEventBatches(database.db, { limit: 10, events: 2, redoMs: 120_000 });
  const said = async () => (await claim()).map((batch) => batch.events.map(({ type }) => type));

  it('what got its position while others were claimed is offered next', async () => {
    const { db } = database;
    const [first, second] = [randomUUID(), randomUUID()] as const;
    for (const organizationId of [first, second]) {
      await tell(db, organizationId, 'run.finished');
      await sequenceEvents(db, 100);
    }
    const claim = (one: Database) => claimEventBatches(one, { limit: 10, events: 10, redoMs: 60_000 });
    // The claim stops at the first organization, before it locks the second; row by row, as a plan of large tables may be.
    await sql`create function stop_here() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4711); return new; end $$`.execute(
      db,
    );
    await sql`
      create trigger stop_here before update on steward.event_streams for each row
        when (new.offered is not null and old.organization_id = '${sql.raw(first)}') execute function stop_here()`.execute(
      db,
    );
    const claimer = database.another(1);
    for (const plan of ['hashjoin', 'mergejoin', 'seqscan', 'material'])
      await sql.raw(`set enable_${plan} = off`).execute(claimer);
    const { claimed } = await db.transaction().execute(async (trx) => {
      await sql`select pg_advisory_xact_lock(4711)`.execute(trx);
      const claimed = claim(claimer);
      await vi.waitFor(() => waiting(db));
      const { rows } = await sql<{ newest: number }>`
        select newest from steward.event_streams where organization_id = ${second}`.execute(db);
      await events().taken({ position: rows[0]!.newest, organizationId: second });
      await tell(db, second, 'connection.interrupted');
      // By a round that began before the claim did.
      await advanceClock(db, '-1 minute');
      await sequenceEvents(db, 100);
      await advanceClock(db, '1 minute');
      return { claimed };
    });
    expect((await claimed).map(({ organizationId }) => organizationId)).toEqual([first]);
    await sql`drop function stop_here cascade`.execute(db);
    expect(await claim(db)).toMatchObject([{ organizationId: second, events: [{ type: 'connection.interrupted' }] }]);
  });

  it('one at a time for an organization, the next when it was taken, the same again when it was not', async () => {
    const { db } = database;
    const organizationId = randomUUID();
    for (const type of ['connection.activated', 'connection.at_risk', 'connection.interrupted'])
      await tell(db, organizationId, type);
    await sequenceEvents(db, 100);
    const first = await claim();
    expect(first[0]!.events.map(({ type }) => type)).toEqual(['connection.activated', 'connection.at_risk']);
    await tell(db, organizationId, 'connection.resumed');
    await sequenceEvents(db, 100);
    expect(await claim()).toEqual([]);
    await advanceClock(db, '2 minutes');
    expect(await said()).toEqual([['connection.activated', 'connection.at_risk']]);
    // Half of it was taken: the rest and what follows is due at once.
    await events().taken({ position: first[0]!.events[0]!.position, organizationId });
    await advanceClock(db, '2 minutes');
    expect(await said()).toEqual([['connection.at_risk', 'connection.interrupted']]);
    await events().taken({ position: first[0]!.events[1]!.position + 1, organizationId });
    expect(await said()).toEqual([['connection.resumed']]);
    await releaseEventBatches(db, [organizationId]);
    expect(await said()).toEqual([['connection.resumed']]);
  });
});

describe('mass changes', () => {
  it('the first goes at once, what follows within the hour goes as one: numbers added, lists joined', async () => {
    const { db } = database;
    const [organizationId, owner, other] = [randomUUID(), randomUUID(), randomUUID()];
    const removed = (ownerId: string, n: number, cause: string) =>
      tell(
        db,
        organizationId,
        'locations.removed',
        { ownerId, runId: `run-${n}`, eventTypes: n, locations: 2 * n, causes: [cause], eventTypeIds: [`e${n}`] },
        ownerId,
      );
    await removed(owner, 1, 'opted_out');
    await sequenceEvents(db, 100);
    for (const n of [2, 3, 4]) await removed(owner, n, n === 2 ? 'opted_out' : 'not_in_rollout');
    await removed(other, 9, 'opted_out');
    await tell(db, organizationId, 'connection.at_risk');
    await sequenceEvents(db, 100);
    expect(await types()).toEqual(['locations.removed', 'locations.removed', 'connection.at_risk']);
    await advanceClock(db, '61 minutes');
    await sequenceEvents(db, 100);
    const read = await events().read();
    expect(read.length).toBe(4);
    expect(read[3]).toMatchObject({
      type: 'locations.removed',
      subjectId: owner,
      data: { ownerId: owner, runId: 'run-4', eventTypes: 9, locations: 18, summed: 3, since: expect.any(String) },
    });
    expect([...(read[3]!.data['causes'] as string[])].sort()).toEqual(['not_in_rollout', 'opted_out']);
    expect([...(read[3]!.data['eventTypeIds'] as string[])].sort()).toEqual(['e2', 'e3', 'e4']);
    // Its hour begins anew.
    await removed(owner, 5, 'opted_out');
    await sequenceEvents(db, 100);
    expect((await events().read()).length).toBe(4);
    await advanceClock(db, '61 minutes');
    await sequenceEvents(db, 100);
    // One alone is told as it was written.
    expect((await events().read()).at(-1)?.data).toEqual({
      ownerId: owner,
      runId: 'run-5',
      eventTypes: 5,
      locations: 10,
      causes: ['opted_out'],
      eventTypeIds: ['e5'],
    });
  });

  it('twenty members one by one in an hour, all others of an organization summed', async () => {
    const { db } = database;
    const organizationId = randomUUID();
    const members = Array.from({ length: 150 }, () => randomUUID());
    for (const member of members)
      await tell(db, organizationId, 'member.connection_changed', { before: 'none', after: 'organization' }, member);
    while ((await sequenceEvents(db, 40)) > 0);
    expect((await events().read()).map(({ subjectId }) => subjectId)).toEqual(members.slice(0, 20));
    await advanceClock(db, '61 minutes');
    await sequenceEvents(db, 100);
    const summed = (await events().read()).slice(20);
    expect(summed).toMatchObject([{ type: 'members.connection_changed', subjectId: null, data: { changed: 130 } }]);
    expect(summed[0]!.data['memberIds']).toEqual(members.slice(20, 120));
  });
});
