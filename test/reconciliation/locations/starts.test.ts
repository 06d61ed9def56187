import { randomUUID } from 'node:crypto';
import { sql, type Transaction } from 'kysely';
import { describe, expect, test } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import type { DB } from '../../../src/db/schema.ts';
import { reconcileEventTypes, tellLocationChanges } from '../../../src/reconciliation/locations-apply.ts';
import { planLocations } from '../../../src/reconciliation/locations-plan.ts';
import { type AdditionsChunk, additionsChunk } from '../../../src/reconciliation/zoom-starts.ts';
import { useDatabase } from '../../support/database.ts';
import { hold, untilSomebodyWaits } from './hold.ts';
import { createLocationWorld, type LocationWorld, online, phone, room, zoom } from './location-world.ts';

const database = useDatabase();

/** A look at one event type, as the job takes it after `steward.changed`. */
const look =
  (w: LocationWorld, ...eventTypeIds: string[]) =>
  (trx: Transaction<DB>) =>
    reconcileEventTypes(trx, {
      organizationId: w.organizationId,
      eventTypeIds,
      runId: randomUUID(),
      adapter: w.adapter,
    });
const lookNow = (w: LocationWorld, ...ids: string[]) => w.db.transaction().execute(look(w, ...ids));

async function started(adapter: 'rows' | 'json', state = 'active') {
  const w = await createLocationWorld(database.db, adapter, state);
  await w.setSettings({ zoomForNew: true });
  return { w, host: await w.addMember() };
}

const stateOf = async (w: LocationWorld, id: string) =>
  (
    await w.db
      .selectFrom('steward.zoom_starts')
      .select('state')
      .where('organization_id', '=', w.organizationId)
      .where('event_type_id', '=', id)
      .executeTakeFirst()
  )?.state ?? null;

