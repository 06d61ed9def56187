import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { finishOrganizationDisconnect, releaseUndoneGrants } from '../../src/connections/finish-disconnect.ts';
import { createConnectLink } from '../../src/connections/links.ts';
import { endAtDeadline, requestDisconnect } from '../../src/connections/request-disconnect.ts';
import { undoDisconnect } from '../../src/connections/undo-disconnect.ts';
import { releaseGrant } from '../../src/grants/release.ts';
import { useDatabase } from '../support/database.ts';
import { connectActive } from './connecting.ts';
import { advanceClock, connectionRow, insertOrganization, toldTypes } from './organization.ts';
import { playConnections } from './scripted-zoom.ts';

const database = useDatabase();

/** An organization whose deadline ran out; `finished`: its cascade is over. */
async function setting({ finished = true } = {}) {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const { connectionId } = await connectActive(play, organization, `acc-${organization.id}`);
  const row = () => connectionRow(db, connectionId);
  const grantId = (await row()).grant_id as string;
  await sql`update steward.org_connections set state = 'interrupted', interrupted_at = steward.now(), interrupted_reason = 'test'
            where id = ${connectionId}`.execute(db);
  const { generation } = await row();
  await db.transaction().execute((trx) => endAtDeadline(trx, { connectionId, generation, reason: 'test' }));
  const endRun = () =>
    sql`update steward.runs set state = 'done', ended_at = steward.now() where connection_id = ${connectionId} and state = 'queued'`.execute(
      db,
    );
  if (finished) {
    await endRun();
    expect(await finishOrganizationDisconnect(db, organization.id)).toEqual({ outcome: 'finished' });
  }
  await sql`delete from steward.outbox`.execute(db);
  const undo = () =>
    db
      .transaction()
      .execute((trx) => undoDisconnect(trx, { organizationId: organization.id, operator: 'ana', reason: 'ticket 7' }));
  const grantState = async () =>
    (await db.selectFrom('steward.grants').select('state').where('id', '=', grantId).executeTakeFirstOrThrow()).state;
  const owed = async () =>
    (await db.selectFrom('steward.outbox').select('job').orderBy('id').execute()).map((one) => one.job);
  return { db, play, organization, connectionId, grantId, row, undo, grantState, owed, endRun };
}

it('within 24 hours an operator undoes what a deadline ended: active with the same grant, a run, and a look at once', async () => {
  const { db, organization, connectionId, grantId, row, undo, grantState, owed } = await setting();
  expect(await row()).toMatchObject({ state: 'none', grant_id: grantId });
  await advanceClock(db, '23 hours');
  expect(await releaseUndoneGrants(db)).toBe(0);
  const before = await row();
  const undone = await undo();
  expect(undone).toMatchObject({ connectionId, generation: before.generation + 1, duringCascade: false });
  expect(await row()).toMatchObject({
    state: 'active',
    grant_id: grantId,
    disconnected_at: null,
    interrupted_at: null,
  });
  const run = await db.selectFrom('steward.runs').selectAll().where('id', '=', undone.runId).executeTakeFirstOrThrow();
  expect(run).toMatchObject({ state: 'queued', cascade: false, cause: 'disconnect_undone', actor: 'operator:ana' });
  expect(await owed()).toEqual(expect.arrayContaining(['verify-admin-role', 'reconcile-organization']));
  expect((await toldTypes(db, organization.id)).slice(-2)).toEqual(['connection.disconnected', 'connection.resumed']);
  // The seal's end finds a connection that lives.
  await advanceClock(db, '2 hours');
  expect(await releaseUndoneGrants(db)).toBe(0);
  expect(await grantState()).toBe('living');
  await expect(undo()).rejects.toMatchObject({ code: 'nothing_to_undo' });
});

it('while the cascade runs it is superseded; with a link open meanwhile it works as well', async () => {
  const { db, organization, row, undo, endRun } = await setting({ finished: false });
  await createConnectLink(db, { organizationId: organization.id, asker: { memberId: organization.owner.id } });
  expect(await undo()).toMatchObject({ duringCascade: true });
  await endRun();
  expect(await finishOrganizationDisconnect(db, organization.id)).toEqual({ outcome: 'superseded' });
  expect((await row()).state).toBe('active');
  const other = await setting();
  await createConnectLink(db, {
    organizationId: other.organization.id,
    asker: { memberId: other.organization.owner.id },
  });
  expect((await other.row()).state).toBe('pending');
  await other.undo();
  expect((await other.row()).state).toBe('active');
});

it('after 24 hours it is too late, and the grant is released', async () => {
  const { db, row, undo, grantState } = await setting();
  await advanceClock(db, '24 hours');
  await expect(undo()).rejects.toMatchObject({ code: 'undo_too_late' });
  expect(await releaseUndoneGrants(db)).toBe(1);
  expect(await grantState()).toBe('retiring');
  await expect(undo()).rejects.toMatchObject({ code: 'undo_too_late' });
  expect((await row()).state).toBe('none');
});

it('neither a dead grant nor a person’s decision is undone', async () => {
  const { db, grantId, row, undo } = await setting();
  await sql`update steward.grants set state = 'dead', dead_reason = 'refresh_lost' where id = ${grantId}`.execute(db);
  await expect(undo()).rejects.toMatchObject({ code: 'grant_dead', message: expect.stringContaining('refresh_lost') });
  expect((await row()).state).toBe('none');

  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const { connectionId } = await connectActive(play, organization, `acc-${organization.id}`);
  const { generation } = await connectionRow(db, connectionId);
  const undoIt = () =>
    db
      .transaction()
      .execute((trx) => undoDisconnect(trx, { organizationId: organization.id, operator: 'ana', reason: 'ticket 7' }));
  await expect(undoIt()).rejects.toMatchObject({ code: 'nothing_to_undo' });
  await db.transaction().execute((trx) =>
    requestDisconnect(trx, {
      organizationId: organization.id,
      generation,
      typedName: organization.name,
      asker: { memberId: organization.owner.id },
    }),
  );
  await expect(undoIt()).rejects.toMatchObject({ code: 'not_automatic' });
  expect((await connectionRow(db, connectionId)).state).toBe('disconnecting');
});

it('an organization that is gone, or whose plan has no Zoom any more, is not brought back', async () => {
  const gone = await setting();
  await sql`update steward_app.organizations set plan_includes_zoom = false where id = ${gone.organization.id}`.execute(
    gone.db,
  );
  await expect(gone.undo()).rejects.toMatchObject({ code: 'plan_without_zoom' });
  await sql`update steward_app.organizations set plan_includes_zoom = true, deleted_at = now() where id = ${gone.organization.id}`.execute(
    gone.db,
  );
  await expect(gone.undo()).rejects.toMatchObject({ code: 'organization_not_found' });
  expect(await gone.row()).toMatchObject({ state: 'none' });
});

it('while it can be undone, the sealed grant is in use: whoever else gives it up does not end it', async () => {
  const { db, grantId, grantState } = await setting();
  await db
    .transaction()
    .execute((trx) => releaseGrant(trx, { grantId, organizationId: null, actor: 'schedule', reason: 'test' }));
  expect(await grantState()).toBe('living');
});
