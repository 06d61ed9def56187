import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Services } from '../../src/compose.ts';
import { syncDirectory } from '../../src/connections/sync-directory.ts';
import { type Simulator, startSimulator } from '../../src/simulator/start-simulator.ts';
import { connectAccount, cycle, matchedMembers, servicesAt, walkAccount } from './connect-account.ts';

const account = 'acc_walk';
const share = 0.25;
const pageSize = 300;
const interactiveEveryMs = 200;

const walkWorld = (users: number) => walkAccount({ id: account, users });

export type WalkOptions = {
  /** of a migrated database, reference app included */
  readonly url: string;
  readonly users: number;
  /** share of the calls that fail, from 0 */
  readonly faults: number;
  /** pauses pass on the simulated clock, at once; else on the wall's */
  readonly simulated: boolean;
  /** Zoom does not say what the account's limits are */
  readonly silent?: boolean;
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
    toggles: { rate_limits: 'on', ...(options.silent ? { success_rate_limit_headers: 'missing' } : {}) },
    world: { apps: [walkWorld(users).app], accounts: [walkWorld(users).account] },
  });
  const services = servicesAt(url, zoom.url);
  try {
    const grantId = await connectAccount(services, zoom.control, walkWorld(users).account);
    zoom.control.clearLedger();
    injectFaults(zoom, faults);
    return await walk({ services, zoom, grantId, users, faults, simulated });
  } finally {
    await services.close();
    await zoom.stop();
  }
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
    lines.push(`${key} ${n < matchedMembers ? address : hash(address)} ${status} ${n % 10 === 7 ? 1 : 2}`);
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
