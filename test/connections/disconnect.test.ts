import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { watchDeadlines } from '../../src/connections/deadline.ts';
import {
  finishDisconnect,
  finishOrganizationDisconnect,
  releaseUndoneGrants,
} from '../../src/connections/finish-disconnect.ts';
import { createConnectLink, revokeConnectLink } from '../../src/connections/links.ts';
import { endGoneOrganizations, noticePlans, watchPlans } from '../../src/connections/plan-and-organization.ts';
import { endConnection, requestDisconnect } from '../../src/connections/request-disconnect.ts';
import { nameStuckCascades } from '../../src/connections/stuck-cascades.ts';
import { remindDeadlines } from '../../src/jobs/upkeep/remind-deadlines.ts';
import { hold, untilSomebodyWaits } from '../reconciliation/locations/hold.ts';
import { useDatabase } from '../support/database.ts';
import { advance, begin, connectActive, consent } from './connecting.ts';
import { advanceClock, advanceToMorning, connectionRow, insertOrganization, toldTypes } from './organization.ts';
import { playConnections } from './scripted-zoom.ts';

const database = useDatabase({ max: 20 });

async function setting() {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const { connectionId, admin } = await connectActive(play, organization, `acc-${organization.id}`);
  const row = () => connectionRow(db, connectionId);
  const disconnect = (said: Partial<{ generation: number; typedName: string; memberId: string }> = {}) =>
    db.transaction().execute((trx) =>
      requestDisconnect(trx, {
        organizationId: organization.id,
        generation: said.generation ?? 2,
        typedName: said.typedName ?? organization.name,
        asker: { memberId: said.memberId ?? organization.owner.id },
      }),
    );
  const grantState = async (id: string) =>
    (await db.selectFrom('steward.grants').select('state').where('id', '=', id).executeTakeFirstOrThrow()).state;
  /** The cascade's last chunk, as the engine would leave it. */
  const endRun = () =>
    sql`update steward.runs set state = 'done', ended_at = steward.now() where connection_id = ${connectionId} and state = 'queued'`.execute(
      db,
    );
  const reconnect = async () => {
    const { candidateId } = await consent(play, organization, admin);
    return advance(play.deps, candidateId);
  };
  return { db, play, ...play, organization, connectionId, admin, row, disconnect, grantState, endRun, reconnect };
}

