import type { AddressInfo } from 'node:net';
import { sql } from 'kysely';
import { afterEach } from 'vitest';
import { type BeginResult, beginAttempt } from '../../src/connections/attempts.ts';
import type { ConnectionDeps } from '../../src/connections/connection-deps.ts';
import { defaultExpectations } from '../../src/connections/expectations.ts';
import { type FinishResult, finishAttempt } from '../../src/connections/finish-attempt.ts';
import { createConnectLink } from '../../src/connections/links.ts';
import { requestDisconnect } from '../../src/connections/request-disconnect.ts';
import type { Database } from '../../src/db/database.ts';
import { createGrants, type Grants, type GrantsDeps } from '../../src/grants/grants.ts';
import { createVault } from '../../src/grants/vault.ts';
import { createGateway } from '../../src/http/gateway.ts';
import { webhookPath } from '../../src/http/webhook-app.ts';
import { upkeepTasks } from '../../src/jobs/upkeep/tasks.ts';
import { createLogger } from '../../src/logger.ts';
import { Secret } from '../../src/secret.ts';
import { pairwiseProfiles } from '../../src/simulator/pairwise.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import type { Toggles } from '../../src/simulator/toggles.ts';
import { createTelemetry } from '../../src/telemetry.ts';
import { createZoomApi } from '../../src/zoom/api.ts';
import { simulatorEndpoints } from '../../src/zoom/endpoints.ts';
import { createZoomOauth, type ZoomClient } from '../../src/zoom/oauth.ts';
import { connectionRow, insertOrganization, type TestOrganization, toldTypes } from '../connections/organization.ts';
import { createOwedRunner } from '../connections/run-owed.ts';
import { services } from '../jobs/perform-job.ts';

/** A profile by name, or all readings. */
export type Profile = { readonly name: string; readonly profile: 'kind' | 'cruel'; readonly toggles?: Toggles };

const names = ['kind', 'cruel'];
/**
 * The profiles under which every scenario is played: cruel; in the long form (`npm run scenarios`) kind, cruel, and those
 * in which every two readings of different toggles meet.
 */
export const profiles: readonly Profile[] =
  process.env['STEWARD_SCENARIOS'] === 'all'
    ? pairwiseProfiles().map((toggles, n) => ({ name: names[n] ?? `pairwise ${n}`, profile: 'kind', toggles }))
    : [{ name: 'cruel', profile: 'cruel' }];

export const adminClient: ZoomClient = {
  kind: 'admin',
  clientId: 'sim_admin_app',
  secrets: [new Secret('s')],
  redirectUri: 'https://steward.test/callback',
};
const keyOf = (id: string, fill: number) => ({ id, key: new Secret(Buffer.alloc(32, fill).toString('base64')) });
const webhookSecret = 'scenario-hook-secret';

type Begun = Extract<BeginResult, { kind: 'begun' }>;
type Link = Awaited<ReturnType<typeof createConnectLink>>;

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Tables in which a scenario leaves anything that another would meet, referring ones first. */
const swept = [
  ...['candidates', 'connect_attempts', 'connect_links', 'org_connections', 'grants', 'client_states', 'directories'],
  ...['directory_users', 'directory_lookups', 'hints', 'webhook_receipts', 'runs', 'outbox', 'events', 'audit_log'],
  ...['event_streams', 'event_sums', 'event_batches', 'event_hours', 'installation', 'switches'],
];

/** Nothing of the scenarios before is left, and it is now. */
async function sweep(db: Database): Promise<void> {
  for (const table of swept) await sql`delete from ${sql.table(`steward.${table}`)}`.execute(db);
  await sql`update steward.clock set offset_by = '0'`.execute(db);
}

/**
 * A simulated Zoom under one profile, an empty installation beside it, and its jobs run by hand: `settle` does what is
 * owed, `wait` moves both clocks, `tick` looks for what is due.
 */
