import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createEvents } from '../../src/client/events.ts';
import type { Database } from '../../src/db/database.ts';
import {
  claimEventBatches,
  type EventBatch,
  releaseEventBatches,
  sequenceEvents,
} from '../../src/db/event-delivery-repository.ts';
import { insertEvent } from '../../src/db/event-repository.ts';
import { createEventCourier } from '../../src/queues/event-courier.ts';
import { createTelemetry } from '../../src/telemetry.ts';
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
  await sql`truncate steward.events, steward.event_streams, steward.event_sums, steward.event_batches, steward.event_hours`.execute(
    database.db,
  );
});

type Change = {
  readonly owner: string | null;
  readonly eventTypeId?: string;
  readonly locations?: number;
  readonly cause?: string;
  readonly empty?: boolean;
};

/** What a chunk of a run did to locations, before it is told. */
async function change(db: Database, organizationId: string, kind: string, runId: string, changes: readonly Change[]) {
  const list = changes.map(({ owner, eventTypeId = randomUUID(), locations = 1, cause = null, empty = false }) => ({
    ...{ owner, id: eventTypeId, locations, cause, empty },
  }));
  await sql`
    insert into steward.untold_location_changes (organization_id, run_id, change, event_type_ids, owner_member_ids, locations, causes, needs_location)
    select ${organizationId}, ${runId}, ${kind}, array_agg(id), array_agg(owner), array_agg(locations), array_agg(cause), array_agg(empty)
      from jsonb_to_recordset(${JSON.stringify(list)}::jsonb) as c (id uuid, owner uuid, locations integer, cause text, empty boolean)`.execute(
    db,
  );
}

/** Tells it as a mass change, in small batches. */
const tellBatches = async (db: Database, organizationId: string): Promise<void> => {
  await sql`select steward.tell_location_changes(${organizationId}, null, 0, 4)`.execute(db);
};
const tellMass = async (db: Database, organizationId: string, owners: readonly (string | null)[], kind = 'removed') => {
  await change(
    db,
    organizationId,
    kind,
    randomUUID(),
    [...owners, ...owners].map((owner) => ({ owner })),
  );
  await tellBatches(db, organizationId);
};
const batchesLeft = async (db: Database) => (await sql`select from steward.event_batches`.execute(db)).rows.length;

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
    for (const [n, organizationId] of organizations.entries())
      await (n % 2 === 0 ? tell(db, organizationId, 'run.finished') : tellMass(db, organizationId, [randomUUID()]));
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