describe('disconnecting', () => {
  it('takes the preview it was decided on, the name typed, and the right to do it', async () => {
    const { disconnect, organization, row } = await setting();
    await expect(disconnect({ generation: 1 })).rejects.toMatchObject({ code: 'stale_preview' });
    await expect(disconnect({ generation: 3 })).rejects.toMatchObject({ code: 'stale_preview' });
    await expect(disconnect({ typedName: 'Organisation' })).rejects.toMatchObject({ code: 'name_mismatch' });
    await expect(disconnect({ memberId: organization.people[0]!.id })).rejects.toMatchObject({ code: 'forbidden' });
    expect(await row()).toMatchObject({ state: 'active', generation: 2, disconnected_at: null });
    await disconnect({ memberId: organization.admin.id, typedName: ` ${organization.name}` });
    expect(await row()).toMatchObject({ state: 'disconnecting', generation: 3, disconnect_cause: 'person' });
  });

  it('writes the cascade and cancels open links, attempts and candidates in one transaction', async () => {
    const { db, deps, disconnect, organization, connectionId, admin, play } = await setting();
    const link = await createConnectLink(db, {
      organizationId: organization.id,
      asker: { memberId: organization.owner.id },
    });
    const other = { ...admin, id: `${admin.id}-2`, email: 'x@elsewhere.example' };
    const { candidateId } = await consent(play, organization, other, { link });
    await begin(deps, link);
    await disconnect();
    const runs = await db
      .selectFrom('steward.runs')
      .selectAll()
      .where('connection_id', '=', connectionId)
      .orderBy('generation')
      .execute();
    expect(runs.map((run) => [run.generation, run.cascade, run.state])).toEqual([
      [2, false, 'superseded'],
      [3, true, 'queued'],
    ]);
    const states = await sql<{ state: string }>`
      select state from steward.connect_links where id = ${link.linkId}
      union all select state from steward.connect_attempts where link_id = ${link.linkId} and state <> 'done'
      union all select state from steward.candidates where id = ${candidateId}`.execute(db);
    expect(states.rows.map((one) => one.state)).toEqual(['revoked', 'void', 'cancelled']);
  });

  it('twice at once is decided once; the second is stale', async () => {
    const { db, disconnect, organization, row } = await setting();
    const results = await Promise.allSettled([disconnect(), disconnect(), disconnect()]);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect((await row()).generation).toBe(3);
    expect((await toldTypes(db, organization.id)).filter((type) => type === 'connection.disconnecting')).toHaveLength(
      1,
    );
  });

  it('finishes once, under the generation of its cascade, and retires the grant', async () => {
    const { db, disconnect, connectionId, row, endRun, grantState, organization } = await setting();
    const grantId = (await row()).grant_id!;
    const { runId } = await disconnect();
    expect(await finishOrganizationDisconnect(db, organization.id)).toEqual({ outcome: 'superseded' });
    await endRun();
    const finish = (generation: number) =>
      db
        .transaction()
        .execute((trx) => finishDisconnect(trx, { connectionId, generation, runId: runId!, counts: { locations: 3 } }));
    expect(await finish(2)).toEqual({ outcome: 'superseded' });
    const both = await Promise.all([finish(3), finishOrganizationDisconnect(db, organization.id)]);
    expect(both.map((one) => one.outcome).sort()).toEqual(['finished', 'superseded']);
    expect(await row()).toMatchObject({
      state: 'none',
      generation: 3,
      grant_id: null,
      zoom_account_id: `acc-${organization.id}`,
    });
    expect((await row()).disconnected_at).not.toBeNull();
    expect(await grantState(grantId)).toBe('retiring');
    expect((await toldTypes(db, organization.id)).at(-1)).toBe('connection.disconnected');
  });

  it('reconnecting while the cascade runs wins: superseded, everything returns, the id stays', async () => {
    const { db, disconnect, connectionId, row, reconnect, endRun, organization, grantState } = await setting();
    const { runId } = await disconnect();
    expect(await reconnect()).toMatchObject({ state: 'active', generation: 4 });
    const after = await row();
    expect(after).toMatchObject({ id: connectionId, state: 'active', generation: 4, disconnected_at: null });
    expect(after.restore_generations.map(Number)).toEqual([3]);
    expect(await grantState(after.grant_id!)).toBe('living');
    const run = await db.selectFrom('steward.runs').select('state').where('id', '=', runId!).executeTakeFirstOrThrow();
    expect(run.state).toBe('superseded');
    await endRun();
    expect(await finishOrganizationDisconnect(db, organization.id)).toEqual({ outcome: 'superseded' });
    expect(
      await db.transaction().execute((trx) => finishDisconnect(trx, { connectionId, generation: 3, runId: runId! })),
    ).toEqual({ outcome: 'superseded' });
    expect((await row()).state).toBe('active');
  });

  it('a link made while the cascade runs is open afterwards too: pending, and back to none when it ends', async () => {
    const { db, disconnect, row, endRun, organization } = await setting();
    await disconnect();
    const asker = { memberId: organization.owner.id };
    const { linkId } = await createConnectLink(db, { organizationId: organization.id, asker });
    expect((await row()).state).toBe('disconnecting');
    await endRun();
    expect(await finishOrganizationDisconnect(db, organization.id)).toEqual({ outcome: 'finished' });
    expect(await row()).toMatchObject({ state: 'pending', generation: 3, grant_id: null });
    await db.transaction().execute((trx) => revokeConnectLink(trx, { linkId, asker }));
    expect((await row()).state).toBe('none');
  });

  it('and reconnecting race for the last moment: whoever is second sees the other, nothing is left between', async () => {
    const { db, disconnect, row, endRun, organization, play, admin, deps, grantState } = await setting();
    await disconnect();
    await endRun();
    const { candidateId } = await consent(play, organization, admin);
    const [finished, advanced] = await Promise.all([
      finishOrganizationDisconnect(db, organization.id),
      advance(deps, candidateId),
    ]);
    const after = await row();
    expect(advanced).toMatchObject({ state: 'active' });
    expect(after).toMatchObject({ state: 'active', generation: 4 });
    expect(await grantState(after.grant_id!)).toBe('living');
    // Ended before the reconnect: a finished disconnect by a person is offered, not restored by itself.
    expect(after.restore_generations.map(Number)).toEqual(finished.outcome === 'finished' ? [] : [3]);
  });

  it('a pending organization only cancels its links', async () => {
    const { db } = database;
    const organization = await insertOrganization(db);
    const link = await createConnectLink(db, {
      organizationId: organization.id,
      asker: { memberId: organization.owner.id },
    });
    const result = await db.transaction().execute((trx) =>
      requestDisconnect(trx, {
        organizationId: organization.id,
        generation: 1,
        typedName: organization.name,
        asker: { memberId: organization.owner.id },
      }),
    );
    expect(result).toMatchObject({ state: 'none', runId: null });
    expect(await connectionRow(db, link.connectionId)).toMatchObject({ state: 'none', disconnected_at: null });
  });

  it('a cascade that does not end is named once for operators, unless they stopped it; nothing changes', async () => {
    const { db, disconnect, connectionId, row, endRun } = await setting();
    await disconnect();
    const named = async () => {
      const entries = db.selectFrom('steward.audit_log').select('data').where('subject_id', '=', connectionId);
      return (await entries.where('action', '=', 'connection.cascade_stuck').execute()).length;
    };
    expect(await nameStuckCascades(db)).toBe(0);
    await advanceClock(db, '1 hour');
    await sql`insert into steward.switches (name, reason, actor, since) values ('pause_writes', 'test', 'operator:ana', steward.now())`.execute(
      db,
    );
    await nameStuckCascades(db);
    expect(await named()).toBe(0);
    await sql`delete from steward.switches`.execute(db);
    await nameStuckCascades(db);
    await nameStuckCascades(db);
    expect(await named()).toBe(1);
    expect(await row()).toMatchObject({ state: 'disconnecting', generation: 3 });
    await endRun();
  });

  it('after an automatic cascade the grant stays sealed for 24 hours', async () => {
    const { db, row, connectionId, grantState, endRun, organization } = await setting();
    const grantId = (await row()).grant_id!;
    await sql`update steward.org_connections set state = 'disconnecting', disconnect_cause = 'deadline', disconnected_at = steward.now() where id = ${connectionId}`.execute(
      db,
    );
    await sql`update steward.runs set cascade = true where connection_id = ${connectionId}`.execute(db);
    await endRun();
    expect(await finishOrganizationDisconnect(db, organization.id)).toEqual({ outcome: 'finished' });
    await releaseUndoneGrants(db);
    expect(await row()).toMatchObject({ state: 'none', grant_id: grantId });
    expect(await grantState(grantId)).toBe('living');
    await advanceClock(db, '24 hours');
    await Promise.all([releaseUndoneGrants(db), releaseUndoneGrants(db)]);
    expect((await row()).grant_id).toBeNull();
    expect(await grantState(grantId)).toBe('retiring');
  });
});

