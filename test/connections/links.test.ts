import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { beginAttempt } from '../../src/connections/attempts.ts';
import { expireLinks } from '../../src/connections/due-work.ts';
import { finishAttempt } from '../../src/connections/finish-attempt.ts';
import { identifyCandidate } from '../../src/connections/identify-candidate.ts';
import { createConnectLink, extendConnectLink, revokeConnectLink } from '../../src/connections/links.ts';
import { createRandomSecret } from '../../src/connections/random-secret.ts';
import { showLink } from '../../src/connections/show-link.ts';
import { useDatabase } from '../support/database.ts';
import { accountWith, begin, consent } from './connecting.ts';
import { advanceClock, connectionRow, insertOrganization, toldTypes } from './organization.ts';
import { failure, newSecret, playConnections } from './scripted-zoom.ts';

const database = useDatabase();

async function setting() {
  const { db } = database;
  const play = playConnections(db);
  const organization = await insertOrganization(db);
  const asker = { memberId: organization.owner.id };
  const link = await createConnectLink(db, { organizationId: organization.id, asker });
  const admin = accountWith(play.scripted, `acc-${organization.id}`, [], `it@${organization.domain}`);
  const attempts = () =>
    db
      .selectFrom('steward.connect_attempts')
      .selectAll()
      .where('link_id', '=', link.linkId)
      .orderBy('created_at')
      .execute();
  const exchanges = () => play.scripted.zoom.calls.filter((call) => call === 'exchange').length;
  return { db, ...play, play, organization, asker, link, admin, attempts, exchanges };
}

