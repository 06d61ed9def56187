import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { confirmCandidate, summarizeCandidate } from '../../src/connections/confirm-candidate.ts';
import { finishAttempt } from '../../src/connections/finish-attempt.ts';
import { createConnectLink } from '../../src/connections/links.ts';
import { createRandomSecret } from '../../src/connections/random-secret.ts';
import { showLink } from '../../src/connections/show-link.ts';
import { verifyConnection } from '../../src/connections/verify-connection.ts';
import type { Secret } from '../../src/secret.ts';
import { useDatabase } from '../support/database.ts';
import { adminClient, type Profile, play, profiles } from './stage.ts';

const database = useDatabase();
const exchanges = (zoom: Awaited<ReturnType<typeof play>>['simulator']) =>
  zoom.ledger().filter((call) => call.endpoint.startsWith('oauth.exchange')).length;

/** Connected to one account, and an admin of another has approved. */
async function switching(profile: Profile) {
  const zoom = await play(database.db, profile);
  const acme = await zoom.organization('acc_a');
  zoom.control.addAccount({ id: 'acc_b', users: [{ id: 'b_admin', email: `it@${acme.domain}.b`, roleId: '1' }] });
  const before = await zoom.connect(acme, 'acc_a_admin');
  const { candidateId } = await zoom.approve(acme, 'b_admin');
  await zoom.settle();
  return { zoom, acme, before, candidateId };
}

