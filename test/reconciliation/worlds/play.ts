import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import type { Slice } from '../../../src/reconciliation/advance-run.ts';
import type { LocationAdapter } from '../../../src/reconciliation/locations-adapter.ts';
import { planLocations } from '../../../src/reconciliation/locations-plan.ts';
import { type LocationAnswer, lookAt } from '../../../src/reconciliation/oracle-locations.ts';
import { matchOf, zoomUserKey } from '../../../src/reconciliation/oracle-match.ts';
import { type Answer, answerFor } from '../../../src/reconciliation/oracle-members.ts';
import type { World } from '../../../src/reconciliation/oracle-world.ts';
import type { Assumption } from '../../../src/reconciliation/organization-facts.ts';
import { planOrganization } from '../../../src/reconciliation/plan.ts';
import { compareLook, type Prints, remember } from './compare-locations.ts';
import { compareAnswers, type Difference, oracleAnswers } from './compare-members.ts';
import { readLocations, type Snapshot } from './read-locations.ts';
import { answerKey, liveAnswers, resolvedAnswers, storedAnswers } from './read-members.ts';
import { lookAgain, runOrganizations } from './run-organizations.ts';
import { organizationOf } from './world-ids.ts';
import type { NamedWorld, PlayedWorld } from './world-rows.ts';

/** What one round of runs came to. */
export type Round = {
  readonly differences: readonly Difference[];
  /** the worlds as the runs must have left them */
  readonly worlds: readonly PlayedWorld[];
  /** what the oracle expected of each event type, by world and event type */
  readonly looks: readonly {
    readonly world: PlayedWorld;
    readonly eventTypeId: string;
    readonly answer: LocationAnswer;
  }[];
  readonly stored: Readonly<Record<LocationAdapter, Snapshot>>;
  /** how each run ended, by world */
  readonly ends: ReadonlyMap<string, Slice>;
};

const adapters = ['rows', 'json'] as const;

/** Runs every organization once and compares all of it with the oracle: live, resolved, stored, and every location. */
export async function playRound(db: Database, worlds: readonly PlayedWorld[], prints: Prints): Promise<Round> {
  const oracle = oracleAnswers(worlds);
  const known =
    ({ key, world }: NamedWorld) =>
    (member: string): Answer =>
      oracle.answers.get(answerKey({ key, member })) ?? answerFor(world, member);
  const ways = [...compareAnswers('live', worlds, oracle, await liveAnswers(db, oracle.names))];
  ways.push(...compareAnswers('resolve', worlds, oracle, await resolvedAnswers(db, oracle.names)));

  const before = await readBoth(db, worlds);
  for (const adapter of adapters) remember(prints, before[adapter]);
  ways.push(...(await comparePlans(db, worlds)));
  const ends = await runOrganizations(db, worlds);
  const stopped = worlds.flatMap(({ key, world }) => {
    const state = ends.get(key)?.state;
    const expected = world.connection?.observe ? ['done', 'paused'] : ['done'];
    return state && expected.includes(state) ? [] : [`run of ${key} ended as ${state}`];
  });
  const after = await readBoth(db, worlds);
  // The other way to come by an event type has nothing to do: the run and a single look agree.
  const restless = await lookAgain(db, worlds);

  const observed = new Set(worlds.filter(({ world }) => world.connection?.observe).map(({ key }) => key));
  const written = worlds.filter(({ key }) => !observed.has(key));
  const stored = compareAnswers(
    'stored',
    written,
    { ...oracle, names: oracle.names.filter(({ key }) => !observed.has(key)) },
    await storedAnswers(db, oracle.names),
  );
  const stale = await findStaleFacts(db, written);
  const looks = worlds.flatMap((world) =>
    world.world.eventTypes.map((eventType) => ({
      world,
      eventTypeId: eventType.id,
      answer: lookAt(world.world, eventType, known(world)),
    })),
  );
  const locations = looks.flatMap(({ world: { key, adapter }, eventTypeId, answer }) =>
    compareLook(
      { key, eventTypeId, adapter, expected: answer, before: before[adapter], after: after[adapter] },
      prints,
    ),
  );
  return {
    differences: [...stopped, ...ways, ...stored, ...stale, ...locations, ...restless],
    worlds: worlds.map((world) => ({ ...world, world: leftBehind(world.world, known(world)) })),
    looks,
    stored: after,
    ends,
  };
}

