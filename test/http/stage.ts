import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll } from 'vitest';
import { createSteward, type Steward } from '../../src/client/index.ts';
import { createServices, type Services } from '../../src/compose.ts';
import { parseConfig } from '../../src/config.ts';
import { createBrowser } from '../../src/demo/browser.ts';
import { freePort } from '../../src/embedded/free-port.ts';
import { type ServerProcess, startServer } from '../../src/http/server-process.ts';
import { type Capability, createServiceKey } from '../../src/http/service-keys.ts';
import { createLogger } from '../../src/logger.ts';
import { secretMark } from '../../src/simulator/secret-mark.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import { useDatabase } from '../support/database.ts';

const accountId = 'acc_http';
const memberCount = 30;
const clientSecret = `http-${secretMark}`;
const webhookSecrets = [`hook-${secretMark}-now`, `hook-${secretMark}-before`];
const everything = ['facts:write', 'connections:read', 'meetings:write', 'act-as'] as const;

export type HttpStage = {
  readonly services: Services;
  readonly server: ServerProcess;
  readonly zoom: Simulator;
  readonly claimSecret: string;
  readonly organizationId: string;
  readonly owner: { readonly organizationId: string; readonly memberId: string };
  readonly user: { readonly organizationId: string; readonly memberId: string };
  /** members' ids by their number; even ones have a licensed Zoom user, number 1 a basic one, number 3 none */
  readonly members: readonly string[];
  /** secrets with which the app's webhooks are signed, the one that Zoom shows now first */
  readonly webhookSecrets: readonly string[];
  /** everything that was logged */
  readonly log: string[];
  client(capabilities?: readonly Capability[], organizationId?: string): Promise<Steward & { readonly key: string }>;
  /** link, consent, verdict and confirmation, by the server and by calls that jobs would make: no worker runs */
  connectWithoutWorker(): Promise<void>;
};

/** A server process on a fresh database with a simulated Zoom, and no worker anywhere; `personal`: with both apps. */
export function useHttpStage({ personal = false }: { readonly personal?: boolean } = {}): () => HttpStage {
  const database = useDatabase();
  let stage: HttpStage | undefined;
  beforeAll(async () => {
    const { db } = database;
    const organizationId = randomUUID();
    const members = Array.from({ length: memberCount }, () => randomUUID());
    await sql`insert into steward_app.organizations (id, name, verified_domains) values (${organizationId}, 'Http & Sons <b>', array['http.example'])`.execute(
      db,
    );
    for (const [i, id] of members.entries()) {
      await sql`insert into steward_app.members (id, organization_id, name, email, email_verified, role)
                values (${id}, ${organizationId}, ${`M ${i}`}, ${`m${i}@http.example`}, true, ${i === 0 ? 'owner' : 'user'})`.execute(
        db,
      );
    }
    const zoom = await startSimulator({
      profile: 'kind',
      seed: 7,
      world: {
        apps: [
          { clientId: 'http_admin_app', secrets: [clientSecret], kind: 'admin', redirectUris: ['*'] },
          { clientId: 'http_personal_app', secrets: [clientSecret], kind: 'personal', redirectUris: ['*'] },
        ],
        accounts: [
          {
            id: accountId,
            plan: 'business',
            users: [
              { id: 'zu_admin', email: 'admin@http.example', roleId: '1' },
              ...members.flatMap((_, i) =>
                i === 3 ? [] : [{ id: `zu_${i}`, email: `m${i}@http.example`, type: i === 1 ? 1 : 2 }],
              ),
            ],
          },
        ],
      },
    });
    const port = await freePort();
    const claimSecret = randomBytes(32).toString('base64url');
    const log: string[] = [];
    const services = createServices(
      parseConfig({
        STEWARD_MODE: 'simulator',
        DATABASE_URL: database.url,
        ZOOM_BASE_URL: zoom.url,
        ZOOM_ADMIN_CLIENT_ID: 'http_admin_app',
        ZOOM_ADMIN_CLIENT_SECRETS: clientSecret,
        ZOOM_ADMIN_WEBHOOK_SECRETS: webhookSecrets.join(),
        ...(personal && {
          ZOOM_PERSONAL_CLIENT_ID: 'http_personal_app',
          ZOOM_PERSONAL_CLIENT_SECRETS: clientSecret,
        }),
        STEWARD_KEYS: `t:${randomBytes(32).toString('base64')}`,
        STEWARD_CLAIM_SECRET: claimSecret,
        STEWARD_PUBLIC_URL: `http://127.0.0.1:${port}`,
        STEWARD_PORT: String(port),
      }),
      { log: createLogger({ level: 'debug', destination: { write: (line: string) => void log.push(line) } }) },
    );
    const server = await startServer(services);
    const client: HttpStage['client'] = async (capabilities = everything, bound) => {
      const { key } = await createServiceKey(db, {
        name: 'test',
        capabilities,
        ...(bound ? { organizationId: bound } : {}),
      });
      return { ...createSteward({ db: services.db as never, url: server.url, serviceKey: key, claimSecret }), key };
    };
    stage = {
      services,
      server,
      zoom,
      claimSecret,
      organizationId,
      owner: { organizationId, memberId: members[0] as string },
      user: { organizationId, memberId: members[2] as string },
      members,
      webhookSecrets,
      log,
      client,
      async connectWithoutWorker() {
        const steward = await client();
        const { url } = await steward.requestConnectLink({ by: { organizationId, memberId: members[0] as string } });
        const browser = createBrowser();
        const { location } = await browser.post(url);
        const consented = zoom.control.consent({ authorizeUrl: location ?? '', user: 'zu_admin' });
        if (consented.kind !== 'redirected') throw new Error(consented.why);
        await browser.get(consented.location);
        const signal = new AbortController().signal;
        const { id } = await db
          .selectFrom('steward.candidates')
          .select('id')
          .orderBy('created_at', 'desc')
          .limit(1)
          .executeTakeFirstOrThrow();
        for (let look = 0; look < 10; look += 1) {
          await services.jobs.advanceCandidate(id, { signal });
          const { state } = await db
            .selectFrom('steward.candidates')
            .select('state')
            .where('id', '=', id)
            .executeTakeFirstOrThrow();
          if (state === 'adopted') return;
          if (state === 'awaiting_confirmation') {
            await steward.confirmConnection({
              by: { organizationId, memberId: members[0] as string },
              candidateId: id,
            });
            return;
          }
          await services.jobs.syncDirectory(accountId, { signal });
        }
        throw new Error('The candidate came to no verdict');
      },
    };
  });
  afterAll(async () => {
    await stage?.server.stop();
    await stage?.services.close();
    await stage?.zoom.stop();
  });
  return () => {
    if (!stage) throw new Error('useHttpStage: the stage exists only inside tests and hooks');
    return stage;
  };
}
