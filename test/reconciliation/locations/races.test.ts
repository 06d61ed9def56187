import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { describe, expect, test } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import type { DB } from '../../../src/db/schema.ts';
import { locationsChunk, reconcileEventTypes } from '../../../src/reconciliation/locations-apply.ts';
import { pruneArchivedLocations } from '../../../src/reconciliation/locations-restore.ts';
import { useDatabase } from '../../support/database.ts';
import { hold, untilSomebodyWaits } from './hold.ts';
import { createLocationWorld, type LocationWorld, online, phone, room, zoom } from './location-world.ts';

const database = useDatabase();

const chunkOf = (w: LocationWorld) => (trx: Transaction<DB>) =>
  locationsChunk(trx, {
    organizationId: w.organizationId,
    runId: randomUUID(),
    adapter: w.adapter,
    afterEventTypeId: null,
    limit: 100,
  });

/** What a chunk makes of it that waits for an edit under way, which then commits. */
async function chunkBehind(w: LocationWorld, edit: (app: Transaction<DB>) => Promise<unknown>) {
  const held = hold(database.another(1), edit);
  await held.ready;
  const chunk = database.another(1).transaction().execute(chunkOf(w));
  await untilSomebodyWaits(w.db);
  await held.commit();
  return chunk;
}

/** Two ways in which Zoom goes: a cascade, which locks before it looks, and a member's own disconnect, which looks first. */
const ways = ['cascade', 'member'] as const;

async function endangered(adapter: 'rows' | 'json', way: (typeof ways)[number], locations = [online, room]) {
  const w = await createLocationWorld(database.db, adapter, way === 'cascade' ? 'disconnecting' : 'none');
  const host = await w.addMember(way === 'cascade' ? {} : { personal: 'disconnected' });
  return { w, host, id: await w.addEventType({ host, locations }) };
}

/** What the main app does to Zoom in the event type: makes it a phone call. */
const editZoom = (w: LocationWorld, id: string, db: Database) =>
  w.adapter === 'rows'
    ? sql`update steward_app.locations set kind = 'outbound_call' where event_type_id = ${id} and kind = ${zoom}`.execute(
        db,
      )
    : sql`update steward_app.event_types set locations = '[{"kind": "outbound_call"}, {"kind": "physical"}]' where id = ${id}`.execute(
        db,
      );

test.each(['[]', '[{"kind": "outbound_call"}]'])(
  'json, cascade: an edit to %s that commits first is nothing to write, flag or tell of',
  async (edited) => {
    const { w, id } = await endangered('json', 'cascade', [online]);
    const { counts } = await chunkBehind(w, (app) =>
      sql`update steward_app.event_types set locations = ${edited}::jsonb where id = ${id}`.execute(app),
    );
    const written = Object.entries(counts).filter(([, count]) => count !== 0);
    expect(written).toEqual([]);
    const { rows } = await sql`
      select locations from steward_app.event_types where id = ${id} and locations = ${edited}::jsonb
         and not exists (select from steward.event_type_flags where event_type_id = ${id})`.execute(w.db);
    expect(rows).toHaveLength(1);
  },
);

test.each(ways)(
  'rows, %s: one of two Zoom rows that becomes another kind, held until the other goes, is what is left',
  async (way) => {
    const { w, id } = await endangered('rows', way, [online, online]);
    const edit = hold(database.another(1), (app) =>
      sql`update steward_app.locations set kind = 'outbound_call' where event_type_id = ${id} and position > 0`.execute(
        app,
      ),
    );
    await edit.ready;
    const chunk = database.another(1).transaction().execute(chunkOf(w));
    await untilSomebodyWaits(w.db);
    await edit.commit();
    expect((await chunk).counts).toMatchObject({ removedEventTypes: 1, removed: 1, needsLocation: 0 });
    expect(await w.kindsOf(id)).toEqual(['outbound_call']);
    // The copy knows the row as it is: Zoom returns beside it.
    await w.setConnection({ state: 'active' });
    if (way === 'cascade') expect(await w.reconcile()).toMatchObject({ restored: 1 });
  },
);

