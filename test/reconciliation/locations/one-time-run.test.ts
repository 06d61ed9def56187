import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { applyTransition } from '../../../src/connections/apply-transition.ts';
import type { Asker } from '../../../src/connections/authority.ts';
import { listOneTimeRuns, orderOneTimeRun, undoOneTimeRun } from '../../../src/connections/one-time-run.ts';
import { changeSettings, findConnectionId } from '../../../src/connections/settings.ts';
import { advanceRun } from '../../../src/reconciliation/advance-run.ts';
import { reconcileEventTypes } from '../../../src/reconciliation/locations-apply.ts';
import { planLocations } from '../../../src/reconciliation/locations-plan.ts';
import { previewOneTimeRun } from '../../../src/reconciliation/preview-one-time-run.ts';
import { useDatabase } from '../../support/database.ts';
import { hold, untilSomebodyWaits } from './hold.ts';
import { createLocationWorld, type LocationWorld, online, phone, room, zoom } from './location-world.ts';

const database = useDatabase();
const asker: Asker = { operator: 'ada', reason: 'they asked' };

/** An organization with event types of before the setting, and one that came after it was turned on. */
async function grown(adapter: 'rows' | 'json') {
  const w = await createLocationWorld(database.db, adapter);
  const [host, other] = [await w.addMember(), await w.addMember()];
  const nobody = await w.addMember({ zoomUser: false });
  const ids = {
    plain: await w.addEventType({ host, locations: [phone, room] }),
    empty: await w.addEventType({ kind: 'managed', host: other, locations: [] }),
    robin: await w.addEventType({ kind: 'round_robin', hosts: [nobody, other], locations: [room] }),
    has: await w.addEventType({ host, locations: [room, online] }),
    nobody: await w.addEventType({ host: nobody, locations: [room] }),
  };
  await w.setSettings({ zoomForNew: true });
  return { w, host, nobody, ids };
}

const generationOf = async (w: LocationWorld) =>
  (await previewOneTimeRun(w.db, { organizationId: w.organizationId, adapter: w.adapter })).generation;

const order = async (w: LocationWorld) => {
  const generation = await generationOf(w);
  return w.db
    .transaction()
    .execute((trx) => orderOneTimeRun(trx, { organizationId: w.organizationId, asker, generation }));
};
const undo = (w: LocationWorld, oneTimeRunId: string) =>
  w.db.transaction().execute((trx) => undoOneTimeRun(trx, { organizationId: w.organizationId, asker, oneTimeRunId }));
const play = (w: LocationWorld, runId: string, chunkSize = 5_000) =>
  advanceRun(w.db, runId, { adapter: w.adapter, sliceMs: 60_000, chunkSize });

const lookAt = (w: LocationWorld, id: string) =>
  w.db.transaction().execute((trx) =>
    reconcileEventTypes(trx, {
      organizationId: w.organizationId,
      eventTypeIds: [id],
      runId: randomUUID(),
      adapter: w.adapter,
    }),
  );

