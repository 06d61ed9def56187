import { sql } from 'kysely';
import { beforeEach, describe, expect, test } from 'vitest';
import { settlePersonalConnections } from '../../src/connections/personal-connections.ts';
import { createBrowser } from '../../src/demo/browser.ts';
import { upkeepTasks } from '../../src/jobs/upkeep/tasks.ts';
import { useHttpStage } from './stage.ts';

const at = useHttpStage({ personal: true });
const db = () => at().services.db;
const member = (n: number) => ({ organizationId: at().organizationId, memberId: at().members[n] as string });
const steward = () => at().client();
const personal = async (n: number) => (await steward()).personal.get(member(n));
const told = async (n: number) =>
  db()
    .selectFrom('steward.events')
    .select(['type', 'data'])
    .where('subject_id', '=', member(n).memberId)
    .orderBy('seq')
    .execute();
const grants = () =>
  db().selectFrom('steward.grants').select(['id', 'state', 'zoom_user_id']).orderBy('zoom_user_id').execute();

beforeEach(async () => {
  for (const table of ['personal_consents', 'personal_connections', 'events', 'outbox'])
    await sql`delete from ${sql.table(`steward.${table}`)}`.execute(db());
  await sql`delete from steward.refresh_attempts`.execute(db());
  await sql`delete from steward.grants`.execute(db());
});

/** Link, button, consent at Zoom as this user, callback; the browser is at the page of the outcome. */
async function consentAs(n: number, user: string, { declinedScopes = [] }: { declinedScopes?: string[] } = {}) {
  const browser = createBrowser();
  const { url } = await (await steward()).personal.requestConsent({ by: member(n) });
  const begun = await browser.post(url);
  const decided = at().zoom.control.consent({ authorizeUrl: begun.location ?? '', user, declinedScopes });
  if (decided.kind !== 'redirected') throw new Error(decided.why);
  const back = await browser.get(decided.location);
  const page = back.location === null ? back : await browser.get(back.location);
  return { browser, url, callback: decided.location, outcome: back.location ?? '', page };
}

