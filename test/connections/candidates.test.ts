import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { advanceCandidate } from '../../src/connections/advance-candidate.ts';
import { confirmCandidate, summarizeCandidate } from '../../src/connections/confirm-candidate.ts';
import { expireCandidates } from '../../src/connections/expire-candidates.ts';
import { identifyCandidate } from '../../src/connections/identify-candidate.ts';
import { createConnectLink, revokeConnectLink } from '../../src/connections/links.ts';
import { requestDisconnect } from '../../src/connections/request-disconnect.ts';
import { showLink } from '../../src/connections/show-link.ts';
import { syncDirectory } from '../../src/connections/sync-directory.ts';
import { createLooks } from '../../src/jobs/services/looks.ts';
import { useDatabase } from '../support/database.ts';
import { accountWith, advance, connectActive, consent, owed } from './connecting.ts';
import { advanceClock, connectionRow, insertOrganization, toldTypes } from './organization.ts';
import { failure, playConnections } from './scripted-zoom.ts';

const database = useDatabase({ max: 20 });

async function setting({ found = 4, approver = 'it' }: { found?: number; approver?: string } = {}) {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const emails = organization.people.slice(0, found).map((person) => person.email);
  const admin = accountWith(
    play.scripted,
    `acc-${organization.id}`,
    emails,
    approver.includes('@') ? approver : `${approver}@${organization.domain}`,
  );
  const candidate = (id: string) =>
    db.selectFrom('steward.candidates').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const confirm = (candidateId: string, memberId = organization.admin.id) =>
    db.transaction().execute((trx) => confirmCandidate(trx, { candidateId, asker: { memberId } }));
  const disconnect = async () => {
    const { generation } = await db
      .selectFrom('steward.org_connections')
      .select('generation')
      .where('organization_id', '=', organization.id)
      .executeTakeFirstOrThrow();
    return db.transaction().execute((trx) =>
      requestDisconnect(trx, {
        organizationId: organization.id,
        generation,
        typedName: organization.name,
        asker: { memberId: organization.owner.id },
      }),
    );
  };
  return { db, play, ...play, organization, admin, candidate, confirm, disconnect };
}

