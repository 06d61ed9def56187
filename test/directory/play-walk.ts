import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { createServices, type Services } from '../../src/compose.ts';
import { parseConfig } from '../../src/config.ts';
import { advanceCandidate } from '../../src/connections/advance-candidate.ts';
import { beginAttempt } from '../../src/connections/attempts.ts';
import { finishAttempt } from '../../src/connections/finish-attempt.ts';
import { createConnectLink } from '../../src/connections/links.ts';
import { findDirectoryGrant, syncDirectory } from '../../src/connections/sync-directory.ts';
import { createLogger } from '../../src/logger.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';

const account = 'acc_walk';
const share = 0.25;
const pageSize = 300;
/** Seven licensed, one basic, one inactive, one pending, and again. */
const cycle = [{}, {}, {}, {}, {}, {}, {}, { type: 1 }, { status: 'inactive' }, { status: 'pending' }] as const;
const members = 100;
const interactiveEveryMs = 200;

export type WalkOptions = {
  /** of a migrated database, reference app included */
  readonly url: string;
  readonly users: number;
  /** share of the calls that fail, from 0 */
  readonly faults: number;
  /** pauses pass on the simulated clock, at once; else on the wall's */
  readonly simulated: boolean;
  readonly seed?: number;
};

export type WalkReport = {
  readonly users: number;
  readonly faults: number;
  readonly share: number;
  /** pages of the three states */
  readonly pages: number;
  /** calls of the walk, repeated ones included */
  readonly calls: number;
  readonly callsPerPage: number;
  /** of Zoom's time: pauses and answers */
  readonly seconds: number;
  /** answers of Zoom that the rate limit was reached, injected ones not counted */
  readonly rateLimited: number;
  readonly interactiveCalls: number;
  /** longest that making a meeting took while the walk went on, ms */
  readonly longestInteractiveMs: number;
  /** largest growth of this process's memory, simulator included, MB */
  readonly grownMb: number;
  /** the copy holds exactly what Zoom has: ids, states, types, and addresses in the form they are to be kept in */
  readonly equal: boolean;
};

/** Walks the directory of a simulated Business account once and looks at what it cost and left. */
export async function playWalk(options: WalkOptions): Promise<WalkReport> {
  const { url, users, faults, simulated, seed = 1 } = options;
  const zoom = await startSimulator({
    profile: 'kind',
    seed,
    toggles: { rate_limits: 'on' },
    world: {
      apps: [{ clientId: 'walk_app', secrets: ['walk-secret'], kind: 'admin', redirectUris: ['*'] }],
      accounts: [
        {
          id: account,
          plan: 'business',
          users: [{ id: 'zu_admin', email: 'admin@walk.example', roleId: '1' }],
          patterns: [{ count: users - 1, id: 'zu_{n}', email: 'u{n}@walk.example', cycle: [...cycle] }],
        },
      ],
    },
  });
  const services = createServices(
    parseConfig({
      STEWARD_MODE: 'simulator',
      DATABASE_URL: url,
      ZOOM_BASE_URL: zoom.url,
      ZOOM_ADMIN_CLIENT_ID: 'walk_app',
      ZOOM_ADMIN_CLIENT_SECRETS: 'walk-secret',
      STEWARD_KEYS: `t:${randomBytes(32).toString('base64')}`,
      STEWARD_PUBLIC_URL: 'http://127.0.0.1:4000',
    }),
    { log: createLogger({ level: 'silent' }) },
  );
  try {
    const grantId = await connect(services, zoom);
    zoom.control.clearLedger();
    injectFaults(zoom, faults);
    return await walk({ services, zoom, grantId, users, faults, simulated });
  } finally {
    await services.close();
    await zoom.stop();
  }
}

/** An organization whose Zoom admin has approved; it waits for the walk. */
async function connect({ db, connections }: Services, zoom: Simulator): Promise<string> {
  const organizationId = randomUUID();
  await sql`insert into steward_app.organizations (id, name, verified_domains) values (${organizationId}, 'Walk', '{walk.example}')`.execute(
    db,
  );
  await sql`
    insert into steward_app.members (id, organization_id, name, email, email_verified, role)
    select gen_random_uuid(), ${organizationId}, 'M', 'u' || n || '@walk.example', true, case n when 0 then 'owner' else 'user' end
      from generate_series(0, ${members - 1}::int) n`.execute(db);
  const owner = await db
    .selectFrom('steward_app.members')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('role', '=', 'owner')
    .executeTakeFirstOrThrow();
  const { token } = await createConnectLink(db, { organizationId, asker: { memberId: owner.id } });
  const begun = await beginAttempt(connections, { token, sessionMemberId: null });
  if (begun.kind !== 'begun') throw new Error(`the link was refused: ${begun.why}`);
  const { authorizeUrl, browser } = begun;
  const consented = zoom.control.consent({ authorizeUrl, user: 'zu_admin' });
  if (consented.kind !== 'redirected') throw new Error(consented.why);
  const params = new URL(consented.location).searchParams;
  const finished = await finishAttempt(connections, { params, browser });
  if (finished.kind !== 'exchanged') throw new Error(`the consent came to ${finished.kind}`);
  await advanceCandidate(connections, finished.candidateId);
  const grantId = await findDirectoryGrant(db, account);
  if (grantId === null) throw new Error('nothing can read the directory');
  return grantId;
}