export async function play(db: Database, profile: Profile, toggles: Readonly<Record<string, string>> = {}) {
  await sweep(db);
  const simulator: Simulator = await startSimulator({
    profile: profile.profile,
    toggles: { ...profile.toggles, ...toggles },
    world: { apps: [{ clientId: adminClient.clientId, secrets: ['s'], kind: 'admin', redirectUris: ['*'] }] },
  });
  stops.push(() => simulator.stop());
  const { control } = simulator;
  const endpoints = simulatorEndpoints(simulator.url);
  const oauth = createZoomOauth({ endpoints });
  const api = createZoomApi({ endpoints });
  stops.push(async () => api.close());

  /** A process of this installation; with another key ring if so given. */
  function processOf(
    ring: { readonly id: string; readonly fill: number } = { id: 'k', fill: 1 },
    more: Partial<GrantsDeps> = {},
  ): ConnectionDeps {
    const vault = createVault({ keys: [keyOf(ring.id, ring.fill)], activeKeyId: ring.id });
    const grants: Grants = createGrants({
      ...{ db, oauth, vault, api: endpoints, clients: [adminClient], holder: 'scenario', pacedEveryMs: 0 },
      ...more,
      times: { pollMs: 20, ...more.times },
    });
    stops.push(() => grants.close());
    return { db, vault, grants, oauth, api, endpoints, client: adminClient, expectations: defaultExpectations };
  }
  const deps = processOf();
  const runOwed = createOwedRunner(deps, { forgiving: true });

  const wait = async (minutes: number): Promise<void> => {
    await sql`update steward.clock set offset_by = offset_by + ${minutes} * interval '1 minute'`.execute(db);
    control.advanceClock({ ms: minutes * 60_000 });
  };

  /** Does what is owed, and waits for what is owed a little later, as limits and back-offs have it. */
  const settle = async (withinMinutes = 15): Promise<void> => {
    for (let waited = 0; ; ) {
      await runOwed();
      const { rows } = await sql<{ minutes: number }>`
        select ceil(extract(epoch from min(available_at) - steward.now()) / 60)::int as minutes from steward.outbox having count(*) > 0`.execute(
        db,
      );
      const [next] = rows;
      if (!next || waited + next.minutes > withinMinutes) return;
      await wait(next.minutes);
      waited += Math.max(next.minutes, 0.1);
    }
  };

  const upkeepServices = services({ previewDisconnect: async () => ({}) });
  const tick = async (): Promise<void> => {
    for (const task of Object.values(upkeepTasks)) await task(db, upkeepServices);
    await settle();
  };

  /** An organization, and its people in a Zoom account that is made if it is not there; an owner and an admin are. */
  const organization = async (account: string): Promise<TestOrganization> => {
    const made = await insertOrganization(db, { users: 2 });
    const people = made.people.map((one, n) => ({ id: `zu_${made.domain}_${n}`, email: one.email, roleId: '2' }));
    const bosses = [
      { id: `${account}_owner`, email: `boss@${made.domain}`, roleId: '0' },
      { id: `${account}_admin`, email: `it@${made.domain}`, roleId: '1' },
    ];
    try {
      control.addAccount({ id: account, users: [...bosses, ...people] });
    } catch {
      control.addUsers({ accountId: account, users: people });
    }
    return made;
  };

  const linkFor = (of: TestOrganization): Promise<Link> =>
    createConnectLink(db, { organizationId: of.id, asker: { memberId: of.owner.id } });

  const begin = async (link: Link): Promise<Begun> => {
    const begun = await beginAttempt(deps, { token: link.token });
    if (begun.kind !== 'begun') throw new Error(begun.why);
    return begun;
  };

  /** Zoom's answer to an authorize URL: where the browser is sent. */
  const decide = (begun: Begun, user: string, declinedScopes: readonly string[] = []): URLSearchParams => {
    const consented = control.consent({ authorizeUrl: begun.authorizeUrl, user, declinedScopes });
    if (consented.kind !== 'redirected') throw new Error(consented.why);
    return new URL(consented.location).searchParams;
  };

  /** Link, button, consent, callback; the verdict is owed. */
  const approve = async (
    of: TestOrganization,
    user: string,
    { link, declinedScopes }: { readonly link?: Link; readonly declinedScopes?: readonly string[] } = {},
  ): Promise<{ link: Link; candidateId: string; finished: FinishResult }> => {
    const used = link ?? (await linkFor(of));
    const begun = await begin(used);
    const finished = await finishAttempt(deps, {
      params: decide(begun, user, declinedScopes),
      browser: begun.browser,
    });
    if (finished.kind !== 'exchanged') throw new Error(finished.why);
    return { link: used, candidateId: finished.candidateId, finished };
  };

  const connection = async (of: TestOrganization) => {
    const { id } = await db
      .selectFrom('steward.org_connections')
      .select('id')
      .where('organization_id', '=', of.id)
      .executeTakeFirstOrThrow();
    return connectionRow(db, id);
  };

  /** The organization is connected: everything that was owed for it is done. */
  const connect = async (of: TestOrganization, user: string) => {
    await approve(of, user);
    await settle();
    const row = await connection(of);
    if (row.state !== 'active') throw new Error(`expected active, got ${row.state}`);
    return row;
  };

  const disconnect = async (of: TestOrganization): Promise<void> => {
    const { generation } = await connection(of);
    await db.transaction().execute((trx) =>
      requestDisconnect(trx, {
        organizationId: of.id,
        generation,
        typedName: of.name,
        asker: { memberId: of.owner.id },
      }),
    );
  };

  /** What became of a candidate. */
  const candidate = (id: string) =>
    db.selectFrom('steward.candidates').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const grant = (id: string | null) =>
    db
      .selectFrom('steward.grants')
      .selectAll()
      .where('id', '=', id ?? '')
      .executeTakeFirstOrThrow();
  /** Whether Zoom takes the token that we would use now. */
  const works = async (of: TestOrganization): Promise<boolean> => {
    const called = await deps.grants.call((await connection(of)).grant_id as string, (auth) => api.me(auth));
    return called.kind === 'answer' && called.answer.ok;
  };

  /** The server's webhook path, subscribed at Zoom; returns its address. */
  const listen = async (): Promise<string> => {
    const gateway = createGateway({
      deps,
      publicUrl: 'https://steward.test',
      claimSecret: null,
      locationAdapter: 'rows',
      meetingQuotas: { perKey: 0, perOrganization: 0 },
      log: createLogger({ level: 'silent' }),
      telemetry: createTelemetry(),
      webhooks: [{ kind: 'admin', clientId: adminClient.clientId, secrets: [new Secret(webhookSecret)] }],
    });
    await gateway.listen({ host: '127.0.0.1', port: 0 });
    stops.push(() => gateway.close());
    const url = `http://127.0.0.1:${(gateway.server.address() as AddressInfo).port}${webhookPath('admin')}`;
    control.subscribe({ clientId: adminClient.clientId, url, secret: webhookSecret });
    return url;
  };

  return {
    ...{ db, deps, simulator, control, api, processOf, runOwed, wait, settle, tick, organization, linkFor, begin },
    ...{ decide, approve, connect, disconnect, connection, candidate, grant, works, listen },
    /** what owners and admins were told of the connection, in order */
    told: async (of: TestOrganization) => (await toldTypes(db, of.id)).filter((type) => type.startsWith('connection.')),
  };
}

export type Play = Awaited<ReturnType<typeof play>>;