const bytes = async (w: LocationWorld, id: string) => (await w.locationsOf(id)).map((location) => location.bytes);

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  test('adds what the preview says, once, in chunks, and is taken back as a run', async () => {
    const { w, ids } = await grown(adapter);
    const rest = await bytes(w, ids.plain);
    const preview = await previewOneTimeRun(w.db, { organizationId: w.organizationId, adapter });
    expect(preview).toMatchObject({
      added: {
        eventTypes: 3,
        byKind: { solo: { eventTypes: 1 }, managed: { eventTypes: 1 }, round_robin: { eventTypes: 1 } },
      },
      haveZoom: { eventTypes: 1 },
      nobodyCanHost: { eventTypes: 1, examples: [ids.nobody] },
      waitForReturn: { eventTypes: 0 },
    });
    const { oneTimeRunId, runId } = await order(w);
    expect((await planLocations(w.db, { organizationId: w.organizationId, adapter })).added.eventTypes).toBe(3);
    expect(await play(w, runId, 2)).toMatchObject({ state: 'done', counts: { 'locations.added': 3 } });
    expect(await w.kindsOf(ids.empty)).toEqual([zoom]);
    expect(await w.kindsOf(ids.robin)).toEqual([zoom, 'physical']);
    expect((await bytes(w, ids.plain)).slice(1)).toEqual(rest);
    expect(await w.kindsOf(ids.has)).toEqual(['physical', zoom]);
    expect(await w.kindsOf(ids.nobody)).toEqual(['physical']);
    expect(await w.events('locations.added')).toHaveLength(3);
    expect(await listOneTimeRuns(w.db, w.organizationId)).toMatchObject([
      { id: oneTimeRunId, state: 'done', eventTypes: 3, actor: 'operator:ada' },
    ]);

    const taken = await undo(w, oneTimeRunId);
    const planned = await planLocations(w.db, { organizationId: w.organizationId, adapter });
    expect(planned.removed).toMatchObject({ eventTypes: 3, locations: 3, byKind: { managed: { eventTypes: 1 } } });
    expect(await play(w, taken.runId, 2)).toMatchObject({ counts: { 'locations.undone': 3 } });
    expect(await bytes(w, ids.plain)).toEqual(rest);
    expect(await w.kindsOf(ids.empty)).toEqual([]);
    expect(await w.kindsOf(ids.has)).toEqual(['physical', zoom]);
    expect((await w.events('locations.removed')).map(({ data }) => data.causes)).toEqual([
      ['one_time_run_undone'],
      ['one_time_run_undone'],
      ['one_time_run_undone'],
    ]);
    expect((await listOneTimeRuns(w.db, w.organizationId))[0]).toMatchObject({ state: 'done', eventTypes: 3, kept: 0 });
    // Nobody took Zoom out by hand: another order finds them again.
    expect(await play(w, (await order(w)).runId)).toMatchObject({ counts: { 'locations.added': 3 } });
  });

  test('an undo keeps what somebody edited, removed or came to rely on, and finds what a cascade archived', async () => {
    const { w, host, ids } = await grown(adapter);
    const more = {
      archived: await w.addEventType({ host: await w.addMember(), locations: [room] }),
      alone: await w.addEventType({ host, locations: [room] }),
      neighbour: await w.addEventType({ host, locations: [room] }),
      again: await w.addEventType({ host, locations: [room] }),
      twice: await w.addEventType({ host: await w.addMember(), locations: [room] }),
    };
    await w.setSettings({ zoomForNew: true });
    const { oneTimeRunId, runId } = await order(w);
    await play(w, runId);
    // Edited.
    if (adapter === 'rows')
      await sql`update steward_app.locations set details = '{"a": 1}', updated_at = now() where event_type_id = ${ids.plain} and kind = ${zoom}`.execute(
        w.db,
      );
    else
      await sql`update steward_app.event_types set locations = jsonb_set(locations, '{0,a}', '1') where id = ${ids.plain}`.execute(
        w.db,
      );
    // Removed by hand: not a thing of ours any more, and never again.
    await w.setLocations(ids.robin, [room]);
    // Removed by hand, and put there again by hand, as we would make it.
    const byHand = { kind: zoom, details: {} };
    await w.setLocations(more.again, [room]);
    await lookAt(w, more.again);
    await w.setLocations(more.again, [byHand, room]);
    // A second one of somebody's.
    if (adapter === 'rows')
      await sql`
        insert into steward_app.locations (id, event_type_id, organization_id, position, kind, details)
        values (gen_random_uuid(), ${more.twice}, ${w.organizationId}, 9, ${zoom}, '{}')`.execute(w.db);
    else
      await sql`update steward_app.event_types set locations = locations || '[{"kind": "zoom_conference"}]' where id = ${more.twice}`.execute(
        w.db,
      );
    // The others went, so that Zoom is all there is.
    if (adapter === 'rows')
      await sql`delete from steward_app.locations where event_type_id = ${more.alone} and kind <> ${zoom}`.execute(
        w.db,
      );
    else await sql`update steward_app.event_types set locations = locations - 1 where id = ${more.alone}`.execute(w.db);
    // Another location beside it was edited: the addition was not.
    if (adapter === 'rows')
      await sql`update steward_app.locations set details = '{"b": 2}', updated_at = now() where event_type_id = ${more.neighbour} and kind <> ${zoom}`.execute(
        w.db,
      );
    else
      await sql`update steward_app.event_types set locations = jsonb_set(locations, '{1,b}', '2') where id = ${more.neighbour}`.execute(
        w.db,
      );
    // Archived meanwhile.
    await sql`
      update steward_app.members set active = false
       where id in (select host_member_id from steward_app.event_types where id in (${more.archived}, ${more.twice}))`.execute(
      w.db,
    );
    await w.reconcile();
    expect(await w.kindsOf(more.archived)).toEqual(['physical']);

    const taken = await undo(w, oneTimeRunId);
    expect(await undo(w, oneTimeRunId)).toEqual(taken);
    // What is kept: plain (edited), robin and again (removed), alone, and in JSON twice, where neither is known to be ours.
    // Taken back: empty, neighbour, and the copies of archived and twice.
    const undone = adapter === 'rows' ? 4 : 3;
    expect(await play(w, taken.runId)).toMatchObject({ counts: { 'locations.undone': undone } });
    expect((await listOneTimeRuns(w.db, w.organizationId))[0]).toMatchObject({
      undoes: oneTimeRunId,
      eventTypes: undone,
      kept: 8 - undone,
    });
    expect(await w.kindsOf(more.again)).toEqual([zoom, 'physical']);
    expect((await w.kindsOf(ids.plain))[0]).toBe(zoom);
    expect(await w.kindsOf(more.alone)).toEqual([zoom]);
    expect(await w.kindsOf(more.neighbour)).toEqual(['physical']);
    await sql`update steward_app.members set active = true where organization_id = ${w.organizationId}`.execute(w.db);
    await w.reconcile();
    expect(await w.kindsOf(more.archived)).toEqual(['physical']);
    expect(await w.kindsOf(more.twice)).toEqual(adapter === 'rows' ? ['physical', zoom] : [zoom, 'physical', zoom]);
    await play(w, (await order(w)).runId);
    expect(await w.kindsOf(ids.robin)).toEqual(['physical']);
    // The copy went with the undo: nobody took Zoom out by hand.
    expect(await w.kindsOf(more.archived)).toEqual([zoom, 'physical']);
  });

  test('an edit of what was added that commits while it is taken back wins', async () => {
    const { w, ids } = await grown(adapter);
    const { oneTimeRunId, runId } = await order(w);
    await play(w, runId);
    const edit = hold(database.another(1), (app) =>
      adapter === 'rows'
        ? sql`update steward_app.locations set details = '{"a": 1}', updated_at = now() where event_type_id = ${ids.plain} and kind = ${zoom}`.execute(
            app,
          )
        : sql`update steward_app.event_types set locations = jsonb_set(locations, '{0,a}', '1') where id = ${ids.plain}`.execute(
            app,
          ),
    );
    await edit.ready;
    const taken = await undo(w, oneTimeRunId);
    const playing = advanceRun(database.another(2), taken.runId, { adapter, sliceMs: 60_000 });
    await untilSomebodyWaits(w.db);
    await edit.commit();
    expect(await playing).toMatchObject({ counts: { 'locations.undone': 2 } });
    expect((await w.kindsOf(ids.plain))[0]).toBe(zoom);
  });

  test('a run that is superseded loses nothing; an interruption lets it wait, a disconnect or the setting ends it', async () => {
    const { w, host, ids } = await grown(adapter);
    await order(w);
    await w.setConnection({ state: 'interrupted' });
    // A personal Zoom hosts all the same; the plan says what the run does.
    await w.setPersonal(host, 'connected');
    expect((await planLocations(w.db, { organizationId: w.organizationId, adapter })).added.eventTypes).toBe(0);
    const again = () => startRunOf(w);
    expect(await play(w, await again())).toMatchObject({ state: 'done' });
    expect(await w.kindsOf(ids.empty)).toEqual([]);
    expect((await listOneTimeRuns(w.db, w.organizationId))[0]).toMatchObject({ state: 'open' });
    await w.setConnection({ state: 'active' });
    expect(await play(w, await again())).toMatchObject({ counts: { 'locations.added': 3 } });
    expect((await listOneTimeRuns(w.db, w.organizationId))[0]).toMatchObject({ state: 'done', eventTypes: 3 });

    await w.addEventType({ host: await w.addMember(), locations: [room] });
    await w.setSettings({ zoomForNew: true });
    await order(w);
    await w.setConnection({ state: 'disconnecting', cause: 'person' });
    await play(w, await again());
    expect((await listOneTimeRuns(w.db, w.organizationId))[0]).toMatchObject({ state: 'dropped', eventTypes: 0 });
  });
});

