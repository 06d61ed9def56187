import { sql } from 'kysely';
import { releaseFleetGuard } from '../../src/connections/fleet-guard.ts';
import type { Database } from '../../src/db/database.ts';
import { readFleetFacts } from '../../src/operating/fleet-facts.ts';
import type { FaultRule } from '../../src/simulator/faults.ts';
import { createRandom, type Random } from '../crash/random.ts';
import { buildFleet, type Connected, clientId, clientSecret, type FleetWorld, periodMs } from './fleet-world.ts';
import { createPump, type Pump } from './pump.ts';

export type FleetOptions = {
  readonly connections: number;
  readonly demotions: number;
  readonly revocations: number;
  /** share of all calls that go wrong before Zoom acts */
  readonly faults: number;
  readonly seed: number;
  /** `schedule`: troubles within faults; `wrong_secret`: Zoom takes no secret of ours for three hours meanwhile */
  readonly story: 'schedule' | 'wrong_secret';
  readonly say?: (line: string) => void;
};

export type FleetReport = {
  readonly story: FleetOptions['story'];
  readonly seed: number;
  readonly connections: number;
  readonly troubled: number;
  readonly found: number;
  /** from the trouble to the interruption, longest and median; allowed: longest period and 15 minutes */
  readonly foundAfterMinutes: { readonly median: number; readonly longest: number; readonly allowed: number };
  /** the same from the moment at which the connection's next look was due: 15 minutes are allowed */
  readonly afterDueMinutes: { readonly median: number; readonly longest: number };
  /** longest time between two conclusive looks at one that is well */
  readonly longestUnverifiedMinutes: number;
  readonly calls: number;
  readonly faulted: number;
  readonly refreshes: number;
  readonly deadGrants: Readonly<Record<string, number>>;
  readonly jobs: Readonly<Record<string, number>>;
  readonly virtualHours: number;
  readonly seconds: number;
  /** sentences about what is not as it must be; empty: all is well */
  readonly problems: readonly string[];
};

const minuteMs = 60_000;
/** time goes from one thing that is due to the next, in steps of this length */
const shortestStepMs = 10_000;
const longestStepMs = 10 * minuteMs;
const graceMs = 15 * minuteMs;
const hourMs = 60 * minuteMs;
const brokenHours = 3;

/** Six kinds of going wrong; whoever meets one of them is not asked by the next, so each takes its part of what is left. */
function faultRules(share: number): FaultRule[] {
  const kinds: Omit<FaultRule, 'endpoint'>[] = [
    { kind: 'reset' },
    { kind: 'server_error' },
    { kind: 'server_error', status: 500 },
    { kind: 'too_many_requests' },
    { kind: 'html' },
    { kind: 'redirect' },
  ];
  const probability = 1 - (1 - share) ** (1 / kinds.length);
  return kinds.map((kind) => ({ ...kind, endpoint: '*', when: 'before', probability }));
}

type Trouble = Connected & {
  readonly kind: 'demotion' | 'revocation';
  /** ms of virtual time from the start */
  readonly atMs: number;
  /** when its next look was due when it happened */
  dueMs: number;
};

function plan({ connections, demotions, revocations }: FleetOptions, world: FleetWorld, random: Random): Trouble[] {
  const left = [...world.fleet];
  return Array.from({ length: Math.min(demotions + revocations, connections) }, (_, n) => {
    const [one] = left.splice(Math.floor(random.next() * left.length), 1) as [Connected];
    const kind = n < demotions ? 'demotion' : 'revocation';
    return { ...one, kind, atMs: Math.floor(random.next() * hourMs), dueMs: 0 };
  });
}

async function strike(db: Database, { zoom }: FleetWorld, trouble: Trouble, startMs: number): Promise<void> {
  const { accountId, userId, connectionId } = trouble;
  if (trouble.kind === 'demotion') zoom.control.demote({ accountId, userId });
  else zoom.control.revokeGrants({ clientId, accountId, userId });
  const { rows } = await sql<{ due: number }>`
    select (extract(epoch from verify_due_at) * 1000)::float8 as due from steward.org_connections where id = ${connectionId}`.execute(
    db,
  );
  trouble.dueMs = (rows[0]?.due ?? 0) - startMs;
}

const nowMs = async (db: Database): Promise<number> =>
  (await sql<{ now: number }>`select (extract(epoch from steward.now()) * 1000)::float8 as now`.execute(db)).rows[0]!
    .now;