describe('a member’s own Zoom', () => {
  test('is connected by their consent, shows whose it is, hosts, and ends by them; nobody else connects or ends it', async () => {
    const client = await steward();
    const { url } = await client.personal.requestConsent({ by: member(4) });
    const first = await createBrowser().get(url);
    expect(first.text).toContain('m4@http.example');
    expect(await personal(4)).toMatchObject({ kind: 'managed', state: 'connecting', consent: 'started' });
    expect(await client.resolve(member(4).memberId)).toMatchObject({ effective: 'none' });
    const { page } = await consentAs(4, 'zu_4');
    expect(page.text).toMatch(/Connected.*m4@http\.example/s);
    expect(await personal(4)).toMatchObject({
      kind: 'managed',
      state: 'active',
      zoomUserEmail: 'm4@http.example',
      consent: null,
    });
    expect(await client.resolve(member(4).memberId)).toMatchObject({
      effective: 'personal',
      hosting: 'can_host',
      zoomUserId: 'zu_4',
    });
    const by = { ...member(4), organizationId: at().organizationId };
    const path = `${at().server.url}/v1/organizations/${by.organizationId}/members/${member(6).memberId}/personal-connection`;
    const { signMemberClaim } = await import('../../src/client/index.ts');
    const refused = await fetch(path, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${client.key}`, 'steward-claim': signMemberClaim(at().claimSecret, by) },
    });
    expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([
      403,
      'not_yourself',
    ]);
    expect(await client.personal.disconnect({ by })).toMatchObject({ state: 'disconnected' });
    expect(await client.personal.disconnect({ by })).toMatchObject({ state: 'disconnected' });
    expect((await told(4)).map(({ type }) => type)).toEqual(['personal.active', 'personal.disconnected']);
    expect((await grants()).map(({ state }) => state)).toEqual(['retiring']);
  });

  test('of another address is asked about, in that browser: yes connects, no gives it up, silence too', async () => {
    const asked = await consentAs(6, 'zu_8');
    expect(asked.page.text).toMatch(/Is this your Zoom\?.*m8@http\.example.*m6@http\.example/s);
    expect(await personal(6)).toMatchObject({ state: 'connecting', consent: 'asking' });
    expect((await createBrowser().post(`${asked.outcome}/yes`)).status).toBe(404);
    // Nor in a browser that has a consent of its own.
    const stranger = createBrowser();
    await stranger.post((await (await steward()).personal.requestConsent({ by: member(24) })).url);
    await stranger.post(`${asked.outcome}/yes`);
    expect((await stranger.get(asked.outcome)).status).toBe(404);
    expect((await personal(6)).state).toBe('connecting');
    await asked.browser.post(`${asked.outcome}/yes`);
    await asked.browser.post(`${asked.outcome}/no`);
    expect((await asked.browser.get(asked.outcome)).text).toMatch(/Connected.*m8@http\.example/s);
    expect(await personal(6)).toMatchObject({ state: 'active', zoomUserId: 'zu_8' });

    const declined = await consentAs(10, 'zu_12');
    await declined.browser.post(`${declined.outcome}/no`);
    expect((await declined.browser.get(declined.outcome)).text).toContain('Not connected');
    expect(await personal(10)).toMatchObject({ kind: 'none', state: 'none' });
    const ignored = await consentAs(14, 'zu_16');
    await sql`update steward.clock set offset_by = offset_by + interval '61 minutes'`.execute(db());
    await upkeepTasks['consents_expired']?.(db(), at().services.jobs);
    expect((await ignored.browser.get(ignored.outcome)).text).toContain('took too long');
    expect(await personal(14)).toMatchObject({ kind: 'none', state: 'none' });
    expect((await grants()).map(({ state, zoom_user_id }) => [zoom_user_id, state])).toEqual([
      ['zu_12', 'gone'],
      ['zu_16', 'gone'],
      ['zu_8', 'living'],
    ]);
  });

  test('goes wrong without harm: another browser, twice, a scope declined, an earlier page', async () => {
    const client = await steward();
    const exchanges = () =>
      at()
        .zoom.ledger()
        .filter((call) => call.endpoint.startsWith('oauth.exchange')).length;
    const before = exchanges();
    const { url } = await client.personal.requestConsent({ by: member(18) });
    const browser = createBrowser();
    const begun = await browser.post(url);
    const decided = at().zoom.control.consent({ authorizeUrl: begun.location ?? '', user: 'zu_18' });
    const location = decided.kind === 'redirected' ? decided.location : '';
    expect((await createBrowser().get(location)).text).toMatch(/another browser.*Go back to the product/s);
    expect((await browser.get(location)).status).toBe(409);
    expect(exchanges()).toBe(before);

    const lacking = await consentAs(18, 'zu_18', { declinedScopes: ['meeting:write'] });
    expect(lacking.page.text).toContain('Something is missing');
    const unnamed = await consentAs(18, 'zu_18', { declinedScopes: ['user:read'] });
    expect(unnamed.page.text).toContain('Something is missing');
    const sealed = await db()
      .selectFrom('steward.personal_consents')
      .select('id')
      .where('sealed_access', 'is not', null)
      .execute();
    expect(sealed).toEqual([]);

    const old = await client.personal.requestConsent({ by: member(18) });
    await client.personal.requestConsent({ by: member(18) });
    expect((await browser.post(old.url)).status).toBe(410);
    const good = await consentAs(18, 'zu_18');
    expect((await good.browser.get(good.callback)).status).toBe(409);
    expect(await personal(18)).toMatchObject({ state: 'active', zoomUserId: 'zu_18' });
  });

  test('waits while Zoom does not say whose it is, and is filed by the schedule', async () => {
    at().zoom.control.addFault({ endpoint: 'users.*', kind: 'server_error', count: null });
    const { browser, outcome, page } = await consentAs(20, 'zu_20');
    expect(page.text).toContain('Checking with Zoom');
    at().zoom.control.clearFaults();
    await sql`delete from steward.outbox`.execute(db());
    expect(await upkeepTasks['consents_due']?.(db(), at().services.jobs)).toEqual({ found: 1 });
    const { id } = await db().selectFrom('steward.personal_consents').select('id').executeTakeFirstOrThrow();
    const both = await Promise.all([at().services.jobs.identifyConsent(id), at().services.jobs.identifyConsent(id)]);
    expect(both.map((one) => one.kind)).toEqual(['done', 'done']);
    expect((await browser.get(outcome)).text).toContain('Connected');
    expect((await told(20)).map(({ type }) => type)).toEqual(['personal.active']);
  });

  test('breaks: the member hears who hosts now; the same consent heals it', async () => {
    await consentAs(22, 'zu_22');
    await sql`update steward.grants set state = 'dead', dead_reason = 'revoked'`.execute(db());
    await settlePersonalConnections(db());
    expect(await personal(22)).toMatchObject({ state: 'broken' });
    await consentAs(22, 'zu_22');
    expect(await personal(22)).toMatchObject({ state: 'active' });

    await at().connectWithoutWorker();
    await sql`update steward.grants set state = 'dead', dead_reason = 'revoked' where client_kind = 'personal'`.execute(
      db(),
    );
    await settlePersonalConnections(db());
    expect((await told(22)).map(({ type, data }) => [type, (data as Record<string, unknown>)['servedBy']])).toEqual([
      ['personal.active', 'personal'],
      ['personal.broken', 'none'],
      ['personal.active', 'personal'],
      ['personal.broken', 'organization'],
    ]);
    expect(at().zoom.judge().findings).toEqual([]);
  });
});