/** Members whose stored facts a run left as they are no more: later runs may write results by them. */
async function findStaleFacts(db: Database, worlds: readonly PlayedWorld[]): Promise<Difference[]> {
  const { rows } = await sql<{ id: string; stored: boolean | null; active: boolean | null }>`
    select coalesce(m.id, f.member_id) as id, f.active as stored, m.active
      from (select * from steward_app.members where organization_id = any(${worlds.map(({ key }) => organizationOf(key))})) m
      full join (select * from steward.member_facts where organization_id = any(${worlds.map(({ key }) => organizationOf(key))})) f
        on f.member_id = m.id
     where f.active is distinct from m.active`.execute(db);
  return rows.map(({ id, stored, active }) => `facts of ${id}: stored as active ${stored}, is ${active}`);
}

/** What a world is planned under: as it is, and as somebody might have it. */
const assumptions: readonly (Assumption | undefined)[] = [
  undefined,
  { state: 'disconnecting' },
  { state: 'active' },
  { allowOptOut: true },
];

/**
 * The plans that trust stored facts, where they may be trusted, against those that look at everybody; of every sixth world, of
 * locations each under the next assumption.
 */
async function comparePlans(db: Database, worlds: readonly PlayedWorld[]): Promise<Difference[]> {
  const found: Difference[] = [];
  for (const [index, { key, adapter }] of worlds.filter((_, at) => at % 6 === 0).entries()) {
    if (adapter === 'rows') {
      const assume = assumptions[Math.floor(index / 2) % assumptions.length];
      const request = { organizationId: organizationOf(key), adapter, ...(assume ? { assume } : {}) };
      const [sets, pages] = [
        await planLocations(db, { ...request, pageSize: 1, wholeTables: true }),
        await planLocations(db, { ...request, doubtful: null }),
      ];
      if (!isDeepStrictEqual(sets, pages))
        found.push(
          `plan of locations: ${key}, ${JSON.stringify(assume)}: by sets ${JSON.stringify(sets)}, by pages ${JSON.stringify(pages)}`,
        );
    }
    const [quick, live] = [
      await planOrganization(db, organizationOf(key)),
      await planOrganization(db, organizationOf(key), { trustNothing: true }),
    ];
    if (!isDeepStrictEqual(quick, live)) {
      found.push(
        `plan: ${key}: from stored facts ${JSON.stringify(quick.members)}, live ${JSON.stringify(live.members)}`,
      );
    }
  }
  return found;
}

async function readBoth(db: Database, worlds: readonly PlayedWorld[]): Promise<Record<LocationAdapter, Snapshot>> {
  const of = (adapter: LocationAdapter) =>
    readLocations(
      db,
      worlds.filter((world) => world.adapter === adapter).map(({ key }) => organizationOf(key)),
      adapter,
    );
  return { rows: await of('rows'), json: await of('json') };
}

/** The world after a run: locations as the looks left them, and members remembered with the Zoom user found by e-mail. */
function leftBehind(world: World, answer: (member: string) => Answer): World {
  if (world.connection?.observe) return world;
  return {
    ...world,
    eventTypes: world.eventTypes.map((eventType) => lookAt(world, eventType, answer).after),
    members: world.members.map((member) => {
      const match = matchOf(world, member);
      return { ...member, earlierMatch: match.how === 'email' ? zoomUserKey(match.user) : null };
    }),
  };
}
