import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { reconcileMember } from '../../../src/reconciliation/reconcile-member.ts';
import { useDatabase } from '../../support/database.ts';
import { createLocationWorld, online, room } from './location-world.ts';

const database = useDatabase();

describe.each(['rows', 'json'] as const)('%s', (adapter) => {
  test('a member who was deleted before anybody looked at them loses Zoom by the look that is said', async () => {
    const w = await createLocationWorld(database.db, adapter);
    const [gone, cohost] = [await w.addMember(), await w.addMember()];
    const solo = await w.addEventType({ host: gone, locations: [online, room] });
    const team = await w.addEventType({ kind: 'round_robin', hosts: [cohost], locations: [online, room] });
    await sql`delete from steward_app.members where id in (${gone}, ${cohost})`.execute(w.db);
    for (const memberId of [gone, cohost])
      expect(await reconcileMember(w.db, memberId, { cause: 'member_changed', actor: 'app', adapter })).toMatchObject({
        state: 'written',
        counts: { 'locations.removedEventTypes': 1 },
      });
    expect([await w.kindsOf(solo), await w.kindsOf(team)]).toEqual([['physical'], ['physical']]);
  });

  test('the flag of an event type that was deleted or moved away goes with the next pass; under observe it stays', async () => {
    const w = await createLocationWorld(database.db, adapter);
    const host = await w.addMember();
    const ids = [];
    for (let i = 0; i < 3; i++) ids.push(await w.addEventType({ host, locations: [online] }));
    await w.setConnection({ state: 'disconnecting', cause: 'person' });
    expect(await w.reconcile()).toMatchObject({ needsLocation: 3 });
    const [deleted, moved, left] = ids;
    await sql`delete from steward_app.event_types where id = ${deleted}`.execute(w.db);
    await sql`update steward_app.event_types set organization_id = gen_random_uuid() where id = ${moved}`.execute(w.db);
    const flags = () =>
      w.db
        .selectFrom('steward.event_type_flags')
        .select('event_type_id')
        .where('organization_id', '=', w.organizationId)
        .execute();
    const observe = (on: boolean) =>
      sql`update steward.org_connections set observe = ${on} where organization_id = ${w.organizationId}`.execute(w.db);
    await observe(true);
    await w.reconcile();
    expect(await flags()).toHaveLength(3);
    await observe(false);
    await w.reconcile(1);
    expect(await flags()).toEqual([{ event_type_id: left }]);
  });
});