/** How far to go until somebody must be looked at, or `otherwise` if that comes first. */
async function untilNextDue(db: Database, otherwise: number): Promise<number> {
  const { rows } = await sql<{ ms: number | null }>`
    select (extract(epoch from least(
             (select min(verify_due_at) from steward.org_connections where state in ('active', 'interrupted')),
             (select min(available_at) from steward.outbox where job <> 'sync-zoom-directory'),
             (select min(second_look_at) from steward.grants where state = 'suspect'),
             (select min(a.next_at) from steward.refresh_attempts a join steward.grants g on g.id = a.grant_id and g.version = a.version
               where a.outcome = 'unknown' and g.state in ('living', 'suspect') and a.next_at > steward.now())) - steward.now()) * 1000)::float8 as ms`.execute(
    db,
  );
  return Math.max(shortestStepMs, Math.min(rows[0]?.ms ?? otherwise, otherwise, longestStepMs));
}

/** Connections that are not as they were: state, or generation. */
async function moved(db: Database): Promise<{ id: string; state: string }[]> {
  const { rows } = await sql<{ id: string; state: string }>`
    select id, state from steward.org_connections where state <> 'active' or generation <> 2`.execute(db);
  return rows;
}

async function longestUnverified(db: Database, except: readonly string[]): Promise<number> {
  const { rows } = await sql<{ ms: number }>`
    select coalesce(max(extract(epoch from steward.now() - verified_at)) * 1000, 0)::float8 as ms
      from steward.org_connections where state = 'active' and id <> all(${[...except]}::uuid[])`.execute(db);
  return rows[0]?.ms ?? 0;
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;
const minutes = (ms: number): number => Math.round((ms / minuteMs) * 10) / 10;

/**
 * The acceptance of verification, in virtual time: a fleet whose admins are demoted and whose grants are revoked within one
 * hour, while a share of all calls goes wrong. Exactly those are found, each in time; all others are verified on schedule and
 * nothing of them changes. With a wrong client secret for all: nothing changes and nobody is told until it is mended and,
 * where many are found at once, an operator releases the fleet guard.
 */
export async function runFleet(db: Database, options: FleetOptions): Promise<FleetReport> {
  const { connections, faults, seed, story, say = () => {} } = options;
  const startedAt = performance.now();
  const random = createRandom(seed);
  const world = await buildFleet(db, { connections, seed, random });
  try {
    say(`${connections} connections stand after ${Math.round((performance.now() - startedAt) / 1000)} s`);
    return await play(db, options, world, random, { startedAt, faults, story, say });
  } finally {
    await world.stop();
  }
}

async function play(
  db: Database,
  options: FleetOptions,
  world: FleetWorld,
  random: Random,
  { startedAt, faults, story, say }: { startedAt: number; faults: number; story: string; say: (line: string) => void },
): Promise<FleetReport> {
  const { zoom } = world;
  const pump: Pump = createPump(world.deps);
  const troubles = plan(options, world, random);
  const waiting = [...troubles].sort((a, b) => a.atMs - b.atMs);
  const troubledIds = troubles.map(({ connectionId }) => connectionId);
  const problems: string[] = [];
  const expected = (holds: boolean, sentence: string): void => {
    if (!holds && !problems.includes(sentence)) problems.push(sentence);
  };
  zoom.control.clearLedger();
  if (faults > 0) for (const rule of faultRules(faults)) zoom.control.addFault(rule);
  const startMs = await nowMs(db);
  let virtualMs = 0;
  let unverifiedMs = 0;
  let calls = 0;
  let faulted = 0;
  let refreshes = 0;

  const account = (): void => {
    for (const entry of zoom.ledger()) {
      calls += 1;
      if (entry.fault !== null) faulted += 1;
      if (entry.endpoint === 'oauth.refresh') refreshes += 1;
    }
    zoom.control.clearLedger();
  };
  const goOn = async (untilMs: number, watch: boolean): Promise<void> => {
    while (virtualMs < untilMs) {
      const stepMs = await untilNextDue(db, Math.min(untilMs, waiting[0]?.atMs ?? untilMs) - virtualMs);
      await world.advance(stepMs);
      virtualMs = (await nowMs(db)) - startMs;
      while (waiting[0] && waiting[0].atMs <= virtualMs) await strike(db, world, waiting.shift() as Trouble, startMs);
      await pump.run();
      if (watch) unverifiedMs = Math.max(unverifiedMs, await longestUnverified(db, troubledIds));
      if (Math.floor(virtualMs / hourMs) !== Math.floor((virtualMs - stepMs) / hourMs)) {
        account();
        say(
          `${Math.floor(virtualMs / hourMs)} h: ${(await moved(db)).length} interrupted, ${calls} calls, ${faulted} faults`,
        );
      }
    }
  };

  if (story === 'wrong_secret') {
    zoom.control.setApp({ clientId, secrets: ['another-secret'] });
    await goOn(brokenHours * hourMs, false);
    const facts = await readFleetFacts(db, ['fleet']);
    const { rows: told } = await sql<{
      n: number;
    }>`select count(*)::int as n from steward.events where type <> 'connection.unverified'`.execute(db);
    expected((await moved(db)).length === 0, 'a connection changed while Zoom refused our application');
    expected(told[0]?.n === 0, `somebody was told while Zoom refused our application: ${told[0]?.n} events`);
    expected(
      facts.applicationsRefused.length === 1,
      `the operator sees ${facts.applicationsRefused.length} refused applications, not one`,
    );
    expected(facts.switches.length === 0, `switches went on by themselves: ${facts.switches.join(', ')}`);
    zoom.control.setApp({ clientId, secrets: [clientSecret] });
    say(`mended after ${brokenHours} h; nobody was told`);
    // The breaker probes within ten minutes; then everybody who is overdue is looked at, twice where it failed.
    await goOn(virtualMs + hourMs, false);
    const lost = await moved(db);
    const guarded = (await readFleetFacts(db, ['fleet'])).switches.includes('pause_declaring');
    if (guarded) {
      say(`the fleet guard holds, with ${lost.length} declared before`);
      await db
        .transaction()
        .execute((trx) =>
          releaseFleetGuard(trx, { actor: 'operator:fleet', reason: 'the secret is mended, these are real' }),
        );
    }
    await goOn(virtualMs + periodMs + graceMs, true);
  } else await goOn(hourMs + periodMs + graceMs, true);
  account();

  const interrupted = await moved(db);
  const ids = new Set(interrupted.map(({ id }) => id));
  for (const { connectionId, kind, accountId } of troubles)
    expected(ids.has(connectionId), `${kind} of ${accountId} was not found`);
  for (const { id, state } of interrupted)
    expected(troubledIds.includes(id) && state === 'interrupted', `a connection that was well became ${state}`);

  const { rows: notices } = await sql<{ id: string; at: number; n: number }>`
    select subject_id as id, min((extract(epoch from created_at) * 1000)::float8) as at, count(*)::int as n
      from steward.events where type = 'connection.interrupted' group by 1`.execute(db);
  const { rows: others } = await sql<{ type: string; n: number }>`
    select type, count(*)::int as n from steward.events
     where organization_id <> all(${troubles.map(({ organizationId }) => organizationId)}::uuid[])
       and type <> 'connection.unverified' group by 1`.execute(db);
  for (const { type, n } of others) expected(false, `${n} of the others were told ${type}`);
  for (const { id, n } of notices) expected(n === 1, `${id} was told ${n} times`);
  const found = troubles.flatMap((trouble) => {
    const notice = notices.find(({ id }) => id === trouble.connectionId);
    return notice ? [{ ...trouble, foundMs: notice.at - startMs }] : [];
  });
  const after = found.map(({ foundMs, atMs }) => foundMs - atMs);
  const afterDue = found.map(({ foundMs, atMs, dueMs }) => foundMs - Math.max(atMs, dueMs));
  if (story === 'schedule') {
    for (const [n, ms] of after.entries())
      expected(ms <= periodMs + graceMs, `${found[n]?.accountId} was found after ${minutes(ms)} minutes`);
    expected(
      unverifiedMs <= periodMs + graceMs,
      `a connection that is well was not verified for ${minutes(unverifiedMs)} minutes`,
    );
  }
  const { rows: dead } = await sql<{ reason: string; n: number }>`
    select dead_reason as reason, count(*)::int as n from steward.grants where state = 'dead' group by 1`.execute(db);
  const deadGrants = Object.fromEntries(dead.map(({ reason, n }) => [reason, n]));
  expected(
    Object.values(deadGrants).reduce((sum, n) => sum + n, 0) <=
      troubles.filter(({ kind }) => kind === 'revocation').length,
    'a grant that Zoom accepts was declared dead',
  );
  return {
    story: options.story,
    seed: options.seed,
    connections: options.connections,
    troubled: troubles.length,
    found: found.length,
    foundAfterMinutes: {
      median: minutes(median(after)),
      longest: minutes(Math.max(0, ...after)),
      allowed: minutes(periodMs + graceMs),
    },
    afterDueMinutes: { median: minutes(median(afterDue)), longest: minutes(Math.max(0, ...afterDue)) },
    longestUnverifiedMinutes: minutes(unverifiedMs),
    calls,
    faulted,
    refreshes,
    deadGrants,
    jobs: pump.jobs,
    virtualHours: Math.round((virtualMs / hourMs) * 10) / 10,
    seconds: Math.round((performance.now() - startedAt) / 1000),
    problems,
  };
}