// Who edits Zoom rows need not hold the event type: what they did is decided upon, and not what was there before.
describe.each(ways)('rows, %s, an edit of Zoom rows alone', (way) => {
  const moveZoom = (app: Transaction<DB>, id: string) =>
    sql`update steward_app.locations set details = '{}' where event_type_id = ${id} and kind = ${zoom}`.execute(app);
  const addZoom = (app: Transaction<DB>, w: LocationWorld, id: string) =>
    sql`insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
        values (gen_random_uuid(), ${id}, ${w.organizationId}, 7, ${zoom}, '{}')`.execute(app);

  test('a host with a personal Zoom who comes in with it keeps theirs', async () => {
    const { w, host } = await endangered('rows', way, [room]);
    const id = await w.addEventType({ kind: 'round_robin', hosts: [host], locations: [online, room] });
    const personal = await w.addMember({ personal: 'connected' });
    const { counts } = await chunkBehind(w, async (app) => {
      await moveZoom(app, id);
      await sql`insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id) values (${id}, ${personal}, ${w.organizationId})`.execute(
        app,
      );
    });
    expect(counts).toMatchObject({ removed: 0 });
    expect(await w.kindsOf(id)).toEqual([zoom, 'physical']);
  });

  test('Zoom that it adds goes with the rest, and what comes back is all of it', async () => {
    const { w, id } = await endangered('rows', way, [online]);
    const { counts } = await chunkBehind(w, async (app) => {
      await moveZoom(app, id);
      await addZoom(app, w, id);
    });
    expect(counts).toMatchObject({ removedEventTypes: 1, removed: 2, needsLocation: 1 });
    expect(await w.kindsOf(id)).toEqual([]);
    expect(await w.archivesOf(id)).toHaveLength(2);
  });

  test('Zoom that it replaces goes', async () => {
    const { w, id } = await endangered('rows', way, [online, room]);
    const { counts } = await chunkBehind(w, async (app) => {
      await sql`delete from steward_app.locations where event_type_id = ${id} and kind = ${zoom}`.execute(app);
      await addZoom(app, w, id);
    });
    expect(counts).toMatchObject({ removed: 1 });
    expect(await w.kindsOf(id)).toEqual(['physical']);
  });
});

test.each([
  ['copies', 'x'],
  ['copies older than a column', 'updated_at'],
])(
  'rows: %s that expire and are pruned while their event types return take no fallback with them',
  async (_, lacks) => {
    const w = await createLocationWorld(database.db, 'rows');
    const id = await w.addEventType({ host: await w.addMember(), locations: [online] });
    await w.setSettings({ fallback: { kind: 'physical' } });
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    await w.reconcile();
    await sql`update steward.archived_locations set content = content - ${lacks}::text where event_type_id = ${id}`.execute(
      w.db,
    );
    await w.setConnection({ state: 'active' });
    // A return waits for whoever has the fallback, and has looked at the copies by then.
    const edit = hold(database.another(1), (app) =>
      sql`select from steward_app.locations where event_type_id = ${id} for update`.execute(app),
    );
    await edit.ready;
    const chunk = database.another(1).transaction().execute(chunkOf(w));
    const refused = expect(chunk).rejects.toMatchObject({ code: '40001' });
    await untilSomebodyWaits(w.db);
    await sql`update steward.archived_locations set expires_at = steward.now() where event_type_id = ${id}`.execute(
      w.db,
    );
    expect(await w.db.transaction().execute((trx) => pruneArchivedLocations(trx, { limit: 100 }))).toBe(1);
    await edit.commit();
    await refused;
    expect(await w.kindsOf(id)).toEqual(['physical']);
    expect(await w.reconcile()).toMatchObject({ restored: 0, fallbacksRemoved: 0 });
  },
);

