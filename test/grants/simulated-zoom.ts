import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { fileGrant } from '../../src/grants/grant-repository.ts';
import { createGrants, type Grants, type GrantsDeps } from '../../src/grants/grants.ts';
import { Secret } from '../../src/secret.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import { adminScopes } from '../../src/simulator/world.ts';
import { simulatorEndpoints } from '../../src/zoom/endpoints.ts';
import { createZoomOauth, type ZoomClient, type ZoomOauth } from '../../src/zoom/oauth.ts';
import { advanceClock, endAccessToken, testVault } from './setting.ts';

/** The admin app of the simulator's default world. */
export const simulatedClient: ZoomClient = {
  kind: 'admin',
  clientId: 'sim_admin_app',
  secrets: [new Secret('sim-admin-secret')],
  redirectUri: 'https://steward.test/callback',
};

export type SimulatedZoom = {
  readonly simulator: Simulator;
  /**
   * A new account's admin consents – or that of `again` once more –, the code is exchanged and the pair filed; the access
   * token's hour is over.
   */
  fileByConsent(db: Database, again?: Where): Promise<Where & { readonly grantId: string }>;
  /** Moves our clock and Zoom's. */
  advance(db: Database, ms: number): Promise<void>;
  /** our client of the token endpoint; with a shorter time-out, or at another address */
  oauth(timeoutMs?: number, url?: string): ZoomOauth;
  grants(db: Database, said?: Partial<GrantsDeps>): Grants;
  /** how many refreshes of this account arrived at Zoom */
  refreshes(where: Where): number;
};

type Where = { readonly accountId: string; readonly userId: string };

/** A simulator for this test file, under one profile. */
export function useSimulatedZoom(profile: 'kind' | 'cruel'): SimulatedZoom {
  let simulator: Simulator | undefined;
  beforeAll(async () => {
    simulator = await startSimulator({ profile, toggles: { rate_limits: 'off' } });
  });
  afterAll(() => simulator?.stop());
  return createSimulatedZoom(() => {
    if (!simulator) throw new Error('useSimulatedZoom: the simulator runs only from beforeAll on');
    return simulator;
  });
}

/** The same over a simulator that somebody else starts and stops. */
export function createSimulatedZoom(running: () => Simulator): SimulatedZoom {
  let made = 0;
  const oauth = (timeoutMs = 30_000, url = running().url) =>
    createZoomOauth({ endpoints: simulatorEndpoints(url), timeoutMs });
  return {
    oauth,

    get simulator() {
      return running();
    },

    async fileByConsent(db, again) {
      made += 1;
      const where = again ?? { accountId: `acc-${made}`, userId: `admin-${made}` };
      const { control } = running();
      if (!again)
        control.addAccount({
          id: where.accountId,
          users: [{ id: where.userId, email: `${where.userId}@example.com`, roleId: '1' }],
        });
      const codeVerifier = randomBytes(32).toString('base64url');
      const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
      const authorizeUrl = oauth().authorizeUrl(simulatedClient, { state: 'state', codeChallenge });
      const consented = control.consent({ accountId: where.accountId, user: where.userId, authorizeUrl });
      if (consented.kind !== 'redirected') throw new Error(`Expected a consent, got ${consented.why}`);
      const code = new URL(consented.location).searchParams.get('code') ?? '';
      const tokens = await oauth().exchangeCode(simulatedClient, simulatedClient.secrets[0] as Secret, {
        code: new Secret(code),
        codeVerifier: new Secret(codeVerifier),
      });
      if (tokens.kind !== 'tokens')
        throw new Error(`Expected tokens for the code, got ${tokens.kind}: ${tokens.detail}`);
      const { grantId } = await db.transaction().execute((trx) =>
        fileGrant(trx, testVault, {
          client: simulatedClient,
          zoomAccountId: where.accountId,
          zoomUserId: where.userId,
          zoomUserEmail: null,
          tokens: { ...tokens, scopes: tokens.scopes ?? adminScopes },
          api: simulatorEndpoints(running().url),
        }),
      );
      await endAccessToken(db, grantId);
      return { ...where, grantId };
    },

    async advance(db, ms) {
      running().control.advanceClock({ ms });
      await advanceClock(db, ms);
    },

    grants: (db, said = {}) =>
      createGrants({
        db,
        oauth: oauth(),
        clients: [simulatedClient],
        vault: testVault,
        api: simulatorEndpoints(running().url),
        holder: 'test',
        pacedEveryMs: 0,
        ...said,
        times: { pollMs: 20, ...said.times },
      }),

    refreshes: ({ accountId, userId }) =>
      running()
        .ledger()
        .filter(
          (entry) =>
            entry.endpoint === 'oauth.refresh' && entry.grant === `${simulatedClient.clientId}/${accountId}/${userId}`,
        ).length,
  };
}