describe('organizations and plans that end', () => {
  it('a deleted organization is disconnected, whether somebody said so or not, once', async () => {
    const { db, organization, row } = await setting();
    await sql`update steward_app.organizations set deleted_at = now() where id = ${organization.id}`.execute(db);
    expect(await endGoneOrganizations(db)).toBe(1);
    expect(await endGoneOrganizations(db)).toBe(0);
    expect(await row()).toMatchObject({ state: 'disconnecting', disconnect_cause: 'organization_deleted' });
    const again = await db
      .transaction()
      .execute((trx) => endConnection(trx, { organizationId: organization.id, cause: 'organization_deleted' }));
    expect(again).toMatchObject({ state: 'disconnecting', generation: 3, runId: null });
  });

  it('many that are merely missing at once are evidence about the view: nothing is disconnected', async () => {
    const { db } = database;
    const lost = await Promise.all([1, 2, 3, 4].map(() => setting()));
    await sql`delete from steward_app.organizations where id = any(${lost.map((one) => one.organization.id)})`.execute(
      db,
    );
    expect(await endGoneOrganizations(db)).toBe(0);
    for (const one of lost) expect((await one.row()).state).toBe('active');
    await sql`insert into steward_app.organizations (id, name) values (${lost[0]!.organization.id}, 'back')`.execute(
      db,
    );
    expect(await endGoneOrganizations(db)).toBe(3);
    expect((await lost[0]!.row()).state).toBe('active');
  });

  it('a view that lost everybody disconnects nobody, however few of them are looked at in one go', async () => {
    const { db } = database;
    await sql`
      insert into steward.org_connections (id, organization_id, state, created_at)
      select gen_random_uuid(), gen_random_uuid(), 'active', steward.now() from generate_series(1, 20)`.execute(db);
    expect(await endGoneOrganizations(db, 3)).toBe(0);
    await sql`delete from steward.org_connections c where grant_id is null and state = 'active'`.execute(db);
  });

  it('a plan without Zoom is told, reminded of and disconnects after the deadline unless it comes back', async () => {
    const { db, organization, row } = await setting();
    const deliver = () =>
      sql`update steward.events set delivered_at = steward.now() where organization_id = ${organization.id}`.execute(
        db,
      );
    const costs = { membersLosingHosting: 6 };
    const remind = () => remindDeadlines(db, { previewDisconnect: async () => costs });
    const plan = (includes: boolean) =>
      sql`update steward_app.organizations set plan_includes_zoom = ${includes} where id = ${organization.id}`.execute(
        db,
      );
    await plan(false);
    await watchPlans(db);
    await deliver();
    await watchDeadlines(db);
    await advanceClock(db, '10 days');
    await watchPlans(db);
    await Promise.all([remind(), remind()]);
    await plan(true);
    await watchPlans(db);
    expect((await row()).plan_deadline_at).toBeNull();
    await advanceClock(db, '30 days');
    await watchPlans(db);
    expect((await row()).state).toBe('active');
    await plan(false);
    await watchPlans(db);
    // Nobody has taken the notice yet: no clock runs.
    await watchDeadlines(db);
    await advanceClock(db, '30 days');
    await watchPlans(db);
    expect(await row()).toMatchObject({ state: 'active', plan_deadline_at: null });
    await deliver();
    await watchDeadlines(db);
    // As after an outage of ours: the tick moves the deadline, and nothing ends before it.
    const { plan_deadline_at: first } = await row();
    await sql`update steward.installation set value = to_jsonb(clock_timestamp() - interval '1 day') where key = 'deadlines.watched_at'`.execute(
      db,
    );
    await advanceToMorning(db, '18 days');
    await watchPlans(db);
    expect((await row()).state).toBe('active');
    await watchDeadlines(db);
    expect((await row()).plan_deadline_at!.getTime() - first!.getTime()).toBeGreaterThanOrEqual(86_000_000);
    await advanceToMorning(db, '4 days');
    await advanceClock(db, '-14 hours');
    // In the evening before nobody would see it.
    await watchPlans(db);
    expect((await row()).state).toBe('active');
    await advanceClock(db, '14 hours');
    await watchPlans(db);
    expect(await row()).toMatchObject({ state: 'disconnecting', disconnect_cause: 'plan_ended' });
    expect((await toldTypes(db, organization.id)).slice(1)).toEqual([
      'connection.plan_ended',
      'connection.plan_deadline_started',
      'connection.plan_reminder',
      'connection.plan_resumed',
      'connection.plan_ended',
      'connection.plan_deadline_started',
      'connection.disconnecting',
    ]);
    const { data } = await db
      .selectFrom('steward.events')
      .select('data')
      .where('type', '=', 'connection.plan_reminder')
      .where('organization_id', '=', organization.id)
      .executeTakeFirstOrThrow();
    expect(data).toMatchObject({ daysLeft: 7, reason: 'plan_ended', ...costs });
  });

  it('a plan that comes back while others of the list are ended is not ended with them', async () => {
    const { db, organization, connectionId, row } = await setting();
    await advanceToMorning(db, '1 day');
    await watchDeadlines(db);
    const plan = (trx: typeof db, includes: boolean) =>
      sql`update steward_app.organizations set plan_includes_zoom = ${includes} where id = ${organization.id}`.execute(
        trx,
      );
    await plan(db, false);
    await sql`
      update steward.org_connections set plan_ended_at = steward.now() - interval '20 days', plan_deadline_at = steward.now()
       where id = ${connectionId}`.execute(db);
    const renewal = hold(db, async (trx) => {
      await plan(trx, true);
      await noticePlans(trx, organization.id);
    });
    await renewal.ready;
    const watching = watchPlans(db);
    await untilSomebodyWaits(db);
    await renewal.commit();
    expect(await watching).toBe(0);
    expect(await row()).toMatchObject({ state: 'active', plan_ended_at: null });
  });
});
