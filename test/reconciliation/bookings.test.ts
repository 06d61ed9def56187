import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { planOrganization } from '../../src/reconciliation/plan.ts';
import { reconcileMember } from '../../src/reconciliation/reconcile-member.ts';
import { useDatabase } from '../support/database.ts';
import { type FilledOrganization, fillOrganization, memberOf } from './support/fill-organization.ts';
import { changeConnection, eventsSince, lastEvent, playRun, reconcileAll, rowVersions } from './support/play-runs.ts';

const database = useDatabase();

type Booking = { name: string; days?: number; status?: string; connection?: string; account?: string | null };

/** Bookings of the organization, by name; a meeting of the org connection's account in a week, unless said otherwise. */
async function book(org: FilledOrganization, bookings: readonly Booking[]): Promise<void> {
  for (const { name, days = 7, status = 'booked', connection = org.connectionId, account = org.account } of bookings) {
    await sql`
      insert into steward_app.bookings (id, organization_id, starts_at, status, meeting_connection_id, meeting_zoom_account_id, join_url)
      values (${randomUUID()}, ${org.organizationId}, steward.now() + ${days} * interval '1 day', ${status}, ${connection}, ${account}, ${name})`.execute(
      database.db,
    );
  }
}

async function detached(org: FilledOrganization): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select join_url as name from steward_app.bookings where organization_id = ${org.organizationId} and detached_at is not null order by 1`.execute(
    database.db,
  );
  return rows.map(({ name }) => name);
}

test('a disconnect detaches meetings to come, as the preview said; the same account back attaches them', async () => {
  const org = await fillOrganization(database.db, 5);
  await book(org, [
    { name: 'one' },
    { name: 'two', account: null },
    { name: 'past', days: -1 },
    { name: 'cancelled', status: 'cancelled' },
    { name: 'somebody else’s', connection: randomUUID() },
  ]);
  await reconcileAll(database.db, org);
  const plan = await planOrganization(database.db, org.organizationId, { assume: { state: 'disconnecting' } });
  expect(plan.bookings).toEqual({ detached: 2, attached: 0 });

  const from = await lastEvent(database.db);
  await playRun(database.db, await changeConnection(database.db, org, { state: 'disconnecting' }), { chunkSize: 2 });
  expect(await detached(org)).toEqual(['one', 'two']);
  expect(await eventsSince(database.db, org.organizationId, from)).toContainEqual({
    type: 'bookings.detached',
    data: { cause: 'disconnecting', count: 2 },
  });

  // After the cascade nothing is left to do.
  await playRun(database.db, await changeConnection(database.db, org, { state: 'none' }));
  const before = await rowVersions(database.db, org.organizationId);
  expect(await reconcileAll(database.db, org)).toMatchObject({ counts: {} });
  expect(await rowVersions(database.db, org.organizationId)).toEqual(before);

  await playRun(database.db, await changeConnection(database.db, org, { state: 'active' }));
  // Of a meeting whose account nobody knows nothing is concluded.
  expect(await detached(org)).toEqual(['two']);
});

test('another Zoom account detaches the meetings of the one before; an interruption detaches none', async () => {
  const org = await fillOrganization(database.db, 5);
  await book(org, [{ name: 'old' }, { name: 'new', account: 'another' }]);
  await playRun(database.db, await changeConnection(database.db, org, { state: 'interrupted' }));
  expect(await detached(org)).toEqual(['new']);
  await playRun(database.db, await changeConnection(database.db, org, { state: 'active', zoomAccountId: 'another' }));
  expect(await detached(org)).toEqual(['old']);
});

test('meetings of a managed personal connection go and come with it, by the look and by the run', async () => {
  const org = await fillOrganization(database.db, 5);
  const member = await memberOf(database.db, org, 1);
  const connection = randomUUID();
  const set = (state: string) =>
    sql`insert into steward.personal_connections (id, organization_id, member_id, state, zoom_account_id)
        values (${connection}, ${org.organizationId}, ${member}, ${state}, 'own')
        on conflict (organization_id, member_id) do update set state = excluded.state`.execute(database.db);
  await set('active');
  await book(org, [{ name: 'own', connection, account: 'own' }]);
  const look = () => reconcileMember(database.db, member, { cause: 'member_changed', actor: 'app' });
  await look();
  expect(await detached(org)).toEqual([]);
  await set('broken');
  await look();
  expect(await detached(org)).toEqual([]);
  await set('disconnected');
  await look();
  expect(await detached(org)).toEqual(['own']);
  await set('active');
  await reconcileAll(database.db, org);
  expect(await detached(org)).toEqual([]);
});