describe('connect links', () => {
  it('are made by owners and admins only, by their row and not by what somebody says', async () => {
    const { db } = database;
    const organization = await insertOrganization(db);
    const other = await insertOrganization(db);
    const make = (memberId: string) => createConnectLink(db, { organizationId: organization.id, asker: { memberId } });
    await expect(make(organization.admin.id)).resolves.toMatchObject({ linkId: expect.any(String) });
    await expect(make(organization.people[0]!.id)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(make(other.owner.id)).rejects.toMatchObject({ code: 'forbidden' });
    await sql`update steward_app.members set active = false where id = ${organization.owner.id}`.execute(db);
    await expect(make(organization.owner.id)).rejects.toMatchObject({ code: 'forbidden' });
    await sql`update steward_app.organizations set plan_includes_zoom = false where id = ${organization.id}`.execute(
      db,
    );
    await expect(make(organization.admin.id)).rejects.toMatchObject({ code: 'plan_without_zoom' });
  });

  it('by an operator need a reason, and the owners are told', async () => {
    const { db } = database;
    const organization = await insertOrganization(db);
    const make = (reason: string) =>
      createConnectLink(db, { organizationId: organization.id, asker: { operator: 'ana', reason } });
    await expect(make(' ')).rejects.toMatchObject({ code: 'reason_missing' });
    await make('asked for by phone, ticket 12');
    expect(await toldTypes(db, organization.id)).toEqual(['connection.link_made_by_operator']);
  });

  it('store only a hash of 256 bits, and make the connection pending', async () => {
    const { db, link } = await setting();
    expect(Buffer.from(link.token.reveal(), 'base64url')).toHaveLength(32);
    const row = await db
      .selectFrom('steward.connect_links')
      .selectAll()
      .where('id', '=', link.linkId)
      .executeTakeFirstOrThrow();
    expect(JSON.stringify(row)).not.toContain(link.token.reveal());
    expect(row.token_hash).toHaveLength(32);
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
  });

  it('show only what the organization cannot choose, and change nothing when shown', async () => {
    const { db, link, organization } = await setting();
    const page = await showLink(db, link.token);
    expect(page).toMatchObject({
      state: 'open',
      verifiedDomains: [organization.domain],
      issuerAddress: organization.owner.email,
      attemptsLeft: 10,
      progress: { step: 'ready' },
    });
    expect(JSON.stringify(page)).not.toContain(organization.name);
    await sql`update steward_app.members set email_verified = false where id = ${organization.owner.id}`.execute(db);
    expect((await showLink(db, link.token))?.issuerAddress).toBeNull();
    expect(await showLink(db, createRandomSecret())).toBeNull();
  });

  it('end after 14 days unless extended, and take the connection back with the last of them', async () => {
    const { db, link, asker, deps } = await setting();
    await advanceClock(db, '13 days');
    await db.transaction().execute((trx) => extendConnectLink(trx, { linkId: link.linkId, asker }));
    await advanceClock(db, '13 days');
    expect((await showLink(db, link.token))?.state).toBe('open');
    await expireLinks(db);
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
    await advanceClock(db, '1 day 1 second');
    expect((await showLink(db, link.token))?.state).toBe('expired');
    expect(await beginAttempt(deps, { token: link.token })).toEqual({ kind: 'refused', why: 'link_not_open' });
    await Promise.all([expireLinks(db), expireLinks(db)]);
    expect((await connectionRow(db, link.connectionId)).state).toBe('none');
    await expect(
      db.transaction().execute((trx) => extendConnectLink(trx, { linkId: link.linkId, asker })),
    ).rejects.toMatchObject({ code: 'link_not_open' });
  });

  it('stay pending while another link is open, and can be revoked twice', async () => {
    const { db, link, asker, organization } = await setting();
    const second = await createConnectLink(db, { organizationId: organization.id, asker });
    const revoke = (linkId: string) => db.transaction().execute((trx) => revokeConnectLink(trx, { linkId, asker }));
    await revoke(link.linkId);
    await revoke(link.linkId);
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
    await revoke(second.linkId);
    expect((await connectionRow(db, link.connectionId)).state).toBe('none');
    expect(await toldTypes(db, organization.id)).toEqual(['connection.link_ended', 'connection.link_ended']);
  });
});

describe('attempts', () => {
  it('go to Zoom with state and PKCE S256, and store neither in the clear', async () => {
    const { deps, link, attempts } = await setting();
    const begun = await begin(deps, link);
    const url = new URL(begun.authorizeUrl);
    expect(url.searchParams.get('code_challenge_method')).toBe('S256');
    const state = url.searchParams.get('state') as string;
    expect(state.length).toBeGreaterThanOrEqual(40);
    const [row] = await attempts();
    expect(JSON.stringify(row)).not.toContain(state);
    expect(row?.sealed_verifier).toMatch(/^v1\./);
  });

  it('are one at a time: of two begun at once one is void, and its callback exchanges nothing', async () => {
    const { deps, link, admin, attempts, scripted, exchanges } = await setting();
    const both = await Promise.all([begin(deps, link), begin(deps, link)]);
    const states = (await attempts()).map((row) => row.state).sort();
    expect(states).toEqual(['started', 'void']);
    const finished = await Promise.all(
      both.map((begun) =>
        finishAttempt(deps, { params: scripted.zoom.approve(admin, begun.authorizeUrl), browser: begun.browser }),
      ),
    );
    expect(finished.map((result) => (result.kind === 'refused' ? result.why : result.kind)).sort()).toEqual([
      'attempt_void',
      'exchanged',
    ]);
    expect(exchanges()).toBe(1);
  });

  it('are ten at most on one link', async () => {
    const { deps, link } = await setting();
    for (let n = 0; n < 10; n += 1) await begin(deps, link);
    expect(await beginAttempt(deps, { token: link.token })).toEqual({ kind: 'refused', why: 'too_many_attempts' });
  });

  it('one that has come back is not disturbed while its code is exchanged', async () => {
    const { deps, link, admin, scripted } = await setting();
    const begun = await begin(deps, link);
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    scripted.zoom.override['exchange'] = async () => {
      reach();
      await opened;
      return null;
    };
    const finishing = finishAttempt(deps, {
      params: scripted.zoom.approve(admin, begun.authorizeUrl),
      browser: begun.browser,
    });
    await reached;
    expect(await beginAttempt(deps, { token: link.token })).toEqual({ kind: 'refused', why: 'attempt_returning' });
    open();
    expect((await finishing).kind).toBe('exchanged');
  });

  it('of two callbacks with one state, one exchanges', async () => {
    const { deps, link, admin, scripted, exchanges } = await setting();
    const begun = await begin(deps, link);
    const params = scripted.zoom.approve(admin, begun.authorizeUrl);
    const results = await Promise.all([1, 2, 3].map(() => finishAttempt(deps, { params, browser: begun.browser })));
    expect(results.filter((result) => result.kind === 'exchanged')).toHaveLength(1);
    expect(results.flatMap((result) => (result.kind === 'refused' ? [result.why] : []))).toEqual([
      'already_used',
      'already_used',
    ]);
    expect(exchanges()).toBe(1);
  });

  it('without a state of ours exchange nothing', async () => {
    const { deps, exchanges } = await setting();
    const finish = (query: string) => finishAttempt(deps, { params: new URLSearchParams(query), browser: null });
    expect(await finish('code=abc')).toMatchObject({ why: 'no_state' });
    expect(await finish('code=abc&state=')).toMatchObject({ why: 'no_state' });
    expect(await finish('code=abc&state=one&state=two')).toMatchObject({ why: 'no_state' });
    expect(await finish('code=abc&state=never-ours')).toMatchObject({ why: 'unknown_state' });
    expect(exchanges()).toBe(0);
  });

  it('from another browser are void for good, also for the right one', async () => {
    const { deps, link, admin, scripted, exchanges } = await setting();
    const begun = await begin(deps, link);
    const params = scripted.zoom.approve(admin, begun.authorizeUrl);
    expect(await finishAttempt(deps, { params, browser: createRandomSecret() })).toMatchObject({
      why: 'other_browser',
    });
    expect(await finishAttempt(deps, { params, browser: begun.browser })).toMatchObject({ why: 'attempt_void' });
    expect(exchanges()).toBe(0);
    expect((await showLink(deps.db, link.token))?.progress).toEqual({
      step: 'attempt_ended',
      outcome: 'other_browser',
    });
    expect((await consentAgain()).finished.kind).toBe('exchanged');
    async function consentAgain() {
      const next = await begin(deps, link);
      return {
        finished: await finishAttempt(deps, {
          params: scripted.zoom.approve(admin, next.authorizeUrl),
          browser: next.browser,
        }),
      };
    }
  });

  it('end after 60 minutes', async () => {
    const { db, deps, link, admin, scripted, exchanges } = await setting();
    const begun = await begin(deps, link);
    const params = scripted.zoom.approve(admin, begun.authorizeUrl);
    await advanceClock(db, '60 minutes');
    expect(await finishAttempt(deps, { params, browser: begun.browser })).toMatchObject({ why: 'attempt_expired' });
    expect(exchanges()).toBe(0);
    expect((await showLink(db, link.token))?.progress).toEqual({ step: 'waiting_for_zoom_admin' });
  });

  it('that are denied, or whose code Zoom refuses, leave the link open and say why', async () => {
    const { db, deps, link, admin, scripted } = await setting();
    const denied = await begin(deps, link);
    const state = new URL(denied.authorizeUrl).searchParams.get('state') as string;
    expect(
      await finishAttempt(deps, {
        params: new URLSearchParams({ error: 'access_denied', state }),
        browser: denied.browser,
      }),
    ).toMatchObject({ why: 'denied' });
    expect((await showLink(db, link.token))?.progress).toEqual({ step: 'attempt_ended', outcome: 'denied' });
    const refused = await begin(deps, link);
    const params = scripted.zoom.approve(admin, refused.authorizeUrl);
    params.set('code', 'guessed');
    expect(await finishAttempt(deps, { params, browser: refused.browser })).toMatchObject({ why: 'code_refused' });
    expect((await showLink(db, link.token))?.state).toBe('open');
    expect((await connectionRow(db, link.connectionId)).state).toBe('pending');
  });

  it('try the next client secret when Zoom speaks about our app, and say so when none is left', async () => {
    const { play, organization, admin, link, scripted, exchanges, deps } = await setting();
    scripted.zoom.goodSecrets = [newSecret];
    expect((await consent(play, organization, admin, { link })).finished.kind).toBe('exchanged');
    expect(exchanges()).toBe(2);
    scripted.zoom.goodSecrets = [];
    const begun = await begin(deps, link);
    const params = scripted.zoom.approve(admin, begun.authorizeUrl);
    expect(await finishAttempt(deps, { params, browser: begun.browser })).toMatchObject({ why: 'application_error' });
  });

  it('whose exchange got no answer end, and a code that never left is sent once more', async () => {
    const { deps, link, admin, scripted, exchanges } = await setting();
    scripted.zoom.override['exchange'] = () => ({ kind: 'unknown', detail: 'time-out' });
    const lost = await begin(deps, link);
    expect(
      await finishAttempt(deps, { params: scripted.zoom.approve(admin, lost.authorizeUrl), browser: lost.browser }),
    ).toMatchObject({ why: 'answer_unknown' });
    expect(exchanges()).toBe(1);
    let failures = 1;
    scripted.zoom.override['exchange'] = () => (failures-- > 0 ? { kind: 'not_sent', detail: 'refused' } : null);
    const again = await begin(deps, link);
    expect(
      await finishAttempt(deps, { params: scripted.zoom.approve(admin, again.authorizeUrl), browser: again.browser }),
    ).toMatchObject({ kind: 'exchanged' });
  });

  it('are refused when the issuer lost the right to ask, and the link passes to an owner', async () => {
    const { db, deps, organization, play, admin } = await setting();
    const link = await createConnectLink(db, {
      organizationId: organization.id,
      asker: { memberId: organization.admin.id },
    });
    await sql`update steward_app.members set role = 'user' where id = ${organization.admin.id}`.execute(db);
    expect(await beginAttempt(deps, { token: link.token })).toEqual({ kind: 'refused', why: 'issuer_lost_rights' });
    expect((await showLink(db, link.token))?.issuerAddress).toBe(organization.owner.email);
    expect(await toldTypes(db, organization.id)).toEqual(['connection.link_passed']);
    expect((await consent(play, organization, admin, { link })).finished.kind).toBe('exchanged');
  });

  it('void with the link: a callback after a revocation exchanges nothing', async () => {
    const { db, deps, link, admin, asker, scripted, exchanges } = await setting();
    const begun = await begin(deps, link);
    await db.transaction().execute((trx) => revokeConnectLink(trx, { linkId: link.linkId, asker }));
    const params = scripted.zoom.approve(admin, begun.authorizeUrl);
    expect(await finishAttempt(deps, { params, browser: begun.browser })).toMatchObject({ why: 'attempt_void' });
    expect(exchanges()).toBe(0);
  });
});

describe('the tokens of an attempt', () => {
  it('are stored before Zoom is asked who consented, sealed, and nowhere else', async () => {
    const { db, deps, link, admin, scripted } = await setting();
    let stored: unknown;
    scripted.zoom.override['me'] = async () => {
      stored = await db
        .selectFrom('steward.candidates')
        .selectAll()
        .where('link_id', '=', link.linkId)
        .executeTakeFirst();
      return null;
    };
    const begun = await begin(deps, link);
    await finishAttempt(deps, { params: scripted.zoom.approve(admin, begun.authorizeUrl), browser: begun.browser });
    expect(stored).toMatchObject({ state: 'exchanged', sealed_access: expect.stringMatching(/^v1\./) });
    const tables = ['candidates', 'connect_attempts', 'connect_links', 'grants', 'audit_log', 'events', 'outbox'];
    for (const table of tables) {
      const { rows } = await sql<{
        text: string;
      }>`select t::text as text from ${sql.table(`steward.${table}`)} t`.execute(db);
      const text = rows.map((row) => row.text).join('\n');
      for (const family of scripted.zoom.families) {
        expect(text, table).not.toContain(family.access);
        expect(text, table).not.toContain(family.refresh);
      }
    }
  });

  it('wait unidentified while Zoom does not say whose they are; the pair is renewed once if its token ended', async () => {
    const { db, play, organization, admin, link, scripted, deps } = await setting();
    scripted.zoom.override['me'] = () => failure('server', { status: 503 });
    const { candidateId } = await consent(play, organization, admin, { link });
    const row = () =>
      db.selectFrom('steward.candidates').selectAll().where('id', '=', candidateId).executeTakeFirstOrThrow();
    expect(await row()).toMatchObject({ state: 'unidentified', grant_id: null });
    delete scripted.zoom.override['me'];
    const family = scripted.zoom.family(admin.id)!;
    family.access = 'ended-by-time';
    const both = await Promise.all([identifyCandidate(deps, candidateId), identifyCandidate(deps, candidateId)]);
    expect(both).toContain('identified');
    expect(scripted.zoom.calls.filter((call) => call === 'refresh')).toHaveLength(1);
    expect(await row()).toMatchObject({ state: 'verifying', sealed_access: null, sealed_refresh: null });
  });
});
