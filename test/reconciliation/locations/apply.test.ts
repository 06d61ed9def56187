import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { reconcileEventTypes } from '../../../src/reconciliation/locations-apply.ts';
import { useDatabase } from '../../support/database.ts';
import { createLocationWorld, online, phone, room, zoom } from './location-world.ts';

const database = useDatabase();

const nothing = {
  removedEventTypes: 0,
  removed: 0,
  restoredEventTypes: 0,
  restored: 0,
  fallbacksInserted: 0,
  fallbacksRemoved: 0,
  needsLocation: 0,
  unflagged: 0,
};

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  const world = (state?: string) => createLocationWorld(database.db, adapter, state);

  test('a disconnect takes Zoom out, an active connection brings it back byte for byte; neighbours are never written', async () => {
    const w = await world();
    const host = await w.addMember();
    const mixed = await w.addEventType({ host, locations: [room, online, phone] });
    const plain = await w.addEventType({ host, locations: [room, phone] });
    const before = await w.locationsOf(mixed);
    const untouched = [await w.eventTypeRow(plain), await w.locationsOf(plain)];

    expect(await w.reconcile()).toMatchObject(nothing);
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    expect(await w.reconcile()).toMatchObject({ ...nothing, removedEventTypes: 1, removed: 1 });
    expect(await w.locationsOf(mixed)).toEqual([before[0], before[2]]);
    expect(await w.archivesOf(mixed)).toMatchObject([
      { cause: 'organization_disconnected', offered: false, generation: 2, adapter, place: adapter === 'rows' ? 2 : 1 },
    ]);
    expect(await w.reconcile()).toMatchObject(nothing);

    await w.setConnection({ state: 'active' });
    expect(await w.reconcile()).toMatchObject({ ...nothing, restoredEventTypes: 1, restored: 1 });
    const after = await w.locationsOf(mixed);
    expect(after.map(({ bytes }) => bytes)).toEqual(before.map(({ bytes }) => bytes));
    expect([after[0], after[2]]).toEqual([before[0], before[2]]);
    expect(await w.archivesOf(mixed)).toEqual([]);
    expect([await w.eventTypeRow(plain), await w.locationsOf(plain)]).toEqual(untouched);
    expect(await w.reconcile()).toMatchObject(nothing);
  });

  test('what somebody else serves stays: personal Zoom, a broken connection, somebody never connected', async () => {
    const w = await world();
    const personal = await w.addMember({ personal: 'connected' });
    const broken = await w.addMember({ personal: 'broken' });
    const plain = await w.addMember();
    const kept = await Promise.all([
      w.addEventType({ host: personal, locations: [online] }),
      w.addEventType({ host: broken, locations: [online] }),
      w.addEventType({ kind: 'round_robin', hosts: [plain, personal], locations: [online] }),
      w.addEventType({ kind: 'collective', host: personal, hosts: [plain], locations: [online] }),
      w.addEventType({ kind: 'template', hosts: [plain, broken], locations: [online] }),
    ]);
    const gone = await Promise.all([
      w.addEventType({ host: plain, locations: [online] }),
      w.addEventType({ kind: 'round_robin', hosts: [plain, { member: personal, active: false }], locations: [online] }),
      w.addEventType({ kind: 'collective', host: plain, hosts: [personal], locations: [online] }),
      w.addEventType({ kind: 'template', host: plain, hosts: [personal], locations: [online] }),
      w.addEventType({ kind: 'managed', host: plain, locations: [online] }),
      w.addEventType({ kind: 'round_robin', locations: [online] }),
    ]);
    await w.setConnection({ state: 'interrupted' });
    expect(await w.reconcile()).toMatchObject(nothing);
    await w.setConnection({ state: 'disconnecting', cause: 'person' });
    expect(await w.reconcile()).toMatchObject({ removedEventTypes: gone.length });
    for (const id of kept) expect(await w.kindsOf(id)).toEqual([zoom]);
    for (const id of gone) expect(await w.kindsOf(id)).toEqual([]);
  });

  test('nothing is taken where the organization never had Zoom, nor where nobody serves under an active connection', async () => {
    const w = await world('none');
    const host = await w.addMember();
    await w.addEventType({ host, locations: [online] });
    expect(await w.reconcile()).toMatchObject(nothing);
    const v = await world();
    await v.addEventType({ kind: 'round_robin', locations: [online] });
    expect(await v.reconcile()).toMatchObject(nothing);
  });

  test('a member who leaves loses Zoom, named so; coming back brings it back without anybody asked', async () => {
    const w = await world();
    const host = await w.addMember();
    const id = await w.addEventType({ host, locations: [online, room] });
    await sql`update steward_app.members set organization_id = gen_random_uuid() where id = ${host}`.execute(w.db);
    await w.reconcile();
    expect(await w.archivesOf(id)).toMatchObject([{ cause: 'member_inactive', offered: false }]);
    await sql`update steward_app.members set organization_id = ${w.organizationId} where id = ${host}`.execute(w.db);
    expect(await w.reconcile()).toMatchObject({ restored: 1 });
  });

  test('the cause named for several servers is the first in order, the disconnect before all', async () => {
    const w = await world('none');
    const gone = await w.addMember({ active: false });
    const ended = await w.addMember({ personal: 'disconnected' });
    const id = await w.addEventType({ kind: 'round_robin', hosts: [gone, ended], locations: [online] });
    await w.reconcile();
    expect(await w.archivesOf(id)).toMatchObject([{ cause: 'member_inactive', offered: false }]);
    const v = await world();
    const other = await v.addMember({ active: false });
    const served = await v.addMember();
    const both = await v.addEventType({ kind: 'round_robin', hosts: [other, served], locations: [online] });
    await v.setConnection({ state: 'disconnecting', cause: 'person' });
    await v.reconcile();
    expect(await v.archivesOf(both)).toMatchObject([{ cause: 'organization_disconnected', offered: true }]);
  });

  test('several Zoom locations go and return together, each to its place', async () => {
    const w = await world();
    const host = await w.addMember();
    const id = await w.addEventType({
      host,
      locations: [online, room, { ...online, details: { second: true } }, online, phone, online],
    });
    const before = (await w.locationsOf(id)).map(({ bytes }) => bytes);
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    expect(await w.reconcile()).toMatchObject({ removedEventTypes: 1, removed: 4 });
    expect(await w.kindsOf(id)).toEqual(['physical', 'outbound_call']);
    await w.setConnection({ state: 'active' });
    expect(await w.reconcile()).toMatchObject({ restoredEventTypes: 1, restored: 4 });
    expect((await w.locationsOf(id)).map(({ bytes }) => bytes)).toEqual(before);
  });

  test('where Zoom was alone, the event type is flagged and told; restoring or adding a location ends the flag', async () => {
    const w = await world();
    const host = await w.addMember();
    const [back, filled] = await Promise.all([
      w.addEventType({ host, locations: [online] }),
      w.addEventType({ host, locations: [online] }),
    ]);
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    expect(await w.reconcile()).toMatchObject({ removed: 2, needsLocation: 2 });
    expect(await Promise.all([back, filled].map(w.isFlagged))).toEqual([true, true]);
    const told = await w.events('event_type.needs_location');
    expect(told).toMatchObject([{ subjectId: host, data: { eventTypes: 2 } }]);
    expect(told[0]?.data.eventTypeIds.toSorted()).toEqual([back, filled].toSorted());

    await w.setLocations(filled, [phone]);
    expect(await w.reconcile()).toMatchObject({ ...nothing, unflagged: 1 });
    await w.setConnection({ state: 'active' });
    expect(await w.reconcile()).toMatchObject({ restored: 1 });
    expect(await Promise.all([back, filled].map(w.isFlagged))).toEqual([false, false]);
    expect(await w.kindsOf(filled)).toEqual(['outbound_call']);
  });

  test('a fallback takes the place of a lonely Zoom location and goes when Zoom returns, unless somebody edited it', async () => {
    const w = await world();
    await w.setSettings({ fallback: { kind: 'physical', details: { address: 'Lobby' } } });
    const host = await w.addMember();
    const [alone, edited, mixed] = await Promise.all([
      w.addEventType({ host, locations: [online] }),
      w.addEventType({ host, locations: [online] }),
      w.addEventType({ host, locations: [online, phone] }),
    ]);
    const before = (await w.locationsOf(alone)).map(({ bytes }) => bytes);
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    expect(await w.reconcile()).toMatchObject({ removed: 3, fallbacksInserted: 2, needsLocation: 0 });
    expect(await w.kindsOf(alone)).toEqual(['physical']);
    expect(await w.kindsOf(mixed)).toEqual(['outbound_call']);
    expect(await w.archivesOf(alone)).toMatchObject([
      { fallback: { kind: 'physical', details: { address: 'Lobby' } } },
    ]);
    expect(await w.reconcile()).toMatchObject(nothing);
    if (adapter === 'rows')
      await sql`update steward_app.locations set details = '{"address": "Bar"}' where event_type_id = ${edited}`.execute(
        w.db,
      );
    else
      await sql`update steward_app.event_types set locations = '[{"kind": "physical", "details": {"address": "Bar"}}]' where id = ${edited}`.execute(
        w.db,
      );
    await w.setConnection({ state: 'active' });
    expect(await w.reconcile()).toMatchObject({ restored: 2, fallbacksRemoved: 1 });
    expect((await w.locationsOf(alone)).map(({ bytes }) => bytes)).toEqual(before);
    expect(await w.kindsOf(edited)).toEqual(['physical']);
  });

  test.each([{ kind: zoom }, { kind: 'telepathy' }, { details: {} }, 'physical', null])(
    'a fallback that is none (%j) counts as none',
    async (fallback) => {
      const w = await world();
      await w.setSettings({ fallback });
      const id = await w.addEventType({ host: await w.addMember(), locations: [online] });
      await w.setConnection({ state: 'disconnecting', cause: 'person' });
      expect(await w.reconcile()).toMatchObject({ removed: 1, fallbacksInserted: 0, needsLocation: 1 });
      expect(await w.kindsOf(id)).toEqual([]);
    },
  );

  test('an event type edited since keeps its edit: no return, now or later', async () => {
    const w = await world();
    const host = await w.addMember();
    const edits = {
      added: [room, phone],
      changed: [{ ...room, details: { address: 'Elsewhere' } }],
      removed: [],
      zoomAgain: [room, online],
    };
    const ids: Record<string, string> = {};
    for (const name of Object.keys(edits)) ids[name] = await w.addEventType({ host, locations: [online, room] });
    const same = await w.addEventType({ host, locations: [online, room] });
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    await w.reconcile();
    for (const [name, locations] of Object.entries(edits)) await w.setLocations(ids[name] as string, locations);
    await w.setConnection({ state: 'active' });
    expect(await w.reconcile()).toMatchObject({ restoredEventTypes: 1 });
    for (const [name, locations] of Object.entries(edits)) {
      expect(await w.kindsOf(ids[name] as string)).toEqual(locations.map(({ kind }) => kind));
      expect(await w.archivesOf(ids[name] as string)).toHaveLength(1);
    }
    expect(await w.kindsOf(same)).toEqual([zoom, 'physical']);
  });

  test('a copy overtaken by a later removal never returns, also not when the later one has returned and was removed by hand', async () => {
    const w = await world();
    const id = await w.addEventType({ host: await w.addMember(), locations: [online, room] });
    const [, neighbour] = await w.locationsOf(id);
    const remove = async () => {
      await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
      await w.reconcile();
    };
    const addZoom = () =>
      adapter === 'rows'
        ? sql`insert into steward_app.locations (id, event_type_id, organization_id, position, kind) values (gen_random_uuid(), ${id}, ${w.organizationId}, 9, ${zoom})`.execute(
            w.db,
          )
        : sql`update steward_app.event_types set locations = locations || '[{"kind": "zoom_conference", "later": true}]' where id = ${id}`.execute(
            w.db,
          );
    const dropZoom = () =>
      adapter === 'rows'
        ? sql`delete from steward_app.locations where event_type_id = ${id} and kind = ${zoom}`.execute(w.db)
        : sql`update steward_app.event_types set locations = locations - 1 where id = ${id}`.execute(w.db);
    await remove();
    await addZoom();
    await remove();
    expect(await w.archivesOf(id)).toHaveLength(2);
    await w.setConnection({ state: 'active' });
    expect(await w.reconcile()).toMatchObject({ restored: 1 });
    expect(await w.locationsOf(id)).toMatchObject([neighbour, { kind: zoom }]);
    await dropZoom();
    expect(await w.reconcile()).toMatchObject(nothing);
    expect(await w.locationsOf(id)).toEqual([neighbour]);
  });

  test('nothing returns after its time, to another organization, or where nobody can host', async () => {
    const w = await world();
    await w.setSettings({ archiveDays: 1 });
    const host = await w.addMember();
    const unlicensed = await w.addMember({ zoomUser: false });
    const [late, moved, hostless] = await Promise.all([
      w.addEventType({ host, locations: [online] }),
      w.addEventType({ host, locations: [online] }),
      w.addEventType({ host: unlicensed, locations: [online] }),
    ]);
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    await w.reconcile();
    await sql`update steward.archived_locations set expires_at = steward.now() where event_type_id = ${late}`.execute(
      w.db,
    );
    const other = await world();
    await sql`update steward_app.event_types set organization_id = ${other.organizationId} where id = ${moved}`.execute(
      w.db,
    );
    await w.setConnection({ state: 'active' });
    expect(await w.reconcile()).toMatchObject(nothing);
    expect(await other.reconcile()).toMatchObject(nothing);
    for (const id of [late, moved, hostless]) expect(await w.archivesOf(id)).toHaveLength(1);
    await sql`delete from steward_app.event_types where id = ${moved}`.execute(w.db);
    expect(await w.reconcile()).toMatchObject(nothing);
  });

  test('observe writes nothing', async () => {
    const w = await world();
    const id = await w.addEventType({ host: await w.addMember(), locations: [online] });
    await w.setConnection({ state: 'disconnecting', cause: 'person', observe: true });
    expect(await w.reconcile()).toMatchObject(nothing);
    expect(await w.kindsOf(id)).toEqual([zoom]);
  });

  test('small chunks do the same as one', async () => {
    const w = await world();
    const host = await w.addMember();
    const ids = await Promise.all(
      Array.from({ length: 7 }, (_, i) => w.addEventType({ host, locations: i % 2 ? [online] : [room, online] })),
    );
    await w.setConnection({ state: 'disconnecting', cause: 'deadline' });
    expect(await w.reconcile(2)).toMatchObject({ removed: 7, chunks: 4 });
    await w.setConnection({ state: 'active' });
    expect(await w.reconcile(3)).toMatchObject({ restored: 7 });
    for (const id of ids) expect(await w.kindsOf(id)).toContain(zoom);
  });

  test('owners are told once, with what is theirs', async () => {
    const w = await world();
    const [ada, ben] = [await w.addMember(), await w.addMember()];
    for (const host of [ada, ada, ben]) await w.addEventType({ host, locations: [online, room, online] });
    await w.addEventType({ kind: 'round_robin', hosts: [ada], locations: [online, room] });
    await w.setConnection({ state: 'disconnecting', cause: 'person' });
    await w.reconcile(1);
    const byOwner = (events: Awaited<ReturnType<typeof w.events>>) =>
      new Map(events.map(({ subjectId, data }) => [subjectId, [data.eventTypes, data.locations, data.causes]]));
    expect(byOwner(await w.events('locations.removed'))).toEqual(
      new Map([
        [ada, [2, 4, ['organization_disconnected']]],
        [ben, [1, 2, ['organization_disconnected']]],
        [null, [1, 1, ['organization_disconnected']]],
      ]),
    );
    await w.reconcile();
    expect(await w.events('locations.removed')).toHaveLength(3);
  });

  test('single event types: only those named, told at once, ids of others passed over', async () => {
    const w = await world();
    const host = await w.addMember();
    const [one, two] = [
      await w.addEventType({ host, locations: [online, room] }),
      await w.addEventType({ host, locations: [online, room] }),
    ];
    const foreign = await world();
    await w.setConnection({ state: 'disconnecting', cause: 'person' });
    const runId = '00000000-0000-4000-8000-000000000001';
    const look = (organizationId: string, eventTypeIds: string[]) =>
      w.db.transaction().execute((trx) => reconcileEventTypes(trx, { organizationId, eventTypeIds, runId, adapter }));
    expect(await look(foreign.organizationId, [one])).toEqual({ ...nothing, added: 0 });
    expect(await look(w.organizationId, [])).toEqual({ ...nothing, added: 0 });
    expect(await look(w.organizationId, [one, one, runId])).toEqual({
      ...nothing,
      removedEventTypes: 1,
      removed: 1,
      added: 0,
    });
    expect(await w.kindsOf(two)).toEqual([zoom, 'physical']);
    expect(await w.events('locations.removed')).toMatchObject([
      { subjectId: host, data: { eventTypeIds: [one], runId } },
    ]);
  });
});