describe('mass changes in batches', () => {
  it('say what single events say', async () => {
    const { db } = database;
    const [singly, batched] = [randomUUID(), randomUUID()];
    const owners = [null, ...Array.from({ length: 30 }, () => randomUUID())];
    const [first, second] = [randomUUID(), randomUUID()];
    const some = (n: number, of: Omit<Change, 'owner'> = {}) =>
      Array.from({ length: n }, (_, i) => ({
        owner: owners[(i * 7) % owners.length]!,
        eventTypeId: randomUUID(),
        ...of,
      }));
    const chunks: [string, string, Change[]][] = [
      ['removed', first, some(60, { cause: 'opted_out' })],
      ['removed', first, some(9, { cause: 'not_in_rollout', empty: true })],
      ['restored', first, some(40, { locations: 2 })],
      ['removed', second, [...some(20, { cause: 'opted_out' }), ...some(5, { cause: 'opted_out', locations: 0 })]],
      ['added', second, some(12)],
    ];
    const told = async (organizationId: string, most: number) => {
      for (const [kind, runId, changes] of chunks) await change(db, organizationId, kind, runId, changes);
      await sql`select steward.tell_location_changes(${organizationId}, null, ${most}, 10)`.execute(db);
      const batches = await batchesLeft(db);
      while ((await sequenceEvents(db, 100)) > 0);
      // Within a chunk they have no order.
      const { rows } = await sql<{ type: string; subject_id: string | null; data: Record<string, unknown> }>`
        select type, subject_id, data || jsonb_build_object('eventTypeIds', (select jsonb_agg(id order by id) from jsonb_array_elements(data -> 'eventTypeIds') id)) as data
          from steward.events where organization_id = ${organizationId} and position is not null
         order by type, subject_id`.execute(db);
      return { batches, rows };
    };
    const one = await told(singly, 1_000);
    const many = await told(batched, 0);
    expect(one.batches).toBe(0);
    expect(many.batches).toBeGreaterThan(20);
    expect(many.rows).toEqual(one.rows);
    expect(one.rows.length).toBeGreaterThan(owners.length);
    // The last run that had to do with it, and the last position.
    const later = new Set(chunks[3]![2].map(({ owner }) => owner));
    const removed = many.rows.filter(({ type }) => type === 'locations.removed');
    expect(removed.map(({ data }) => data['runId'])).toEqual(
      removed.map(({ subject_id }) => (later.has(subject_id) ? second : first)),
    );
    const { rows: streams } = await sql<{ newest: number; last: number }>`
      select s.newest, (select max(e.position) from steward.events e where e.organization_id = s.organization_id) as last
        from steward.event_streams s`.execute(db);
    expect(streams.map(({ newest }) => newest)).toEqual(streams.map(({ last }) => last));
  });

  it('are told once each, by whom ever and however often a round is broken off', async () => {
    const { db } = database;
    const organizationId = randomUUID();
    const owners = Array.from({ length: 60 }, () => randomUUID());
    await tellMass(db, organizationId, owners);
    const before = await batchesLeft(db);
    await db
      .transaction()
      .execute(async (trx) => {
        await sequenceEvents(trx, 10);
        expect(await batchesLeft(trx)).toBeLessThan(before);
        throw new Error('the server fails');
      })
      .catch(() => {});
    expect(await batchesLeft(db)).toBe(before);
    expect(await types()).toEqual([]);
    while ((await batchesLeft(db)) > 0) await Promise.all(Array.from({ length: 4 }, () => sequenceEvents(db, 5)));
    const read = await events().read();
    expect(read.map(({ subjectId }) => subjectId).sort()).toEqual([...owners].sort());
    expect(read.map(({ data }) => data['eventTypes'])).toEqual(owners.map(() => 2));
  });

  it('come after what was written before and before what was written later, and let other organizations pass', async () => {
    const { db } = database;
    const [mass, other] = [randomUUID(), randomUUID()];
    await tell(db, mass, 'connection.disconnecting');
    await db.transaction().execute(async (trx) => {
      await change(
        trx as never,
        mass,
        'removed',
        randomUUID(),
        Array.from({ length: 40 }, () => ({ owner: randomUUID() })),
      );
      await tellBatches(trx as never, mass);
      await insertEvent(trx, { organizationId: mass, type: 'run.finished' });
    });
    await tell(db, other, 'connection.interrupted');
    await sequenceEvents(db, 2);
    expect(await types()).toEqual(['connection.disconnecting', 'connection.interrupted']);
    await sequenceEvents(db, 1);
    await tell(db, other, 'connection.resumed');
    await tell(db, mass, 'connection.disconnected');
    await sequenceEvents(db, 1);
    expect((await types()).at(-1)).toBe('connection.resumed');
    while ((await sequenceEvents(db, 1)) > 0);
    const ofMass = (await events().read({ organizationId: mass })).map(({ type }) => type);
    expect(ofMass).toEqual([
      'connection.disconnecting',
      ...Array.from({ length: 40 }, () => 'locations.removed'),
      'run.finished',
      'connection.disconnected',
    ]);
    const { rows } = await sql<{ newest: number; last: number }>`
      select (select newest from steward.event_streams where organization_id = ${mass}) as newest,
             (select max(position) from steward.events where organization_id = ${mass}) as last`.execute(db);
    expect(rows[0]!.newest).toBe(rows[0]!.last);
  });

  it('are held back, and hold back, for the hour of each owner, whoever was told before', async () => {
    const { db } = database;
    const organizationId = randomUUID();
    const [single, owner, late] = [randomUUID(), randomUUID(), randomUUID()];
    const place = async () => {
      while ((await sequenceEvents(db, 100)) > 0);
      return (await events().read({ limit: 1_000 })).map(({ subjectId }) => subjectId);
    };
    await tell(db, organizationId, 'locations.removed', { eventTypes: 1 }, single);
    expect(await place()).toEqual([single]);
    await tellMass(db, organizationId, [single, owner, null]);
    expect((await place()).slice(1).sort()).toEqual([owner, null].sort());
    await tellMass(db, organizationId, [single, owner, null, late]);
    // Written while the batch waits: it was said last, although it is placed with a smaller number.
    await tell(db, organizationId, 'locations.removed', { eventTypes: 5, runId: 'last' }, owner);
    expect((await place()).slice(3)).toEqual([late]);
    await tellMass(db, organizationId, [owner], 'restored');
    expect((await place()).length).toBe(5);
    await advanceClock(db, '61 minutes');
    // Some hundred hours are closed a round.
    for (let n = 0; n < 7; n += 1) await sequenceEvents(db, 100);
    await place();
    const summed = (await events().read({ limit: 1_000 })).slice(5);
    expect(new Map(summed.map(({ subjectId, data }) => [subjectId, [data['eventTypes'], data['summed']]]))).toEqual(
      new Map<string | null, unknown>([
        [single, [4, 2]],
        [owner, [7, 2]],
        [null, [2, undefined]],
      ]),
    );
    expect(summed.find(({ subjectId }) => subjectId === owner)!.data['runId']).toBe('last');
    const { rows } = await sql`select from steward.event_hours where until <= steward.now()`.execute(db);
    expect(rows).toEqual([]);
  });

  it('hold back whom it was told singly, few or more than the batch has', async () => {
    const { db } = database;
    for (const toldSingly of [1, 30]) {
      const organizationId = randomUUID();
      const told = Array.from({ length: toldSingly }, () => randomUUID());
      for (const owner of told) await tell(db, organizationId, 'locations.removed', {}, owner);
      while ((await sequenceEvents(db, 100)) > 0);
      const fresh = randomUUID();
      await tellMass(db, organizationId, [told[0]!, fresh]);
      while ((await sequenceEvents(db, 100)) > 0);
      const read = await events().read({ organizationId, limit: 100 });
      expect(read.slice(toldSingly).map(({ subjectId }) => subjectId)).toEqual([fresh]);
      const { rows } = await sql<{ subject_id: string; data: Record<string, unknown> }>`
        select subject_id, data from steward.events where organization_id = ${organizationId} and held_until is not null`.execute(
        db,
      );
      expect(rows).toMatchObject([{ subject_id: told[0], data: { eventTypes: 2 } }]);
    }
  });

  it('are no longer rounds where few owners have very many event types', async () => {
    const { db } = database;
    const organizationId = randomUUID();
    const owners = Array.from({ length: 40 }, () => randomUUID());
    const changes = owners.flatMap((owner) => Array.from({ length: 100 }, () => ({ owner })));
    await change(db, organizationId, 'removed', randomUUID(), changes);
    await sql`select steward.tell_location_changes(${organizationId}, null, 0, 100)`.execute(db);
    const batches = await batchesLeft(db);
    expect(await sequenceEvents(db, 100)).toBeGreaterThanOrEqual(100);
    expect(await batchesLeft(db)).toBeGreaterThan(batches / 2);
    while ((await sequenceEvents(db, 100)) > 0);
    expect((await events().read()).map(({ subjectId }) => subjectId).sort()).toEqual([...owners].sort());
  });

  it('that cannot be placed hold up no single event of others', async () => {
    const { db } = database;
    const [mass, other] = [randomUUID(), randomUUID()];
    await tellMass(db, mass, [randomUUID()]);
    await tell(db, mass, 'run.finished');
    await tell(db, other, 'connection.interrupted');
    await sql`create function cannot() returns trigger language plpgsql as $$ begin raise 'canceling statement'; end $$`.execute(
      db,
    );
    await sql`create trigger cannot before delete on steward.event_batches for each row execute function cannot()`.execute(
      db,
    );
    const offered: EventBatch[] = [];
    const queue = { offerEvents: async (batches: readonly EventBatch[]) => void offered.push(...batches) };
    const courier = createEventCourier({ db, queue, telemetry: createTelemetry(), pollMs: 20 });
    await expect(courier.round()).rejects.toThrow('canceling statement');
    expect(offered.flatMap((batch) => batch.events.map(({ type }) => type))).toEqual(['connection.interrupted']);
    await sql`drop function cannot cascade`.execute(db);
    await courier.round();
    expect((await events().read({ organizationId: mass })).map(({ type }) => type)).toEqual([
      'locations.removed',
      'run.finished',
    ]);
  });

  it('that cannot be placed hold up no mass change of others for ever', async () => {
    const { db } = database;
    const [stuck, other] = [randomUUID(), randomUUID()];
    await tellMass(db, stuck, [randomUUID()]);
    await tellMass(db, other, [randomUUID(), randomUUID()]);
    await tell(db, other, 'connection.interrupted');
    await sql`create function cannot() returns trigger language plpgsql as $$ begin raise 'canceling statement'; end $$`.execute(
      db,
    );
    await sql`create trigger cannot before delete on steward.event_batches for each row
      when (old.organization_id = ${sql.lit(stuck)}) execute function cannot()`.execute(db);
    const courier = createEventCourier({ db, queue: null, telemetry: createTelemetry(), pollMs: 20 });
    const told = async () => (await events().read({ organizationId: other })).map(({ type }) => type);
    for (let n = 0; n < 60 && (await told()).length < 3; n += 1)
      await expect(courier.round()).rejects.toThrow('canceling statement');
    await sql`drop function cannot cascade`.execute(db);
    expect(await told()).toEqual(['locations.removed', 'locations.removed', 'connection.interrupted']);
  });

  it('cost what waits behind them no more where many organizations have some', async () => {
    const { db } = database;
    await sql`
      with batches as (
        insert into steward.event_batches (organization_id, seq, change, event_type_ids, owner_member_ids, locations, needs_location, created_at)
        select gen_random_uuid(), nextval('steward.events_seq_seq'), 'removed', '{}', '{}', '{}', '{}', steward.now() from generate_series(1, 5000)
        returning organization_id)
      insert into steward.events (organization_id, type, created_at)
      select organization_id, 'run.finished', steward.now() from batches cross join generate_series(1, 8)`.execute(db);
    await tell(db, randomUUID(), 'connection.interrupted');
    await db.transaction().execute(async (trx) => {
      // A tenth of a second, or three.
      await sql`set local statement_timeout = '1500ms'`.execute(trx);
      await sequenceEvents(trx, 20_000, { batches: false });
    });
    expect(await types()).toEqual(['connection.interrupted']);
  });

  it('have hours that end as fast as those of owners who were told singly', async () => {
    const { db } = database;
    await tellMass(
      db,
      randomUUID(),
      Array.from({ length: 300 }, () => randomUUID()),
    );
    while ((await sequenceEvents(db, 1_000)) > 0);
    const hours = async () =>
      (
        await sql<{
          n: number;
        }>`select coalesce(sum(cardinality(owners)), 0)::int as n from steward.event_hours`.execute(db)
      ).rows[0]!.n;
    expect(await hours()).toBe(300);
    await advanceClock(db, '61 minutes');
    await sequenceEvents(db, 1_000);
    expect(await hours()).toBeLessThanOrEqual(100);
    await sequenceEvents(db, 1_000);
    expect(await hours()).toBe(0);
  });

  it('have an hour for each kind that they tell', async () => {
    const { db } = database;
    const [organizationId, owner] = [randomUUID(), randomUUID()];
    await tell(db, organizationId, 'event_type.needs_location', {}, owner);
    while ((await sequenceEvents(db, 100)) > 0);
    await change(db, organizationId, 'removed', randomUUID(), [{ owner, empty: true }]);
    await tellBatches(db, organizationId);
    while ((await sequenceEvents(db, 100)) > 0);
    expect(await types()).toEqual(['event_type.needs_location', 'locations.removed']);
  });

  it('are of kinds of which one goes to an owner within an hour', async () => {
    const { rows } = await sql<{ type: string }>`
      select type from steward.summed_events() where by_owner and at_once = 1 order by type`.execute(database.db);
    expect(rows.map(({ type }) => type)).toEqual([
      'event_type.needs_location',
      'locations.added',
      'locations.removed',
      'locations.restored',
    ]);
  });
});