test('an order ends with the setting and with a disconnect, at once: whoever turns it on or connects again has not ordered it', async () => {
  const { w, ids } = await grown('rows');
  const { organizationId } = w;
  const change = (zoomForNewEventTypes: boolean) =>
    w.db
      .transaction()
      .execute((trx) => changeSettings(trx, { organizationId, asker, changes: { zoomForNewEventTypes } }));
  const newest = async () => (await listOneTimeRuns(w.db, organizationId))[0];
  await order(w);
  await change(false);
  await change(true);
  expect(await newest()).toMatchObject({ state: 'dropped', eventTypes: 0 });
  await order(w);
  const connectionId = (await findConnectionId(w.db, organizationId)) as string;
  await w.db
    .transaction()
    .execute((trx) => applyTransition(trx, { connectionId, event: 'disconnect', actor: 'operator:test' }));
  expect(await newest()).toMatchObject({ state: 'dropped' });
  await w.setConnection({ state: 'active' });
  await play(w, await startRunOf(w));
  expect(await w.kindsOf(ids.empty)).toEqual([]);
});

const startRunOf = async (w: LocationWorld) => {
  const id = randomUUID();
  await sql`update steward.runs set state = 'superseded' where organization_id = ${w.organizationId} and state in ('queued', 'running')`.execute(
    w.db,
  );
  await sql`
    insert into steward.runs (id, target, organization_id, target_id, connection_id, generation, cause, actor, cascade, state, created_at)
    select ${id}, 'organization', c.organization_id, c.organization_id, c.id, c.generation, 'operator', 'operator:test', c.state = 'disconnecting', 'queued', steward.now()
      from steward.org_connections c where c.organization_id = ${w.organizationId}`.execute(w.db);
  return id;
};