describe('a candidate', () => {
  it('of a verified domain with half of the members found becomes active by itself, in one transaction', async () => {
    const { db, play, organization, deps, admin } = await setting({ found: 3 });
    const { link, candidateId } = await consent(play, organization, admin);
    expect(await advanceCandidate(deps, candidateId)).toMatchObject({ state: 'waiting', on: 'directory' });
    // A look is three calls at Zoom: while a walk waits for a day's limit it is not taken every few seconds.
    await sql`update steward.candidates set created_at = created_at - interval '5 minutes' where id = ${candidateId}`.execute(
      deps.db,
    );
    const waiting = await advanceCandidate(deps, candidateId);
    expect(waiting.state === 'waiting' && waiting.retryInMs).toBeGreaterThanOrEqual(120_000);
    // The end of the walk asks for the next. The job does not wait for it: deduplication would drop that.
    const looks = createLooks({ connections: deps, zoomShare: 0.25 });
    const signal = new AbortController().signal;
    expect(await looks.advanceCandidate(candidateId, { signal })).toMatchObject({ kind: 'done' });
    await sql`delete from steward.outbox where job = 'verify-admin-role'`.execute(deps.db);
    const advanced = await advance(deps, candidateId);
    expect(await owed(db)).toContainEqual({ job: 'verify-admin-role', payload: { candidateId } });
    expect(advanced).toMatchObject({ state: 'active' });
    const row = await connectionRow(db, link.connectionId);
    expect(row).toMatchObject({
      state: 'active',
      generation: 2,
      zoom_account_id: admin.account,
      disconnected_at: null,
    });
    const run = await db
      .selectFrom('steward.runs')
      .selectAll()
      .where('connection_id', '=', link.connectionId)
      .executeTakeFirstOrThrow();
    expect(run).toMatchObject({ generation: 2, cause: 'activated', cascade: false });
    expect((await showLink(db, link.token))?.state).toBe('completed');
    const events = await db
      .selectFrom('steward.events')
      .selectAll()
      .where('organization_id', '=', organization.id)
      .execute();
    expect(events.map((event) => event.type)).toEqual(['connection.activated']);
    expect(events[0]?.data).toMatchObject({
      found: { zoomUsers: 4, members: 6, matched: 3 },
      approvedBy: admin.email,
      confirmedBy: 'rule',
      offer: 'this_was_not_us',
    });
  });

  it('waits for a person when too few were found, and says how many', async () => {
    const { db, play, organization, deps, admin, candidate } = await setting({ found: 2 });
    const { candidateId, link } = await consent(play, organization, admin);
    expect(await advance(deps, candidateId)).toEqual({ state: 'awaiting_confirmation', reason: 'few_members_found' });
    expect(await summarizeCandidate(db, candidateId)).toMatchObject({
      found: { zoomUsers: 3, members: 6, matched: 2 },
      approvedBy: admin.email,
      costs: null,
    });
    expect((await candidate(candidateId)).state).toBe('awaiting_confirmation');
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
    expect(await toldTypes(db, organization.id)).toEqual(['connection.confirmation_wanted']);
  });

  it('waits for a person when the approver is of another domain, unless it is the issuer in their own session', async () => {
    const stranger = await setting({ approver: 'someone@elsewhere.example' });
    const first = await consent(stranger.play, stranger.organization, stranger.admin);
    expect(await advance(stranger.deps, first.candidateId)).toMatchObject({ reason: 'approver_not_recognised' });
    const issuer = await setting({ approver: 'owner@private.example', found: 0 });
    const second = await consent(issuer.play, issuer.organization, issuer.admin, {
      sessionMemberId: issuer.organization.owner.id,
    });
    expect(await advance(issuer.deps, second.candidateId)).toMatchObject({ state: 'active' });
    const another = await setting({ approver: 'owner@private.example', found: 0 });
    const third = await consent(another.play, another.organization, another.admin, {
      sessionMemberId: another.organization.admin.id,
    });
    expect(await advance(another.deps, third.candidateId)).toMatchObject({ state: 'awaiting_confirmation' });
  });

  it('does not confirm itself for an issuer who lost the right meanwhile', async () => {
    const { db, play, organization, deps, admin } = await setting();
    const link = await createConnectLink(db, {
      organizationId: organization.id,
      asker: { memberId: organization.admin.id },
    });
    const { candidateId } = await consent(play, organization, admin, { link, sessionMemberId: organization.admin.id });
    await sql`update steward_app.members set role = 'user' where id = ${organization.admin.id}`.execute(db);
    expect(await advance(deps, candidateId)).toEqual({
      state: 'awaiting_confirmation',
      reason: 'approver_not_recognised',
    });
  });

  it('ends with its link when the issuer lost the right and nobody is left to take it over', async () => {
    const { db, play, organization, deps, admin, candidate } = await setting();
    const { candidateId, link } = await consent(play, organization, admin);
    await sql`update steward_app.members set role = 'user' where organization_id = ${organization.id}`.execute(db);
    expect(await advance(deps, candidateId)).toEqual({ state: 'ended' });
    expect((await candidate(candidateId)).state).toBe('cancelled');
    expect((await connectionRow(db, link.connectionId)).state).toBe('none');
    expect(await toldTypes(db, organization.id)).not.toContain('connection.confirmation_wanted');
  });

  it.each([
    ['whose plan does not include Zoom', { plan_includes_zoom: false }],
    ['that was deleted', { deleted_at: new Date() }],
  ])('never becomes active by itself for an organization %s meanwhile', async (_what, change) => {
    const { db, play, organization, deps, admin, confirm } = await setting();
    const { candidateId, link } = await consent(play, organization, admin, { sessionMemberId: organization.owner.id });
    await db.updateTable('steward_app.organizations').set(change).where('id', '=', organization.id).execute();
    expect(await advance(deps, candidateId)).toMatchObject({ state: 'awaiting_confirmation' });
    await expect(confirm(candidateId)).rejects.toMatchObject({
      code: expect.stringMatching(/plan_without_zoom|not_found/),
    });
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
  });

  it('without a required permission fails, names what is missing, releases the grant and leaves the link open', async () => {
    const { db, play, organization, deps, admin, candidate } = await setting();
    admin.permissions = ['User:Edit'];
    const { candidateId, link } = await consent(play, organization, admin);
    expect(await advance(deps, candidateId)).toEqual({ state: 'failed', missing: ['permission: User:Read'] });
    expect(await showLink(db, link.token)).toMatchObject({
      state: 'open',
      progress: { step: 'failed', missing: ['permission: User:Read'] },
    });
    const { grant_id } = await candidate(candidateId);
    const grant = await db
      .selectFrom('steward.grants')
      .select('state')
      .where('id', '=', grant_id!)
      .executeTakeFirstOrThrow();
    expect(grant.state).toBe('retiring');
    admin.permissions = ['User:Edit', 'User:Read'];
    const again = await consent(play, organization, admin, { link });
    expect(await advance(deps, again.candidateId)).toMatchObject({ state: 'active' });
  });

  it('is retried while Zoom does not answer, and expires with the reason after 24 hours', async () => {
    const { db, play, organization, deps, admin, scripted, candidate } = await setting();
    scripted.zoom.override['permissions'] = () => failure('server', { status: 503 });
    const { candidateId, link } = await consent(play, organization, admin);
    const advanced = await advance(deps, candidateId);
    expect(advanced).toMatchObject({ state: 'waiting', on: 'zoom', reason: 'read permissions: server' });
    expect(await candidate(candidateId)).toMatchObject({ state: 'waiting' });
    await advanceClock(db, '24 hours');
    expect(await expireCandidates(deps)).toBeGreaterThanOrEqual(1);
    expect(await candidate(candidateId)).toMatchObject({ state: 'expired', verdict: { result: 'inconclusive' } });
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
    expect(await advanceCandidate(deps, candidateId)).toEqual({ state: 'ended' });
  });

  it('whose tokens nobody was named for in 24 hours is given up without revoking anything', async () => {
    const { db, play, organization, deps, admin, scripted, candidate } = await setting();
    scripted.zoom.override['me'] = () => failure('network');
    const { candidateId } = await consent(play, organization, admin);
    await advanceClock(db, '25 hours');
    await expireCandidates(deps);
    expect(await candidate(candidateId)).toMatchObject({ state: 'expired', sealed_access: null, sealed_refresh: null });
    expect(scripted.zoom.calls).not.toContain('revoke');
  });

  it('is filed under the grant of whoever consented even if the link was revoked during the exchange', async () => {
    const { db, play, organization, deps, admin, scripted, candidate } = await setting();
    await connectActive(play, organization, admin.account, admin);
    const other = await insertOrganization(db);
    const link = await createConnectLink(db, { organizationId: other.id, asker: { memberId: other.owner.id } });
    scripted.zoom.override['exchange'] = async () => {
      delete scripted.zoom.override['exchange'];
      await db
        .transaction()
        .execute((trx) => revokeConnectLink(trx, { linkId: link.linkId, asker: { memberId: other.owner.id } }));
      return null;
    };
    const { candidateId } = await consent(play, other, admin, { link });
    expect(await candidate(candidateId)).toMatchObject({ state: 'cancelled', sealed_access: null });
    const grantId = (await candidate(candidateId)).grant_id!;
    const token = await deps.grants.accessToken(grantId);
    expect(token.kind === 'token' && token.token.reveal()).toBe(scripted.zoom.family(admin.id)!.access);
  });
});