/** Half of them before Zoom did it; errors of its servers, cuts, half answers, limits that are not ours. */
function injectFaults({ control }: Simulator, share: number): void {
  if (share === 0) return;
  const kinds = [
    { kind: 'server_error', when: 'before', status: 503 },
    { kind: 'reset', when: 'after' },
    { kind: 'truncate' },
    { kind: 'html', status: 502 },
    { kind: 'too_many_requests' },
  ] as const;
  // The first rule that applies takes the call: each is drawn among what the ones before left.
  for (const [at, fault] of kinds.entries()) {
    const probability = share / kinds.length / (1 - (share / kinds.length) * at);
    control.addFault({ endpoint: 'users.*', probability, ...fault });
  }
}

type Stage = Omit<WalkOptions, 'url' | 'seed'> & {
  readonly services: Services;
  readonly zoom: Simulator;
  readonly grantId: string;
};

async function walk({ services, zoom, grantId, users, faults, simulated }: Stage): Promise<WalkReport> {
  const { db, connections } = services;
  let simulatedMs = 0;
  /** a pause of a walk: on the simulated clock, while other work of this process has its turn */
  const pause = async (ms: number): Promise<void> => {
    if (!simulated) return delay(ms);
    simulatedMs += ms;
    zoom.control.advanceClock({ ms });
    await new Promise(setImmediate);
  };
  /** one that the database's clock must see too */
  const wait = async (ms: number): Promise<void> => {
    await pause(ms);
    if (simulated)
      await sql`update steward.clock set offset_by = offset_by + ${ms} * interval '1 millisecond'`.execute(db);
  };
  const begunMs = performance.now();
  const memoryBefore = process.memoryUsage().rss;
  let memoryMost = memoryBefore;
  const interactive: number[] = [];
  const over = new AbortController();
  const calling = (async () => {
    while (!over.signal.aborted) {
      const askedMs = performance.now();
      const made = await connections.grants.call(grantId, (auth) =>
        connections.api.createMeeting(auth, `zu_${interactive.length % 7}`, { topic: 'x', type: 2, duration: 30 }),
      );
      if (made.kind !== 'answer' || !made.answer.ok) throw new Error(`no meeting: ${JSON.stringify(made)}`);
      interactive.push(performance.now() - askedMs);
      memoryMost = Math.max(memoryMost, process.memoryUsage().rss);
      await delay(interactiveEveryMs, undefined, { signal: over.signal }).catch(() => {});
    }
  })();
  const options = { share, pageSize, sliceMs: 5_000, sleep: pause };
  for (;;) {
    const result = await syncDirectory(connections, account, options);
    if (result.state === 'done') break;
    if (result.state === 'blocked') await wait(result.retryInMs);
    else if (result.state === 'failed' && result.retryable) await wait(2_000);
    else if (result.state !== 'more') throw new Error(`the walk came to ${JSON.stringify(result)}`);
  }
  const seconds = (performance.now() - begunMs + simulatedMs) / 1_000;
  over.abort();
  await calling;
  const calls = zoom.ledger().filter(({ endpoint }) => !endpoint.startsWith('meetings.'));
  const pages = pagesOf(users);
  return {
    users,
    faults,
    share,
    pages,
    calls: calls.length,
    callsPerPage: calls.length / pages,
    seconds,
    rateLimited: zoom.ledger().filter(({ status, fault }) => status === 429 && fault === null).length,
    interactiveCalls: interactive.length,
    longestInteractiveMs: Math.max(...interactive),
    grownMb: (memoryMost - memoryBefore) / 2 ** 20,
    equal: (await md5OfCopy(services)) === md5OfZoom(services, users),
  };
}

const statusOf = (n: number): string =>
  'status' in cycle[n % 10]! ? (cycle[n % 10] as { status: string }).status : 'active';

function pagesOf(users: number): number {
  const counts = new Map([['active', 1]]);
  for (let n = 0; n < users - 1; n += 1) counts.set(statusOf(n), (counts.get(statusOf(n)) ?? 0) + 1);
  return ['active', 'inactive', 'pending'].reduce(
    (sum, status) => sum + Math.max(1, Math.ceil((counts.get(status) ?? 0) / pageSize)),
    0,
  );
}

/** What the copy must hold, written here from the world alone. */
function md5OfZoom({ connections }: Services, users: number): string {
  const hash = (address: string): string => connections.vault.pseudonyms(address)[0] as string;
  const lines = [`zu_admin ${hash('admin@walk.example')} active 2`];
  for (let n = 0; n < users - 1; n += 1) {
    const address = `u${n}@walk.example`;
    const status = statusOf(n);
    const key = status === 'pending' ? `pending:${hash(address)}` : `zu_${n}`;
    lines.push(`${key} ${n < members ? address : hash(address)} ${status} ${n % 10 === 7 ? 1 : 2}`);
  }
  return createHash('md5').update(lines.sort().join('\n')).digest('hex');
}

async function md5OfCopy({ db }: Services): Promise<string> {
  const { rows } = await sql<{ md5: string }>`
    select md5(string_agg(line, E'\n' order by line collate "C")) as md5
      from (select concat_ws(' ', user_key, address_key, status, user_type) as line from steward.directory_users
             where zoom_account_id = ${account}) lines`.execute(db);
  return rows[0]?.md5 ?? '';
}
