import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { ConnectionDeps } from '../../src/connections/connection-deps.ts';
import { defaultExpectations } from '../../src/connections/expectations.ts';
import type { Database } from '../../src/db/database.ts';
import { fileGrant } from '../../src/grants/grant-repository.ts';
import { createGrants } from '../../src/grants/grants.ts';
import { createVault } from '../../src/grants/vault.ts';
import { Secret } from '../../src/secret.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import { adminScopes } from '../../src/simulator/world.ts';
import { createZoomApi } from '../../src/zoom/api.ts';
import { simulatorEndpoints } from '../../src/zoom/endpoints.ts';
import { createZoomOauth, type ZoomClient } from '../../src/zoom/oauth.ts';
import type { Random } from '../crash/random.ts';

export const clientSecret = 'fleet-secret';
export const clientId = 'fleet_admin_app';

/** Longest time between two scheduled looks: six hours and a fifth. */
export const periodMs = 7.2 * 3_600_000;
const hoursBetweenLooks = 6;
const atOnce = 16;

/** One organization whose connection is active, with a Zoom account of its own. */
export type Connected = {
  readonly organizationId: string;
  readonly connectionId: string;
  readonly accountId: string;
  readonly userId: string;
  readonly grantId: string;
};

export type FleetWorld = {
  readonly zoom: Simulator;
  readonly deps: ConnectionDeps;
  readonly fleet: readonly Connected[];
  /** moves Zoom's clock and the database's */
  advance(ms: number): Promise<void>;
  stop(): Promise<void>;
};

const client: ZoomClient = {
  kind: 'admin',
  clientId,
  secrets: [new Secret(clientSecret)],
  redirectUri: 'https://steward.test/callback',
};

/** Works through a list, so many at once. */
export async function each<T>(items: readonly T[], work: (item: T, at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) await work(items[at] as T, at);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

/**
 * A cruel Zoom and so many organizations connected to it, each by a real consent; their next looks are spread over six hours,
 * as they are after a while, and every access token's hour is over. Demotion makes calls fail at once: what shows later is
 * found later, by whoever looks.
 */
export async function buildFleet(
  db: Database,
  { connections, seed, random }: { readonly connections: number; readonly seed: number; readonly random: Random },
): Promise<FleetWorld> {
  const zoom = await startSimulator({
    profile: 'cruel',
    seed,
    toggles: { demotion: 'fails_calls', rate_limits: 'off' },
    world: { apps: [{ clientId, secrets: [clientSecret], kind: 'admin', redirectUris: ['*'] }], accounts: [] },
  });
  const endpoints = simulatorEndpoints(zoom.url);
  const oauth = createZoomOauth({ endpoints });
  const api = createZoomApi({ endpoints });
  const vault = createVault({
    keys: [{ id: 'fleet', key: new Secret(randomBytes(32).toString('base64')) }],
    activeKeyId: 'fleet',
  });
  // Virtual time: whoever waits for the clock of the database would wait in vain, and pacing is by the real one.
  const grants = createGrants({
    db,
    oauth,
    clients: [client],
    vault,
    api: endpoints,
    holder: 'fleet',
    pacedEveryMs: 0,
    times: { pollMs: 20, patienceMs: 200 },
  });
  const deps: ConnectionDeps = {
    db,
    vault,
    grants,
    oauth,
    api,
    endpoints,
    client,
    expectations: defaultExpectations,
    // As many as in an installation, without the pauses.
    lookAgainMs: [0, 0, 0],
  };

  const fleet: Connected[] = [];
  await each(
    Array.from({ length: connections }, (_, n) => ({ n, due: random.next() })),
    async ({ n, due }) => {
      const accountId = `acc-${n}`;
      const userId = `admin-${n}`;
      const email = `admin@org${n}.example`;
      zoom.control.addAccount({ id: accountId, users: [{ id: userId, email, roleId: '1' }] });
      const codeVerifier = randomBytes(32).toString('base64url');
      const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
      const consented = zoom.control.consent({
        authorizeUrl: oauth.authorizeUrl(client, { state: `s${n}`, codeChallenge }),
        accountId,
        user: userId,
      });
      if (consented.kind !== 'redirected') throw new Error(`Expected a consent, got ${consented.why}`);
      const tokens = await oauth.exchangeCode(client, client.secrets[0] as Secret, {
        code: new Secret(new URL(consented.location).searchParams.get('code') ?? ''),
        codeVerifier: new Secret(codeVerifier),
      });
      if (tokens.kind !== 'tokens') throw new Error(`Expected tokens for a code, got ${tokens.kind}: ${tokens.detail}`);
      const organizationId = randomUUID();
      const connectionId = randomUUID();
      const { grantId } = await db.transaction().execute((trx) =>
        fileGrant(trx, vault, {
          client,
          zoomAccountId: accountId,
          zoomUserId: userId,
          zoomUserEmail: null,
          tokens: { ...tokens, scopes: tokens.scopes ?? adminScopes },
          api: endpoints,
        }),
      );
      await sql`insert into steward_app.organizations (id, name) values (${organizationId}, ${`Org ${n}`})`.execute(db);
      await sql`
        insert into steward_app.members (id, organization_id, name, email, email_verified, role)
        values (gen_random_uuid(), ${organizationId}, 'Owner', ${email}, true, 'owner')`.execute(db);
      await sql`
        insert into steward.org_connections (id, organization_id, state, generation, zoom_account_id, grant_id, activated_at, verified_at, verify_due_at)
        values (${connectionId}, ${organizationId}, 'active', 2, ${accountId}, ${grantId}, steward.now(),
                steward.now() - (1 - ${due}::float8) * ${hoursBetweenLooks} * interval '1 hour', steward.now() + ${due}::float8 * ${hoursBetweenLooks} * interval '1 hour')`.execute(
        db,
      );
      fleet[n] = { organizationId, connectionId, accountId, userId, grantId };
    },
  );
  await sql`update steward.grants set access_expires_at = steward.now() - interval '1 second'`.execute(db);
  await sql`delete from steward.outbox`.execute(db);
  return {
    zoom,
    deps,
    fleet,
    async advance(ms) {
      zoom.control.advanceClock({ ms });
      await sql`update steward.clock set offset_by = offset_by + ${ms} * interval '1 millisecond'`.execute(db);
    },
    async stop() {
      await grants.close();
      api.close();
      await zoom.stop();
    },
  };
}
