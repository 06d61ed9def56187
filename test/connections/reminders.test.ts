import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import { advanceCandidate } from '../../src/connections/advance-candidate.ts';
import { confirmCandidate } from '../../src/connections/confirm-candidate.ts';
import { expireLinks, listDueCandidates } from '../../src/connections/due-work.ts';
import { createConnectLink, extendConnectLink } from '../../src/connections/links.ts';
import { remindLinks } from '../../src/connections/remind-links.ts';
import { useDatabase } from '../support/database.ts';
import { accountWith, advance, begin, consent } from './connecting.ts';
import { advanceClock, connectionRow, insertOrganization } from './organization.ts';
import { playConnections } from './scripted-zoom.ts';

const database = useDatabase();
// Links of the tests before are not what a test counts.
beforeEach(() => sql`delete from steward.events`.execute(database.db));
beforeEach(() => sql`update steward.connect_links set state = 'revoked' where state = 'open'`.execute(database.db));

async function setting({ asker = 'owner' }: { asker?: 'owner' | 'admin' | 'operator' } = {}) {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db, { users: 2 });
  const by = asker === 'operator' ? { operator: 'ana', reason: 'ticket 7' } : { memberId: organization[asker].id };
  const link = await createConnectLink(db, { organizationId: organization.id, asker: by });
  const admin = accountWith(play.scripted, `acc-${organization.id}`, [], `it@${organization.domain}`);
  const told = async (type: string) => {
    const rows = await db
      .selectFrom('steward.events')
      .select('data')
      .where('organization_id', '=', organization.id)
      .where('type', '=', type)
      .orderBy('seq')
      .execute();
    return rows.map((row) => row.data as Record<string, unknown>);
  };
  return { db, ...play, play, organization, link, admin, told };
}

describe('whoever issued a link', () => {
  it('is reminded after a day and in its last day, once each, with how far it came, and told when it ends', async () => {
    const { db, deps, organization, link, told } = await setting();
    await advanceClock(db, '23 hours');
    expect(await remindLinks(db)).toBe(0);
    await begin(deps, link);
    await advanceClock(db, '1 hour');
    expect((await Promise.all([remindLinks(db), remindLinks(db)])).sort()).toEqual([0, 1]);
    await advanceClock(db, '11 days');
    expect(await remindLinks(db)).toBe(0);
    await advanceClock(db, '1 day');
    expect(await remindLinks(db)).toBe(1);
    expect(await remindLinks(db)).toBe(0);
    const issuer = { linkId: link.linkId, issuerMemberId: organization.owner.id, issuerOperator: null };
    expect(await told('connection.link_reminder')).toEqual([
      { ...issuer, why: 'still_open', progress: 'waiting_for_zoom_admin', expiresAt: expect.any(String) },
      { ...issuer, why: 'expires_soon', progress: 'waiting_for_zoom_admin', expiresAt: expect.any(String) },
    ]);
    await advanceClock(db, '1 day');
    await expireLinks(db);
    expect(await remindLinks(db)).toBe(0);
    expect(await told('connection.link_ended')).toEqual([{ ...issuer, ended: 'expired' }]);
  });

  it('is reminded before the new end of an extended link, and not at once', async () => {
    const { db, organization, link } = await setting();
    await advanceClock(db, '13 days 1 hour');
    expect(await remindLinks(db)).toBe(1);
    const asker = { memberId: organization.admin.id };
    await db.transaction().execute((trx) => extendConnectLink(trx, { linkId: link.linkId, asker }));
    expect(await remindLinks(db)).toBe(0);
    await advanceClock(db, '12 days');
    expect(await remindLinks(db)).toBe(0);
    await advanceClock(db, '1 day');
    expect(await remindLinks(db)).toBe(1);
  });

  it('is not reminded while an approval waits for an owner', async () => {
    const { db, play, organization, admin, link } = await setting();
    const { candidateId } = await consent(play, organization, admin, { link });
    expect(await advance(play.deps, candidateId)).toMatchObject({ state: 'awaiting_confirmation' });
    await advanceClock(db, '25 hours');
    expect(await remindLinks(db)).toBe(0);
  });

  it('who may not ask any more is not reminded: the link passes to an owner, who is told', async () => {
    const { db, organization, link, told } = await setting({ asker: 'admin' });
    await sql`update steward_app.members set role = 'user' where id = ${organization.admin.id}`.execute(db);
    await advanceClock(db, '1 day');
    expect(await remindLinks(db)).toBe(0);
    expect(await told('connection.link_passed')).toEqual([
      { linkId: link.linkId, formerIssuer: organization.admin.id, issuer: organization.owner.id },
    ]);
    await advanceClock(db, '12 days');
    expect(await remindLinks(db)).toBe(1);
    expect(await told('connection.link_reminder')).toMatchObject([{ issuerMemberId: organization.owner.id }]);
  });

  it('may be an operator: named as such', async () => {
    const { db, told } = await setting({ asker: 'operator' });
    await advanceClock(db, '1 day');
    expect(await remindLinks(db)).toBe(1);
    expect(await told('connection.link_reminder')).toMatchObject([
      { issuerMemberId: null, issuerOperator: 'ana', progress: 'nobody_began' },
    ]);
  });
});

describe('an approval that waits for an owner', () => {
  async function awaiting() {
    const it = await setting();
    const { candidateId } = await consent(it.play, it.organization, it.admin, { link: it.link });
    expect(await advance(it.deps, candidateId)).toMatchObject({ state: 'awaiting_confirmation' });
    return { ...it, candidateId };
  }

  it('keeps its token alive through its 72 hours', async () => {
    const { db, deps, candidateId, organization, link, scripted } = await awaiting();
    expect(await listDueCandidates(db)).not.toContain(candidateId);
    await advanceClock(db, '12 hours');
    expect(await listDueCandidates(db)).toContain(candidateId);
    expect(await advanceCandidate(deps, candidateId)).toMatchObject({ state: 'awaiting_confirmation' });
    expect(scripted.zoom.calls).toContain('refresh');
    expect(await listDueCandidates(db)).not.toContain(candidateId);
    const asker = { memberId: organization.owner.id };
    await db.transaction().execute((trx) => confirmCandidate(trx, { candidateId, asker }));
    expect((await connectionRow(db, link.connectionId)).state).toBe('active');
  });

  it('ends, and somebody hears of it, when Zoom ended it; a demotion is left for the verification', async () => {
    const { db, deps, candidateId, admin, link, told } = await awaiting();
    admin.permissions = [];
    expect(await advanceCandidate(deps, candidateId)).toMatchObject({ state: 'awaiting_confirmation' });
    await sql`update steward.grants set state = 'dead', dead_reason = 'revoked'
               where id = (select grant_id from steward.candidates where id = ${candidateId})`.execute(db);
    expect(await advanceCandidate(deps, candidateId)).toEqual({ state: 'failed', missing: ['access: revoked'] });
    expect(await told('connection.approval_failed')).toMatchObject([{ candidateId, missing: ['access: revoked'] }]);
    // The link is open still: whoever administers Zoom may approve again.
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
  });
});
