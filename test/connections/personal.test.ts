import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import {
  activatePersonal,
  disconnectPersonal,
  settlePersonalConnections,
} from '../../src/connections/personal-connections.ts';
import { fileGrant } from '../../src/grants/grant-repository.ts';
import { Secret } from '../../src/secret.ts';
import { zoomEndpoints } from '../../src/zoom/endpoints.ts';
import { useDatabase } from '../support/database.ts';
import { owed } from './connecting.ts';
import { insertOrganization, toldTypes } from './organization.ts';
import { playConnections } from './scripted-zoom.ts';

const database = useDatabase();

async function setting() {
  const { db } = database;
  const { deps } = playConnections(db);
  const organization = await insertOrganization(db, { users: 1 });
  const memberId = organization.people[0]!.id;
  const actor = `member:${memberId}` as const;
  const file = async (user: string, kind: 'admin' | 'personal' = 'personal') => {
    const filed = await db.transaction().execute((trx) =>
      fileGrant(trx, deps.vault, {
        client: { kind, clientId: `${kind}_app` },
        zoomAccountId: `acc-${organization.id}`,
        zoomUserId: user,
        zoomUserEmail: null,
        tokens: {
          kind: 'tokens',
          accessToken: new Secret('a'),
          refreshToken: new Secret('r'),
          expiresInS: 3600,
          scopes: null,
          apiUrl: null,
        },
        api: zoomEndpoints,
      }),
    );
    return filed.grantId;
  };
  const activate = (grantId: string) =>
    db.transaction().execute((trx) => activatePersonal(trx, { memberId, grantId, actor }));
  const disconnect = () => db.transaction().execute((trx) => disconnectPersonal(trx, { memberId, actor }));
  const row = () =>
    db
      .selectFrom('steward.personal_connections')
      .selectAll()
      .where('member_id', '=', memberId)
      .executeTakeFirstOrThrow();
  const said = async () => {
    const jobs = (await owed(db)).filter(
      (one) => one.job === 'reconcile-member' && one.payload['memberId'] === memberId,
    ).length;
    await sql`delete from steward.outbox`.execute(db);
    return jobs;
  };
  return { db, organization, memberId, file, activate, disconnect, row, said };
}

describe('managed personal connections', () => {
  it('become active by consent, end by the member, keep their id, and say each time that the member changed', async () => {
    const { db, organization, file, activate, disconnect, row, said } = await setting();
    const first = await file('u1');
    const id = await activate(first);
    expect(await row()).toMatchObject({ id, state: 'active', grant_id: first, zoom_user_id: 'u1' });
    expect(await said()).toBe(1);
    await disconnect();
    await disconnect();
    expect(await row()).toMatchObject({ id, state: 'disconnected', grant_id: null });
    expect(await said()).toBe(1);
    const grant = await db
      .selectFrom('steward.grants')
      .select('state')
      .where('id', '=', first)
      .executeTakeFirstOrThrow();
    expect(grant.state).toBe('retiring');
    expect(await activate(await file('u1'))).toBe(id);
    expect(await toldTypes(db, organization.id)).toEqual([
      'personal.active',
      'personal.disconnected',
      'personal.active',
    ]);
  });

  it('take only a living grant of the personal app, and release the one they leave', async () => {
    const { db, file, activate, row } = await setting();
    await expect(activate(await file('u2', 'admin'))).rejects.toMatchObject({ code: 'grant_not_usable' });
    const first = await file('u3');
    await activate(first);
    const second = await file('u4');
    await activate(second);
    expect((await row()).grant_id).toBe(second);
    const left = await db
      .selectFrom('steward.grants')
      .select('state')
      .where('id', '=', first)
      .executeTakeFirstOrThrow();
    // Another grant lives on that account: secrets are deleted, nothing is revoked.
    expect(left.state).toBe('gone');
  });

  it('are suspect, broken and active with their grant, told when they break and when they heal', async () => {
    const { db, organization, file, activate, row, said } = await setting();
    const grantId = await file('u5');
    await activate(grantId);
    await said();
    const grant = (state: string, reason: string | null) =>
      sql`update steward.grants set state = ${state}, dead_reason = ${reason} where id = ${grantId}`.execute(db);
    await grant('suspect', null);
    expect(await settlePersonalConnections(db)).toBe(1);
    await grant('dead', 'revoked');
    expect((await Promise.all([settlePersonalConnections(db), settlePersonalConnections(db)])).sort()).toEqual([0, 1]);
    expect((await row()).state).toBe('broken');
    await grant('living', null);
    await settlePersonalConnections(db);
    expect((await row()).state).toBe('active');
    expect(await said()).toBe(3);
    expect(await toldTypes(db, organization.id)).toEqual(['personal.active', 'personal.broken', 'personal.active']);
  });
});