describe('a user whose grant we hold', () => {
  it('consenting again replaces the pair at once for all connections, whatever the verdict', async () => {
    const { db, play, organization, deps, admin, scripted } = await setting();
    const { connectionId } = await connectActive(play, organization, admin.account, admin);
    const before = await connectionRow(db, connectionId);
    const second = await insertOrganization(db, { domain: `second-${organization.domain}` });
    admin.permissions = [];
    const { candidateId } = await consent(play, second, admin);
    const after = await connectionRow(db, connectionId);
    expect(after.grant_id).toBe(before.grant_id);
    const token = await deps.grants.accessToken(after.grant_id!);
    expect(token.kind === 'token' && token.token.reveal()).toBe(scripted.zoom.family(admin.id)!.access);
    expect(await advance(deps, candidateId)).toMatchObject({ state: 'failed' });
    const grant = await db
      .selectFrom('steward.grants')
      .select('state')
      .where('id', '=', after.grant_id!)
      .executeTakeFirstOrThrow();
    expect(grant.state).toBe('living');
  });

  it('on a second organization: owners of the first are told that the account is shared', async () => {
    const { db, play, organization, deps, admin } = await setting();
    await connectActive(play, organization, admin.account, admin);
    const second = await insertOrganization(db);
    const { candidateId } = await consent(play, second, admin);
    expect(await advance(deps, candidateId)).toMatchObject({ reason: 'approver_not_recognised' });
    await db
      .transaction()
      .execute((trx) => confirmCandidate(trx, { candidateId, asker: { memberId: second.owner.id } }));
    expect(await toldTypes(db, organization.id)).toEqual(['connection.activated', 'connection.account_shared']);
  });
});