test('a host whom a view takes from another table, and who comes in with the event type locked, is seen', async () => {
  const { w, id } = await endangered('rows', 'cascade');
  const personal = await w.addMember({ personal: 'connected' });
  await sql`create table steward_app.owners as select id, host_member_id from steward_app.event_types`.execute(w.db);
  await sql`alter table steward_app.event_types rename to event_types_table`.execute(w.db);
  await sql`create view steward_app.event_types as
    select e.id, e.organization_id, e.kind, (select o.host_member_id from steward_app.owners o where o.id = e.id) as host_member_id, e.title,
           e.locations, e.created_at, e.updated_at
      from steward_app.event_types_table e`.execute(w.db);
  try {
    const { counts } = await chunkBehind(w, async (app) => {
      await sql`update steward_app.event_types_table set updated_at = now() where id = ${id}`.execute(app);
      await sql`update steward_app.owners set host_member_id = ${personal} where id = ${id}`.execute(app);
    });
    expect(counts).toMatchObject({ removed: 0 });
  } finally {
    await sql`drop view steward_app.event_types`.execute(w.db);
    await sql`alter table steward_app.event_types_table rename to event_types`.execute(w.db);
    await sql`drop table steward_app.owners`.execute(w.db);
  }
});

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  describe.each(ways)('%s', (way) => {
    test('an edit of the location that commits first wins', async () => {
      const { w, id } = await endangered(adapter, way);
      const { counts } = await chunkBehind(w, (app) => editZoom(w, id, app));
      expect(counts).toMatchObject({ removed: 0 });
      expect(await w.kindsOf(id)).toEqual(['outbound_call', 'physical']);
      expect(await w.archivesOf(id)).toEqual([]);
    });

    test('an edit of the location that comes later waits, and finds the list without Zoom', async () => {
      const { w, id } = await endangered(adapter, way);
      const chunk = hold(database.another(1), chunkOf(w));
      expect((await chunk.ready).counts).toMatchObject({ removed: 1 });
      const app = database.another(1);
      const edit =
        adapter === 'rows'
          ? editZoom(w, id, app)
          : app.transaction().execute(async (trx) => {
              const { rows } = await sql<{
                n: number;
              }>`select jsonb_array_length(locations) as n from steward_app.event_types where id = ${id} for update`.execute(
                trx,
              );
              return rows[0]?.n;
            });
      await untilSomebodyWaits(w.db);
      await chunk.commit();
      if (adapter === 'rows') expect((await edit) as object).toMatchObject({ numAffectedRows: 0n });
      else expect(await edit).toBe(1);
      expect(await w.kindsOf(id)).toEqual(['physical']);
    });

    test('a host who comes in with the event type locked is seen', async () => {
      const { w, id } = await endangered(adapter, way);
      const personal = await w.addMember({ personal: 'connected' });
      const { counts } = await chunkBehind(w, async (app) => {
        await sql`select from steward_app.event_types where id = ${id} for update`.execute(app);
        await sql`update steward_app.event_types set host_member_id = ${personal} where id = ${id}`.execute(app);
      });
      expect(counts).toMatchObject({ removed: 0 });
      expect(await w.kindsOf(id)).toEqual([zoom, 'physical']);
    });

    test('an event type that becomes a round robin with a host of its own, locked meanwhile, is seen as one', async () => {
      const { w, id } = await endangered(adapter, way);
      const personal = await w.addMember({ personal: 'connected' });
      const { counts } = await chunkBehind(w, async (app) => {
        await sql`update steward_app.event_types set kind = 'round_robin', host_member_id = null where id = ${id}`.execute(
          app,
        );
        await sql`insert into steward_app.event_type_hosts (event_type_id, member_id, organization_id) values (${id}, ${personal}, ${w.organizationId})`.execute(
          app,
        );
      });
      expect(counts).toMatchObject({ removed: 0 });
      expect(await w.kindsOf(id)).toEqual([zoom, 'physical']);
    });

    test('the last neighbour that goes with the event type locked is missed: the event type is flagged', async () => {
      const { w, id } = await endangered(adapter, way);
      const { counts } = await chunkBehind(w, async (app) => {
        await sql`select from steward_app.event_types where id = ${id} for update`.execute(app);
        if (adapter === 'rows')
          await sql`delete from steward_app.locations where event_type_id = ${id} and kind = 'physical'`.execute(app);
        else await sql`update steward_app.event_types set locations = locations - 1 where id = ${id}`.execute(app);
      });
      expect(counts).toMatchObject({ removed: 1, needsLocation: 1 });
      expect(await w.isFlagged(id)).toBe(true);
    });

    test('two looks at the same event type at once take it once', async () => {
      const { w, id } = await endangered(adapter, way);
      const first = hold(database.another(1), chunkOf(w));
      await first.ready;
      const second = database
        .another(1)
        .transaction()
        .execute((trx) =>
          reconcileEventTypes(trx, {
            organizationId: w.organizationId,
            eventTypeIds: [id],
            runId: randomUUID(),
            adapter,
          }),
        );
      await untilSomebodyWaits(w.db);
      await first.commit();
      expect(await second).toMatchObject({ removed: 0 });
      expect(await w.archivesOf(id)).toHaveLength(1);
    });
  });

  test('an edit under way while Zoom returns wins: nothing returns', async () => {
    const w = await createLocationWorld(database.db, adapter);
    const id = await w.addEventType({ host: await w.addMember(), locations: [online, room] });
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    await w.reconcile();
    await w.setConnection({ state: 'active' });
    const { counts } = await chunkBehind(w, async (app) => {
      await sql`select from steward_app.event_types where id = ${id} for update`.execute(app);
      if (adapter === 'rows')
        await sql`update steward_app.locations set details = '{"address": "moved"}' where event_type_id = ${id}`.execute(
          app,
        );
      else
        await sql`update steward_app.event_types set locations = '[{"kind": "physical", "address": "moved"}]' where id = ${id}`.execute(
          app,
        );
    });
    expect(counts).toMatchObject({ restored: 0 });
    expect(await w.kindsOf(id)).toEqual(['physical']);
  });

  test('a host who goes with the event type locked while Zoom returns is missed: nothing returns', async () => {
    const w = await createLocationWorld(database.db, adapter);
    const id = await w.addEventType({ host: await w.addMember(), locations: [online, room] });
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    await w.reconcile();
    await w.setConnection({ state: 'active' });
    const { counts } = await chunkBehind(w, (app) =>
      sql`update steward_app.event_types set host_member_id = null where id = ${id}`.execute(app),
    );
    expect(counts).toMatchObject({ restored: 0 });
    expect(await w.kindsOf(id)).toEqual(['physical']);
  });

  test('bookings that refer to the event type, and edits of event types without Zoom, do not wait', async () => {
    const { w, id, host } = await endangered(adapter, 'cascade');
    const plain = await w.addEventType({ host, locations: [room, phone] });
    const table = sql.raw(`booked_${adapter}`);
    await sql`create table ${table} (event_type_id uuid references steward_app.event_types (id))`.execute(w.db);
    const chunk = hold(database.another(1), chunkOf(w));
    expect((await chunk.ready).counts).toMatchObject({ removed: 1 });
    const app = database.another(1);
    await sql`set lock_timeout = '2s'`.execute(app);
    await sql`insert into ${table} values (${id})`.execute(app);
    await sql`update steward_app.event_types set title = 'renamed' where id = ${plain}`.execute(app);
    if (adapter === 'rows')
      await sql`update steward_app.locations set details = '{}' where event_type_id = ${id} and kind = 'physical'`.execute(
        app,
      );
    await chunk.commit();
  });

  test('a chunk that fails leaves nothing of itself', async () => {
    const { w, id } = await endangered(adapter, 'cascade');
    const before = await w.locationsOf(id);
    const failing = w.db.transaction().execute(async (trx) => {
      expect((await chunkOf(w)(trx)).counts).toMatchObject({ removed: 1 });
      throw new Error('crash');
    });
    await expect(failing).rejects.toThrow('crash');
    expect(await w.locationsOf(id)).toEqual(before);
    expect(await w.archivesOf(id)).toEqual([]);
    expect(await w.reconcile()).toMatchObject({ removed: 1 });
  });
});
