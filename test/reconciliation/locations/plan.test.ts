import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { hostingOfEventType } from '../../../src/reconciliation/locations-hosting.ts';
import { type LocationPlan, planLocations } from '../../../src/reconciliation/locations-plan.ts';
import { useDatabase } from '../../support/database.ts';
import { createLocationWorld, type LocationWorld, online, room, zoom } from './location-world.ts';

const database = useDatabase();

const plan = (w: LocationWorld, assume?: Parameters<typeof planLocations>[1]['assume']) =>
  planLocations(w.db, { organizationId: w.organizationId, adapter: w.adapter, ...(assume ? { assume } : {}) });

/** Groups that hold anything, as [event types, locations]. */
const brief = (p: LocationPlan) =>
  Object.fromEntries(
    Object.entries(p).flatMap(([name, g]) => (g.eventTypes > 0 ? [[name, [g.eventTypes, g.locations]]] : [])),
  );

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  test('the preview of a disconnect says what the cascade does, by kind, and changes nothing', async () => {
    const w = await createLocationWorld(database.db, adapter);
    const plain = await w.addMember();
    const personal = await w.addMember({ personal: 'connected' });
    const nobody = await w.addMember({ zoomUser: false });
    const solo = [
      await w.addEventType({ host: plain, locations: [online] }),
      await w.addEventType({ host: plain, locations: [online, room, online] }),
    ];
    await w.addEventType({ kind: 'group', host: plain, locations: [online, room] });
    await w.addEventType({ host: personal, locations: [online] });
    await w.addEventType({ host: plain, locations: [room] });
    const robin = await w.addEventType({ kind: 'round_robin', hosts: [plain, personal], locations: [online] });
    await w.addEventType({ kind: 'round_robin', hosts: [personal], locations: [online] });
    const unserved = await w.addEventType({ kind: 'managed', host: nobody, locations: [online, room] });

    const now = await plan(w);
    expect(brief(now)).toEqual({ unserved: [1, 1] });
    expect(now.unserved.examples).toEqual([unserved]);

    const disconnect = await plan(w, { state: 'disconnecting' });
    expect(brief(disconnect)).toEqual({
      removed: [4, 5],
      leftWithoutLocation: [1, 1],
      roundRobinLosingHosts: [1, 1],
    });
    expect(disconnect.removed.byKind).toEqual({
      solo: { eventTypes: 2, locations: 3 },
      group: { eventTypes: 1, locations: 1 },
      managed: { eventTypes: 1, locations: 1 },
    });
    expect(disconnect.leftWithoutLocation.examples).toEqual([solo[0]]);
    expect(disconnect.roundRobinLosingHosts.examples).toEqual([robin]);
    await w.setSettings({ fallback: { kind: 'physical' } });
    expect(brief(await plan(w, { state: 'disconnecting' }))).toMatchObject({ replacedByFallback: [1, 1] });
    await w.setSettings({});
    expect(await w.archivesOf(solo[0] as string)).toEqual([]);
    expect(await plan(w)).toEqual(now);

    await w.setConnection({ state: 'disconnecting', cause: 'person' });
    expect(await w.reconcile()).toMatchObject({ removedEventTypes: 4, removed: 5, needsLocation: 1 });
    expect(brief(await plan(w))).toEqual({});

    await w.setConnection({ state: 'active' });
    expect(brief(await plan(w))).toEqual({ offered: [3, 4] });
    await w.setLocations(solo[0] as string, [room]);
    expect(brief(await plan(w))).toEqual({ offered: [2, 3], unflagged: [1, 0] });
    await sql`update steward.archived_locations set accepted_at = steward.now() where organization_id = ${w.organizationId}`.execute(
      w.db,
    );
    expect(brief(await plan(w))).toEqual({ restored: [2, 3], unflagged: [1, 0] });
    expect(await w.reconcile()).toMatchObject({ restoredEventTypes: 2, restored: 3, unflagged: 1 });
    expect(brief(await plan(w))).toEqual({});
  });

  test('settings that take Zoom from somebody are previewed by the same rule', async () => {
    const w = await createLocationWorld(database.db, adapter);
    await sql`update steward_app.members set email = replace(email, 'world.test', 'other.test') where organization_id = ${w.organizationId}`.execute(
      w.db,
    );
    const host = await w.addMember();
    await w.addEventType({ host, locations: [online, room] });
    expect(brief(await plan(w, { rollout: 'domains', rolloutDomains: ['world.test'] }))).toEqual({});
    expect(brief(await plan(w, { rollout: 'domains', rolloutDomains: ['else.test'] }))).toEqual({ removed: [1, 1] });
    expect(brief(await plan(w, { rollout: 'groups', rolloutGroups: [randomUUID()] }))).toEqual({ removed: [1, 1] });
    await sql`insert into steward.opt_outs (organization_id, member_id) values (${w.organizationId}, ${host})`.execute(
      w.db,
    );
    expect(brief(await plan(w))).toEqual({});
    expect(brief(await plan(w, { allowOptOut: true }))).toEqual({ removed: [1, 1] });
  });

  test('pages add up', async () => {
    const w = await createLocationWorld(database.db, adapter);
    const host = await w.addMember();
    for (let i = 0; i < 5; i++) await w.addEventType({ host, locations: [online, room] });
    const { rows } = await sql<{ n: number }>`
      select event_types as n from steward.plan_locations(${w.organizationId}, ${adapter}, '{"state": "disconnecting"}', 2)`.execute(
      w.db,
    );
    expect(rows.map(({ n }) => n)).toEqual([2, 2, 1]);
  });
});

test('hosting of an event type: every server with what they can do now, live', async () => {
  const w = await createLocationWorld(database.db, 'rows');
  const licensed = await w.addMember();
  const personal = await w.addMember({ personal: 'connected' });
  const nobody = await w.addMember({ zoomUser: false });
  const gone = randomUUID();
  const robin = await w.addEventType({
    kind: 'round_robin',
    hosts: [licensed, personal, nobody, gone, { member: await w.addMember(), active: false }],
    locations: [online],
  });
  const hosts = async () =>
    new Map(
      (await hostingOfEventType(w.db, robin)).map(({ memberId, reason, hosting }) => [memberId, [reason, hosting]]),
    );
  expect(await hosts()).toEqual(
    new Map([
      [licensed, ['organization', 'can_host']],
      [personal, ['personal', 'can_host']],
      // Came after the last walk through the directory.
      [nobody, ['organization', 'checking']],
      [gone, ['member_inactive', 'no_connection']],
    ]),
  );
  await w.setConnection({ state: 'interrupted' });
  expect((await hosts()).get(licensed)).toEqual(['organization', 'interrupted']);
  expect(await hostingOfEventType(w.db, randomUUID())).toEqual([]);
  expect(await hostingOfEventType(w.db, await w.addEventType({ kind: 'round_robin', locations: [online] }))).toEqual(
    [],
  );
  const solo = await w.addEventType({ host: personal, locations: [{ kind: zoom }] });
  expect(await hostingOfEventType(w.db, solo)).toMatchObject([
    { memberId: personal, effective: 'personal', hosting: 'can_host' },
  ]);
});