test('is ordered by who may, of a fresh preview, with the setting on and an active connection that is written to', async () => {
  const { w } = await grown('rows');
  const generation = await generationOf(w);
  const tryIt = (more: Partial<Parameters<typeof orderOneTimeRun>[1]>) =>
    w.db
      .transaction()
      .execute((trx) => orderOneTimeRun(trx, { organizationId: w.organizationId, asker, generation, ...more }));
  const member = await w.addMember();
  await expect(tryIt({ asker: { memberId: member } })).rejects.toMatchObject({ code: 'forbidden' });
  await expect(tryIt({ asker: { operator: 'ada', reason: ' ' } })).rejects.toMatchObject({ code: 'reason_missing' });
  await expect(tryIt({ generation: generation - 1 })).rejects.toMatchObject({ code: 'stale_preview' });
  await w.setSettings({ zoomForNew: false });
  await expect(tryIt({})).rejects.toMatchObject({ code: 'setting_off' });
  // A preview can be seen before the setting is turned on.
  expect((await previewOneTimeRun(w.db, { organizationId: w.organizationId, adapter: 'rows' })).added.eventTypes).toBe(
    3,
  );
  await w.setSettings({ zoomForNew: true });
  const { oneTimeRunId } = await tryIt({});
  await expect(tryIt({})).rejects.toMatchObject({ code: 'one_time_run_open' });
  await expect(undo(w, randomUUID())).rejects.toMatchObject({ code: 'one_time_run_unknown' });
  const stopped = await undo(w, oneTimeRunId);
  await expect(undo(w, stopped.oneTimeRunId)).rejects.toMatchObject({ code: 'one_time_run_unknown' });
  expect((await listOneTimeRuns(w.db, w.organizationId)).map(({ state }) => state).sort()).toEqual(['dropped', 'open']);
  await w.setConnection({ state: 'interrupted' });
  await expect(tryIt({ generation: generation + 1 })).rejects.toMatchObject({ code: 'connection_not_active' });
  await w.setConnection({ state: 'active', observe: true });
  await expect(tryIt({ generation: generation + 2 })).rejects.toMatchObject({ code: 'observed_only' });
  const { rows } = await sql<{ action: string; reason: string }>`
    select action, reason from steward.audit_log where organization_id = ${w.organizationId} and action like 'event_types.%' order by at, action`.execute(
    w.db,
  );
  expect(rows).toEqual([
    { action: 'event_types.one_time_run_ordered', reason: 'they asked' },
    { action: 'event_types.one_time_run_undone', reason: 'they asked' },
  ]);
});