/** Removes Zoom as a person does in the main app. */
const removeZoom = (w: LocationWorld, id: string, db: Database = w.db) =>
  w.adapter === 'rows'
    ? sql`delete from steward_app.locations where event_type_id = ${id} and kind = ${zoom}`.execute(db)
    : sql`update steward_app.event_types set locations = locations - 0 where id = ${id}`.execute(db);

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  test('Zoom comes first; every other location keeps its bytes and its row, and the owner is told', async () => {
    const { w, host } = await started(adapter);
    const id = await w.addEventType({ host, locations: [{ ...phone, position: -3 }, room, phone] });
    const before = await w.locationsOf(id);
    const row = await w.eventTypeRow(id);
    expect(await lookNow(w, id)).toMatchObject({ added: 1 });
    const after = await w.locationsOf(id);
    expect(after[0]?.kind).toBe(zoom);
    expect(after.slice(1)).toEqual(before);
    if (adapter === 'rows') expect(await w.eventTypeRow(id)).toBe(row);
    expect(await w.events('locations.added')).toMatchObject([
      { subjectId: host, data: { eventTypes: 1, locations: 1, eventTypeIds: [id] } },
    ]);
    expect(await lookNow(w, id)).toMatchObject({ added: 0 });
  });

  test('a pass finds new ones that nobody announced, in chunks, and tells each owner once', async () => {
    const { w, host } = await started(adapter);
    const other = await w.addMember();
    const ids = [
      await w.addEventType({ host, locations: [room] }),
      await w.addEventType({ host, locations: [] }),
      await w.addEventType({ kind: 'managed', host: other, locations: [phone] }),
    ];
    const has = await w.addEventType({ host, locations: [room, online] });
    expect((await planLocations(w.db, { organizationId: w.organizationId, adapter })).added).toMatchObject({
      eventTypes: 3,
      byKind: { solo: { eventTypes: 2 }, managed: { eventTypes: 1 } },
    });
    const runId = randomUUID();
    let after: string | null = null;
    let [added, chunks] = [0, 0];
    do {
      const request = {
        organizationId: w.organizationId,
        runId,
        adapter,
        afterEventTypeId: after as string | null,
        limit: 2,
      };
      const chunk: AdditionsChunk = await w.db.transaction().execute((trx) => additionsChunk(trx, request));
      after = chunk.lastEventTypeId;
      added += chunk.added;
      chunks += 1;
    } while (after !== null);
    expect({ added, chunks }).toEqual({ added: 3, chunks: 3 });
    await w.db.transaction().execute((trx) => tellLocationChanges(trx, { organizationId: w.organizationId }));
    expect((await w.events('locations.added')).map(({ data }) => data.eventTypes).sort()).toEqual([1, 2]);
    for (const id of ids) expect((await w.kindsOf(id))[0]).toBe(zoom);
    expect(await w.kindsOf(has)).toEqual(['physical', zoom]);
    expect(await stateOf(w, has)).toBe('had');
    expect((await planLocations(w.db, { organizationId: w.organizationId, adapter })).added.eventTypes).toBe(0);
  });

  test('what is older than the setting, or made while it was off, is never touched; who took Zoom out keeps it so', async () => {
    const { w, host } = await started(adapter);
    const mine = await w.addEventType({ host, locations: [room] });
    await lookNow(w, mine);
    await removeZoom(w, mine);
    await w.setSettings({ zoomForNew: false });
    const meanwhile = await w.addEventType({ host, locations: [room] });
    await lookNow(w, meanwhile);
    await w.setSettings({ zoomForNew: true });
    await lookNow(w, mine, meanwhile);
    expect(await w.kindsOf(mine)).toEqual(['physical']);
    expect(await w.kindsOf(meanwhile)).toEqual(['physical']);
    expect(await stateOf(w, meanwhile)).toBeNull();
  });

  test('taken by a cascade, it comes back as the same location; what nobody may write is not written', async () => {
    const { w, host } = await started(adapter);
    const id = await w.addEventType({ host, locations: [room] });
    await lookNow(w, id);
    const made = (await w.locationsOf(id)).map(({ bytes }) => bytes);
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    await lookNow(w, id);
    expect(await w.kindsOf(id)).toEqual(['physical']);
    const late = await w.addEventType({ host, locations: [room] });
    await lookNow(w, late);
    expect(await stateOf(w, late)).toBeNull();
    await w.setConnection({ state: 'active', observe: true });
    expect(await lookNow(w, id, late)).toMatchObject({ restored: 0, added: 0 });
    expect(await stateOf(w, late)).toBeNull();
    await w.setConnection({ state: 'active' });
    expect(await lookNow(w, id)).toMatchObject({ restored: 1, added: 0 });
    expect((await w.locationsOf(id)).map(({ bytes }) => bytes)).toEqual(made);
  });

  test('a person who puts Zoom in at the same time is waited for: there is one', async () => {
    const { w, host } = await started(adapter);
    const id = await w.addEventType({ host, locations: [room] });
    const edit = hold(database.another(1), async (app) => {
      await sql`select from steward_app.event_types where id = ${id} for update`.execute(app);
      if (adapter === 'json')
        await sql`update steward_app.event_types set locations = '[{"kind": "zoom_conference", "mine": true}]' where id = ${id}`.execute(
          app,
        );
      else
        await sql`insert into steward_app.locations (id, event_type_id, organization_id, position, kind)
                  values (gen_random_uuid(), ${id}, ${w.organizationId}, 9, ${zoom})`.execute(app);
    });
    await edit.ready;
    const looking = database.another(1).transaction().execute(look(w, id));
    await untilSomebodyWaits(w.db);
    await edit.commit();
    expect(await looking).toMatchObject({ added: 0 });
    expect((await w.kindsOf(id)).filter((kind) => kind === zoom)).toHaveLength(1);
  });

  test('two looks at once add one', async () => {
    const { w, host } = await started(adapter);
    const id = await w.addEventType({ host, locations: [room] });
    const first = hold(database.another(1), look(w, id));
    expect(await first.ready).toMatchObject({ added: 1 });
    const second = database.another(1).transaction().execute(look(w, id));
    await untilSomebodyWaits(w.db);
    await first.commit();
    expect(await second).toMatchObject({ added: 0 });
    expect(await w.kindsOf(id)).toEqual([zoom, 'physical']);
  });
});

test('json: what is no array is no list to begin', async () => {
  const { w, host } = await started('json');
  const id = await w.addEventType({ host, locations: [] });
  await sql`update steward_app.event_types set locations = null where id = ${id}`.execute(w.db);
  expect(await lookNow(w, id)).toMatchObject({ added: 0 });
  expect(await stateOf(w, id)).toBeNull();
});
