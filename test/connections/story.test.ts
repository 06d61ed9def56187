import { sql } from 'kysely';
import { afterEach, describe, expect, it } from 'vitest';
import { advanceCandidate } from '../../src/connections/advance-candidate.ts';
import type { Advanced } from '../../src/connections/advanced.ts';
import { beginAttempt } from '../../src/connections/attempts.ts';
import type { ConnectionDeps } from '../../src/connections/connection-deps.ts';
import { defaultExpectations } from '../../src/connections/expectations.ts';
import { finishAttempt } from '../../src/connections/finish-attempt.ts';
import { finishOrganizationDisconnect } from '../../src/connections/finish-disconnect.ts';
import { createConnectLink } from '../../src/connections/links.ts';
import { lookUpAddress } from '../../src/connections/look-up-address.ts';
import { requestDisconnect } from '../../src/connections/request-disconnect.ts';
import { syncDirectory } from '../../src/connections/sync-directory.ts';
import { verifyConnection } from '../../src/connections/verify-connection.ts';
import { createGrants } from '../../src/grants/grants.ts';
import { createVault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { secretMark } from '../../src/simulator/secret-mark.ts';
import { createZoomApi } from '../../src/zoom/api.ts';
import { zoomEndpoints } from '../../src/zoom/endpoints.ts';
import { createZoomOauth, type ZoomClient } from '../../src/zoom/oauth.ts';
import { useDatabase } from '../support/database.ts';
import { startZoomByName } from '../zoom/zoom-by-name.ts';
import { connectionRow, insertOrganization, type TestOrganization, toldTypes } from './organization.ts';

const database = useDatabase();
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function play(profile: 'kind' | 'cruel') {
  const { db } = database;
  const organization = await insertOrganization(db, { users: 30 });
  const account = `acc_${profile}`;
  const person = (id: string, email: string, roleId: string) => ({ id, email, roleId });
  // By Zoom's own names under a test authority: the branch of production, from consent to revoke.
  const zoom = await startZoomByName({
    profile,
    world: {
      apps: [{ clientId: 'sim_admin_app', secrets: [secretMark], kind: 'admin', redirectUris: ['*'] }],
      accounts: [
        {
          id: account,
          users: [
            person('zu_owner', `boss@${organization.domain}`, '0'),
            person('zu_admin', `it@${organization.domain}`, '1'),
            ...organization.people.map((one, n) => person(`zu_${n}`, one.email, '2')),
          ],
          patterns: [
            {
              count: 620,
              id: 'zx_{n}',
              email: 'x{n}@elsewhere.example',
              cycle: [{}, { status: 'pending' }, { status: 'inactive' }],
            },
          ],
        },
      ],
    },
  });
  stops.push(() => zoom.stop());
  const { simulator, network } = zoom;
  const endpoints = zoomEndpoints;
  const oauth = createZoomOauth({ endpoints, network });
  const api = createZoomApi({ endpoints, network });
  stops.push(async () => api.close());
  const client: ZoomClient = {
    kind: 'admin',
    clientId: 'sim_admin_app',
    secrets: [new Secret(secretMark)],
    redirectUri: 'https://steward.test/callback',
  };
  const vault = createVault({
    keys: [{ id: 'k', key: new Secret(Buffer.alloc(32, 1).toString('base64')) }],
    activeKeyId: 'k',
  });
  const grants = createGrants({
    db,
    oauth,
    clients: [client],
    vault,
    api: endpoints,
    holder: 'test',
    pacedEveryMs: 0,
    times: { pollMs: 20 },
  });
  stops.push(() => grants.close());
  const deps: ConnectionDeps = { db, vault, grants, oauth, api, endpoints, client, expectations: defaultExpectations };
  const wait = async (minutes: number) => {
    await sql`update steward.clock set offset_by = offset_by + ${minutes} * interval '1 minute'`.execute(db);
    simulator.control.advanceClock({ ms: minutes * 60_000 });
  };
  return { db, deps, simulator, organization, account, wait };
}

type Play = Awaited<ReturnType<typeof play>>;

async function approve({ deps, simulator }: Play, organization: TestOrganization, user: string): Promise<string> {
  const link = await createConnectLink(deps.db, {
    organizationId: organization.id,
    asker: { memberId: organization.owner.id },
  });
  const begun = await beginAttempt(deps, { token: link.token });
  if (begun.kind !== 'begun') throw new Error(begun.why);
  const consented = simulator.control.consent({ authorizeUrl: begun.authorizeUrl, user });
  if (consented.kind !== 'redirected') throw new Error(consented.why);
  const finished = await finishAttempt(deps, {
    params: new URL(consented.location).searchParams,
    browser: begun.browser,
  });
  if (finished.kind !== 'exchanged') throw new Error(finished.why);
  return finished.candidateId;
}

/** Takes a candidate on as its jobs would: look, walk where it waits for the directory, wait out limits. */
async function settle({ deps, account, wait }: Play, candidateId: string): Promise<Advanced> {
  for (let round = 0; round < 12; round += 1) {
    const advanced = await advanceCandidate(deps, candidateId);
    if (advanced.state !== 'waiting') return advanced;
    const walked = await syncDirectory(deps, account, { sliceMs: 20_000, paceMs: 0 });
    if (walked.state === 'blocked') await wait(2);
  }
  throw new Error('the candidate does not come to an end');
}

describe.each(['kind', 'cruel'] as const)('one organization against a %s Zoom', (profile) => {
  it('connects, loses its admin, resumes, is taken over by another admin, and disconnects', async () => {
    const it = await play(profile);
    const { db, deps, simulator, organization, account, wait } = it;
    expect(await settle(it, await approve(it, organization, 'zu_admin'))).toMatchObject({ state: 'active' });
    const { id } = await db
      .selectFrom('steward.org_connections')
      .select('id')
      .where('organization_id', '=', organization.id)
      .executeTakeFirstOrThrow();
    const row = () => connectionRow(db, id);
    const { users } = await db
      .selectFrom('steward.directories')
      .select('users')
      .where('zoom_account_id', '=', account)
      .executeTakeFirstOrThrow();
    expect(users).toBe(652);
    expect(await verifyConnection(deps, id)).toMatchObject({ outcome: 'passed' });

    // Demoted: as the profile has it, the list shrinks (at risk, and no more), or calls fail after four hours.
    const where = { accountId: account, userId: 'zu_admin' };
    simulator.control.demote(where);
    if (profile === 'kind') {
      expect(await verifyConnection(deps, id)).toMatchObject({ outcome: 'at_risk' });
      simulator.control.setToggles({ demotion: 'fails_calls' });
    } else {
      expect(await verifyConnection(deps, id)).toMatchObject({ outcome: 'passed' });
      await wait(241);
    }
    expect(await verifyConnection(deps, id)).toMatchObject({ outcome: 'suspect' });
    await wait(10);
    expect(await verifyConnection(deps, id)).toMatchObject({ outcome: 'interrupted' });
    expect((await row()).state).toBe('interrupted');
    simulator.control.promote(where);
    expect(await verifyConnection(deps, id)).toEqual({ outcome: 'passed', resumed: true });

    // The user is gone for good: the grant dies after two looks, another admin of the account takes over.
    simulator.control.revokeGrants({ clientId: 'sim_admin_app', accountId: account, userId: 'zu_admin' });
    await wait(60);
    for (let looks = 0; looks < 4 && (await row()).state === 'active'; looks += 1) {
      await verifyConnection(deps, id);
      await wait(11);
    }
    expect((await row()).state).toBe('interrupted');
    const before = await row();
    await sql`
      update steward.runs set state = 'done', phase = 'done', progress = '{"facts": {"done": 1, "total": 1}}'
       where connection_id = ${id} and state = 'queued'`.execute(db);
    expect(await settle(it, await approve(it, organization, 'zu_owner'))).toMatchObject({ state: 'active' });
    // Of members of the same account nothing changed but who serves them.
    expect(
      await db
        .selectFrom('steward.runs')
        .select(['cause', 'phase'])
        .where('connection_id', '=', id)
        .where('state', '=', 'queued')
        .execute(),
    ).toEqual([{ cause: 'activated', phase: 'members' }]);
    expect(await row()).toMatchObject({ id, state: 'active', zoom_account_id: account });
    expect((await row()).grant_id).not.toBe(before.grant_id);

    // A joiner, known to Zoom or not.
    simulator.control.addUsers({ accountId: account, users: [{ id: 'zu_new', email: `new@${organization.domain}` }] });
    await sql`insert into steward_app.members (id, organization_id, name, email, email_verified, role)
              values (gen_random_uuid(), ${organization.id}, 'new', ${`New@${organization.domain}`}, true, 'user')`.execute(
      db,
    );
    const joiner = await db
      .selectFrom('steward_app.members')
      .select('id')
      .where('name', '=', 'new')
      .where('organization_id', '=', organization.id)
      .executeTakeFirstOrThrow();
    expect(await lookUpAddress(deps, { zoomAccountId: account, memberId: joiner.id })).toEqual({ state: 'found' });

    const { generation } = await row();
    await db.transaction().execute((trx) =>
      requestDisconnect(trx, {
        organizationId: organization.id,
        generation,
        typedName: organization.name,
        asker: { memberId: organization.owner.id },
      }),
    );
    await sql`update steward.runs set state = 'done' where connection_id = ${id} and state = 'queued'`.execute(db);
    const grantId = (await row()).grant_id!;
    expect(await finishOrganizationDisconnect(db, organization.id)).toEqual({ outcome: 'finished' });
    expect(await deps.grants.retire(grantId)).toEqual({ kind: 'done', outcome: 'revoked' });
    expect(simulator.control.grants().every((grant) => grant.ended !== null)).toBe(true);
    expect(await toldTypes(db, organization.id)).toEqual([
      'connection.activated',
      ...(profile === 'kind' ? ['connection.at_risk'] : []),
      'connection.interrupted',
      'connection.resumed',
      'connection.interrupted',
      'connection.activated',
      'connection.disconnecting',
      'connection.disconnected',
    ]);
    expect(simulator.judge().findings).toEqual([]);
  });

  it('a callback that began at the Marketplace exchanges nothing', async () => {
    const { deps, simulator } = await play(profile);
    const consented = simulator.control.consentAtMarketplace({
      clientId: 'sim_admin_app',
      redirectUri: 'https://steward.test/callback',
      user: 'zu_admin',
    });
    if (consented.kind !== 'redirected') throw new Error(consented.why);
    const finished = await finishAttempt(deps, { params: new URL(consented.location).searchParams, browser: null });
    expect(finished).toMatchObject({ kind: 'refused', why: expect.stringMatching(/no_state|unknown_state/) });
    expect(simulator.ledger().some((entry) => entry.endpoint.includes('token'))).toBe(false);
  });
});
