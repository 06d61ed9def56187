import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { requestDisconnect } from '../../src/connections/request-disconnect.ts';
import type { JobDefinition, Payload } from '../../src/jobs/contract/definition.ts';
import { disconnectOrganization } from '../../src/jobs/disconnect-organization.ts';
import { reconcileDue } from '../../src/jobs/reconcile-due.ts';
import { reconcileEventType } from '../../src/jobs/reconcile-event-type.ts';
import { reconcileMember } from '../../src/jobs/reconcile-member.ts';
import { reconcileOrganization } from '../../src/jobs/reconcile-organization.ts';
import { createJobServices } from '../../src/jobs/services/create-job-services.ts';
import { syncZoomDirectory } from '../../src/jobs/sync-zoom-directory.ts';
import { verifyAdminRole } from '../../src/jobs/verify-admin-role.ts';
import { defaultGuardRail } from '../../src/reconciliation/guard-rail.ts';
import { connectActive } from '../connections/connecting.ts';
import { advanceClock, connectionRow, insertOrganization, toldTypes } from '../connections/organization.ts';
import { playConnections } from '../connections/scripted-zoom.ts';
import { useDatabase } from '../support/database.ts';
import { performJob } from './perform-job.ts';

const database = useDatabase({ max: 20 });

test('every job, with what it really calls, run three times at once and once more: the end state is that of once', async () => {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db, { users: 20 });
  const organizationId = organization.id;
  const account = `acc-${organizationId}`;
  const { connectionId } = await connectActive(play, organization, account);
  const host = organization.people[0]!;
  const eventTypeId = randomUUID();
  await sql`insert into steward_app.event_types (id, organization_id, kind, host_member_id, title)
            values (${eventTypeId}, ${organizationId}, 'solo', ${host.id}, 'Call')`.execute(db);
  for (const [position, kind] of ['zoom_conference', 'physical'].entries()) {
    await sql`insert into steward_app.locations (id, organization_id, event_type_id, position, kind)
              values (${randomUUID()}, ${organizationId}, ${eventTypeId}, ${position}, ${kind})`.execute(db);
  }
  const services = createJobServices({
    connections: play.deps,
    adapter: 'rows',
    guard: defaultGuardRail,
    chunkSize: 7,
    chunkMs: 0,
    zoomShare: 1,
  });
  const perform = <P extends Payload>(job: JobDefinition<P>, payload: P) => performJob(db, job, payload, services);

  /** Everything that a job could leave behind, times aside: what was told, stored, owed to Zoom. */
  const world = async () => {
    const { rows } = await sql`
      select (select jsonb_agg(jsonb_build_array(member_id, effective, hosting, zoom_user_id, changed_at) order by member_id)
                from steward.member_connections where organization_id = ${organizationId}) as members,
             (select jsonb_agg(to_jsonb(l) order by l.id) from steward_app.locations l where event_type_id = ${eventTypeId}) as locations,
             (select count(*) from steward.archived_locations where event_type_id = ${eventTypeId}) as archived,
             (select jsonb_agg(jsonb_build_array(type, subject_id) order by seq) from steward.events where organization_id = ${organizationId}) as told,
             (select jsonb_agg(jsonb_build_array(generation, state, cascade) order by created_at, generation) from steward.runs
               where organization_id = ${organizationId} and target = 'organization') as runs,
             (select jsonb_agg(jsonb_build_array(id, state, version) order by id) from steward.grants where zoom_account_id = ${account}) as grants,
             (select count(*) from steward.directory_users where zoom_account_id = ${account}) as directory`.execute(
      db,
    );
    const { state, generation, grant_id } = await connectionRow(db, connectionId);
    return { ...(rows[0] as { members: unknown; locations: unknown }), state, generation, grant_id };
  };
  /** Three at once until none has anything left to do, and then once more, which must change nothing. */
  async function thrice<P extends Payload>(
    job: JobDefinition<P>,
    payload: P,
    isOver = async () => true,
  ): Promise<void> {
    for (let turn = 0; turn < 50; turn += 1) {
      const outcomes = await Promise.all([1, 2, 3].map(() => perform(job, payload)));
      for (const outcome of outcomes)
        expect(outcome.kind, `${job.name}: ${JSON.stringify(outcome)}`).not.toBe('failed');
      if (outcomes.some(({ kind }) => kind !== 'snooze') && (await isOver())) break;
      expect(turn, `${job.name} comes to an end`).toBeLessThan(49);
    }
    const after = await world();
    expect((await perform(job, payload)).kind, job.name).not.toBe('failed');
    expect(await world(), `${job.name}, once more`).toEqual(after);
  }
  const openRun = async () => {
    const { rows } = await sql<{ id: string }>`
      select id from steward.runs where organization_id = ${organizationId} and target = 'organization' and state in ('queued', 'running')`.execute(
      db,
    );
    return rows[0]?.id;
  };
  const runIsOver = async () => (await openRun()) === undefined;

  await thrice(reconcileOrganization, { organizationId, runId: (await openRun()) as string }, runIsOver);
  expect((await world()).members).toHaveLength(22);
  await thrice(reconcileMember, { memberId: host.id });
  await thrice(reconcileEventType, { eventTypeId });
  await thrice(verifyAdminRole, { connectionId });
  await thrice(verifyAdminRole, { grantId: (await connectionRow(db, connectionId)).grant_id as string, probe: true });
  await thrice(syncZoomDirectory, { zoomAccountId: account, zoomUserId: `${account}-u0` });
  await advanceClock(db, '7 hours');
  await thrice(syncZoomDirectory, { zoomAccountId: account });
  expect((await world()).locations).toHaveLength(2);

  const { generation } = await connectionRow(db, connectionId);
  const { grant_id: grantId } = await connectionRow(db, connectionId);
  await db.transaction().execute((trx) =>
    requestDisconnect(trx, {
      organizationId,
      generation,
      typedName: organization.name,
      asker: { memberId: organization.owner.id },
    }),
  );
  await thrice(disconnectOrganization, { organizationId, runId: (await openRun()) as string }, runIsOver);
  expect(await connectionRow(db, connectionId)).toMatchObject({ state: 'none', grant_id: null });
  expect(await world()).toMatchObject({ archived: 1, locations: [{ kind: 'physical' }] });
  await thrice(verifyAdminRole, { grantId: grantId as string });
  await thrice(reconcileDue, {});
  const once = (await toldTypes(db, organizationId)).filter((type) => type.startsWith('connection.'));
  expect(once).toEqual(['connection.activated', 'connection.disconnecting', 'connection.disconnected']);
  expect(play.scripted.zoom.calls).toContain('revoke');
});