describe.each(profiles)('connecting at a $name Zoom', (profile) => {
  it('an operator-made link through which nobody came back: it waits, owners are told, the operator is reminded', async () => {
    const zoom = await play(database.db, profile);
    const acme = await zoom.organization('acc_a');
    const asker = { operator: 'ana', reason: 'ticket 7' };
    const link = await createConnectLink(zoom.db, { organizationId: acme.id, asker });
    const progress = async () => (await showLink(zoom.db, link.token))?.progress.step;
    const { authorizeUrl } = await zoom.begin(link);
    // A plain user: Zoom says so on its own site, and does not come back.
    expect(zoom.control.consent({ authorizeUrl, user: acme.people[0]!.email })).toMatchObject({ kind: 'refused' });
    await zoom.wait(24 * 60 + 1);
    await zoom.tick();
    expect(await progress()).toBe('waiting_for_zoom_admin');
    expect(await zoom.told(acme)).toEqual(['connection.link_made_by_operator', 'connection.link_reminder']);
    // An admin who declines: sent back, or not.
    const begun = await zoom.begin(link);
    const user = 'acc_a_admin';
    const declined = zoom.control.consent({ authorizeUrl: begun.authorizeUrl, user, decision: 'decline' });
    const back = declined.kind === 'redirected';
    if (back) {
      const params = new URL(declined.location).searchParams;
      expect(await finishAttempt(zoom.deps, { params, browser: begun.browser })).toMatchObject({ why: 'denied' });
    }
    expect(await progress()).toBe(back ? 'attempt_ended' : 'waiting_for_zoom_admin');
    expect(exchanges(zoom.simulator)).toBe(0);
    await zoom.approve(acme, user, { link });
    await zoom.settle();
    expect(await zoom.connection(acme)).toMatchObject({ state: 'active' });
    expect((await showLink(zoom.db, link.token))?.state).toBe('completed');
  });

  it('declined scopes: the approval fails and names them, nothing else changes, the same link connects later', async () => {
    const zoom = await play(database.db, profile);
    const acme = await zoom.organization('acc_a');
    const { link, candidateId } = await zoom.approve(acme, 'acc_a_admin', { declinedScopes: ['user:read:admin'] });
    await zoom.settle();
    const failed = await zoom.candidate(candidateId);
    expect(failed.state).toBe('failed');
    expect(JSON.stringify(failed.verdict)).toMatch(/user:read:admin/);
    // Nobody can learn whose pair it is: kept, it would hold every declaration of the client id for a day.
    expect(failed.sealed_access).toBeNull();
    expect(await zoom.connection(acme)).toMatchObject({ state: 'pending', grant_id: null });
    await zoom.approve(acme, 'acc_a_admin', { link });
    await zoom.settle();
    expect((await zoom.connection(acme)).state).toBe('active');
    expect(await zoom.works(acme)).toBe(true);
    expect(zoom.simulator.judge().findings).toEqual([]);
  });

  it('a callback without our state, in another browser, and of the earlier of two attempts: one pair is fetched', async () => {
    const zoom = await play(database.db, profile);
    const acme = await zoom.organization('acc_a');
    const finish = (params: URLSearchParams, browser: Secret | null) => finishAttempt(zoom.deps, { params, browser });
    const { clientId, redirectUri } = adminClient;
    const marketplace = zoom.control.consentAtMarketplace({ clientId, redirectUri, user: 'acc_a_admin' });
    if (marketplace.kind !== 'redirected') throw new Error(marketplace.why);
    expect(await finish(new URL(marketplace.location).searchParams, null)).toMatchObject({
      why: expect.stringMatching(/no_state|unknown_state/),
    });
    const link = await zoom.linkFor(acme);
    const planted = await zoom.begin(link);
    const answer = zoom.decide(planted, 'acc_a_admin');
    expect(await finish(answer, createRandomSecret())).toMatchObject({ why: 'other_browser' });
    expect(await finish(answer, planted.browser)).toMatchObject({ why: 'attempt_void' });
    // Two attempts at once, both approved at Zoom.
    const [first, second] = [await zoom.begin(link), await zoom.begin(link)];
    const answers = [zoom.decide(first, 'acc_a_admin'), zoom.decide(second, 'acc_a_admin')] as const;
    expect(await finish(answers[0], first.browser)).toMatchObject({ why: 'attempt_void' });
    expect(exchanges(zoom.simulator)).toBe(0);
    expect(await finish(answers[1], second.browser)).toMatchObject({ kind: 'exchanged' });
    expect(await finish(answers[1], second.browser)).toMatchObject({ why: 'already_used' });
    await zoom.settle();
    expect((await zoom.connection(acme)).state).toBe('active');
    expect(exchanges(zoom.simulator)).toBe(1);
    expect(await zoom.works(acme)).toBe(true);
  });

  it('a failed candidate on a connected account: members stay served, the pair is replaced, the next approval mends it', async () => {
    const zoom = await play(database.db, profile);
    const acme = await zoom.organization('acc_a');
    const before = await zoom.connect(acme, 'acc_a_admin');
    const declinedScopes = ['meeting:write:admin'];
    const { candidateId, link } = await zoom.approve(acme, 'acc_a_admin', { declinedScopes });
    await zoom.settle(0);
    // A Zoom that does not name the scopes leaves it to the calls: no verdict can know what was declined.
    const named = !['scope_missing', 'scope_null', 'bare'].includes(zoom.control.toggles().token_success);
    const verdict = named ? 'failed' : 'adopted';
    expect((await zoom.candidate(candidateId)).state).toBe(verdict);
    const after = await zoom.connection(acme);
    expect(after).toMatchObject({ state: 'active', grant_id: before.grant_id });
    expect(after.generation > before.generation).toBe(!named);
    // Zoom may have ended the old pair: what the same admin approved last is what works.
    expect(await zoom.works(acme)).toBe(true);
    expect((await zoom.grant(before.grant_id)).state).toBe('living');

    // Somebody else of the account fails as well. Where Zoom ends the first admin's tokens by it, that is found and told.
    const other = await zoom.approve(acme, 'acc_a_owner', { declinedScopes });
    await zoom.settle(0);
    expect((await zoom.candidate(other.candidateId)).state).toBe(verdict);
    const ended = named && zoom.control.toggles().other_admin_consent === 'ends';
    await zoom.wait(8 * 60);
    await zoom.tick();
    for (let look = 0; ended && look < 2; look += 1) {
      await zoom.wait(11);
      await zoom.tick();
    }
    expect((await zoom.connection(acme)).state).toBe(ended ? 'interrupted' : 'active');
    expect(zoom.simulator.ledger().some((call) => call.endpoint.includes('revoke'))).toBe(false);
    await zoom.approve(acme, 'acc_a_admin', named ? { link } : {});
    await zoom.settle();
    expect(await zoom.connection(acme)).toMatchObject({ id: before.id, state: 'active', at_risk_reason: null });
    expect(await zoom.works(acme)).toBe(true);
  });

  it('another account: nothing moves before the click, costs are shown, then the pointer moves and the old grant goes', async () => {
    const { zoom, acme, before, candidateId } = await switching(profile);
    expect(await zoom.candidate(candidateId)).toMatchObject({
      state: 'awaiting_confirmation',
      confirm_reason: 'another_account',
    });
    expect(await zoom.connection(acme)).toMatchObject({ grant_id: before.grant_id, zoom_account_id: 'acc_a' });
    expect(await zoom.works(acme)).toBe(true);
    expect((await summarizeCandidate(zoom.db, candidateId)).costs).toEqual({ bookingsDetached: 0, mappingsDropped: 0 });
    const asker = { memberId: acme.owner.id };
    await zoom.db.transaction().execute((trx) => confirmCandidate(trx, { candidateId, asker }));
    await zoom.settle();
    expect(await zoom.connection(acme)).toMatchObject({ id: before.id, state: 'active', zoom_account_id: 'acc_b' });
    await zoom.tick();
    expect(await zoom.grant(before.grant_id)).toMatchObject({ state: 'gone', revoke_outcome: 'revoked' });
    expect(await zoom.works(acme)).toBe(true);
    expect(zoom.simulator.judge().findings).toEqual([]);
  });

  it('a refresh during a switch: its answer is stored, and never becomes the token of the new account', async () => {
    const { zoom, acme, before, candidateId } = await switching(profile);
    await zoom.wait(61);
    // Zoom has rotated and does not answer yet, while an owner confirms.
    const held = zoom.control.addFault({ endpoint: 'oauth.refresh', kind: 'hold', when: 'after' });
    const refreshing = zoom.deps.grants.accessToken(before.grant_id as string, { patienceMs: 8_000 });
    await zoom.control.waitForCalls({ endpoint: 'oauth.refresh', count: 1 });
    const asker = { memberId: acme.owner.id };
    await zoom.db.transaction().execute((trx) => confirmCandidate(trx, { candidateId, asker }));
    const switched = await zoom.connection(acme);
    expect(switched).toMatchObject({ state: 'active', zoom_account_id: 'acc_b' });
    zoom.control.releaseFault(held);
    await refreshing;
    await zoom.deps.grants.settle();
    const old = await zoom.grant(before.grant_id);
    expect(Number(old.version)).toBe(2);
    expect(old.state).toBe('retiring');
    expect(await zoom.connection(acme)).toMatchObject({ grant_id: switched.grant_id });
    expect(await zoom.works(acme)).toBe(true);
    // What it brought is what the revocation goes by.
    await zoom.tick();
    expect(await zoom.grant(before.grant_id)).toMatchObject({ state: 'gone', revoke_outcome: 'revoked' });
    expect(zoom.simulator.judge().findings).toEqual([]);
  });

  it('consent while it disconnects wins over the cascade; consent while it is verified leaves one result', async () => {
    const zoom = await play(database.db, profile);
    const acme = await zoom.organization('acc_a');
    const before = await zoom.connect(acme, 'acc_a_admin');
    await zoom.disconnect(acme);
    await zoom.approve(acme, 'acc_a_admin');
    expect((await zoom.connection(acme)).state).toBe('disconnecting');
    // The verdict first; then what is left of the cascade.
    // The cascade's job comes last.
    const cascade = (at: string) =>
      sql`update steward.outbox set available_at = ${at} where job = 'disconnect-organization'`;
    await cascade('2999-01-01').execute(zoom.db);
    await zoom.settle();
    await cascade('2000-01-01').execute(zoom.db);
    await zoom.settle();
    expect(await zoom.connection(acme)).toMatchObject({ id: before.id, state: 'active' });
    expect(await zoom.works(acme)).toBe(true);

    // The same admin approves again while a look of the connection is on its way with the token that ends by it.
    const looking = verifyConnection(zoom.deps, before.id);
    const { link, candidateId } = await zoom.approve(acme, 'acc_a_admin');
    await looking;
    await zoom.settle();
    expect((await zoom.candidate(candidateId)).state).toBe('adopted');
    expect((await showLink(zoom.db, link.token))?.state).toBe('completed');
    expect(await zoom.connection(acme)).toMatchObject({ id: before.id, state: 'active', first_failed_at: null });
    expect(await zoom.works(acme)).toBe(true);
    await zoom.tick();
    expect((await zoom.connection(acme)).state).toBe('active');
  });
});