describe('confirming', () => {
  async function awaiting() {
    const it = await setting({ found: 1 });
    const consented = await consent(it.play, it.organization, it.admin);
    await advance(it.deps, consented.candidateId);
    return { ...it, ...consented };
  }

  it('is for owners, admins and operators with a reason', async () => {
    const { db, organization, candidateId, confirm } = await awaiting();
    await expect(confirm(candidateId, organization.people[0]!.id)).rejects.toMatchObject({ code: 'forbidden' });
    const operator = (reason: string) =>
      db.transaction().execute((trx) => confirmCandidate(trx, { candidateId, asker: { operator: 'ana', reason } }));
    await expect(operator('')).rejects.toMatchObject({ code: 'reason_missing' });
    await expect(operator('ticket 7')).resolves.toMatchObject({ generation: 2 });
  });

  it('twice, and three times at once, makes one activation', async () => {
    const { db, organization, candidateId, confirm, link } = await awaiting();
    const results = await Promise.all([confirm(candidateId), confirm(candidateId), confirm(candidateId)]);
    expect(results.filter((result) => 'runId' in result)).toHaveLength(1);
    expect(await confirm(candidateId)).toEqual({ connectionId: link.connectionId, alreadyActive: true });
    expect(await connectionRow(db, link.connectionId)).toMatchObject({ state: 'active', generation: 2 });
    expect((await toldTypes(db, organization.id)).filter((type) => type === 'connection.activated')).toHaveLength(1);
  });

  it('is refused after 72 hours, also before anybody swept the candidate', async () => {
    const { db, deps, candidateId, confirm, candidate, link } = await awaiting();
    await advanceClock(db, '72 hours');
    await expect(confirm(candidateId)).rejects.toMatchObject({ code: 'candidate_expired' });
    const [swept, confirmed] = await Promise.allSettled([expireCandidates(deps), confirm(candidateId)]);
    expect([swept.status, confirmed.status]).toEqual(['fulfilled', 'rejected']);
    expect((await candidate(candidateId)).state).toBe('expired');
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
  });

  it('is refused when the disconnect came first, and loses nothing when it came second', async () => {
    const { candidateId, confirm, disconnect, candidate, db, link } = await awaiting();
    const [confirmed, disconnected] = await Promise.allSettled([confirm(candidateId), disconnect()]);
    const state = (await candidate(candidateId)).state;
    const connection = await connectionRow(db, link.connectionId);
    if (confirmed.status === 'fulfilled') {
      // The preview was of the generation before: the disconnect is stale, whoever asked must look again.
      expect(disconnected).toMatchObject({ status: 'rejected', reason: { code: 'stale_preview' } });
      expect([state, connection.state]).toEqual(['adopted', 'active']);
    } else {
      expect(confirmed.reason).toMatchObject({ code: 'candidate_not_waiting' });
      expect([state, connection.state]).toEqual(['cancelled', 'none']);
    }
  });

  it('is refused when Zoom ended the approval meanwhile', async () => {
    const { db, candidateId, confirm, candidate } = await awaiting();
    const { grant_id } = await candidate(candidateId);
    await sql`update steward.grants set state = 'dead', dead_reason = 'revoked' where id = ${grant_id}`.execute(db);
    await expect(confirm(candidateId)).rejects.toMatchObject({ code: 'candidate_lost' });
  });

  it('of another account than before needs the click and shows its costs; mappings and the old grant go', async () => {
    const { db, play, organization, deps, admin, confirm } = await setting();
    const { connectionId } = await connectActive(play, organization, admin.account, admin);
    const before = await connectionRow(db, connectionId);
    await sql`insert into steward.zoom_user_mappings (organization_id, member_id, zoom_account_id, zoom_user_id, actor)
              values (${organization.id}, ${organization.people[0]!.id}, ${admin.account}, 'zu', 'operator:ana')`.execute(
      db,
    );
    await sql`insert into steward_app.bookings (id, organization_id, starts_at, meeting_connection_id, meeting_zoom_account_id)
              select gen_random_uuid(), ${organization.id}::uuid, steward.now() + interval '1 day', ${connectionId}::uuid, ${admin.account} from generate_series(1, 3)`.execute(
      db,
    );
    const next = accountWith(
      play.scripted,
      `other-${organization.id}`,
      organization.people.map((person) => person.email),
      `it@${organization.domain}`,
    );
    next.id = `${next.id}-2`;
    const { candidateId } = await consent(play, organization, next, { sessionMemberId: organization.owner.id });
    expect(await advance(deps, candidateId)).toEqual({ state: 'awaiting_confirmation', reason: 'another_account' });
    expect(await connectionRow(db, connectionId)).toMatchObject({
      state: 'active',
      grant_id: before.grant_id,
      generation: 2,
    });
    expect((await summarizeCandidate(db, candidateId)).costs).toEqual({ bookingsDetached: 3, mappingsDropped: 1 });
    await confirm(candidateId);
    const after = await connectionRow(db, connectionId);
    expect(after).toMatchObject({ state: 'active', zoom_account_id: next.account, generation: 3 });
    expect(after.grant_id).not.toBe(before.grant_id);
    const { count } = await db
      .selectFrom('steward.zoom_user_mappings')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('organization_id', '=', organization.id)
      .executeTakeFirstOrThrow();
    expect(count).toBe(0);
    const old = await db
      .selectFrom('steward.grants')
      .select('state')
      .where('id', '=', before.grant_id!)
      .executeTakeFirstOrThrow();
    expect(old.state).toBe('retiring');
  });

  it('two candidates of one connection: adopting one supersedes the other', async () => {
    const { play, organization, deps, candidateId, confirm, candidate, scripted, admin } = await awaiting();
    const second = { ...admin, id: `${admin.id}-b`, email: 'b@elsewhere.example' };
    scripted.zoom.users.push(second);
    const other = await consent(play, organization, second);
    await advance(deps, other.candidateId);
    const results = await Promise.allSettled([confirm(candidateId), confirm(other.candidateId)]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect([(await candidate(candidateId)).state, (await candidate(other.candidateId)).state].sort()).toEqual([
      'adopted',
      'superseded',
    ]);
  });

  it('advancing one candidate from many processes at once activates once', async () => {
    const { db, play, organization, deps, admin } = await setting();
    const { candidateId, link } = await consent(play, organization, admin);
    await advanceCandidate(deps, candidateId);
    await syncDirectory(deps, admin.account, { paceMs: 0 });
    const results = await Promise.all([1, 2, 3, 4].map(() => advanceCandidate(deps, candidateId)));
    expect(results.filter((result) => result.state === 'active')).toHaveLength(1);
    expect(await connectionRow(db, link.connectionId)).toMatchObject({ state: 'active', generation: 2 });
    expect(await identifyCandidate(deps, candidateId)).toBe('settled');
  });
});
