import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { planBookings } from './bookings-chunk.ts';
import { findDoubtful, mostDoubtfulPages, planPageSize } from './doubtful-members.ts';
import { defaultGuardRail, type GuardRail, type GuardVerdict, needsApproval } from './guard-rail.ts';
import { type Assumption, assumeFacts, getOrganizationFacts } from './organization-facts.ts';
import { comparedMembers, comparedOnly, firstExamples, type MemberGroup as Group } from './plan-members.ts';
import type { MemberResult } from './results.ts';
import { inSnapshot } from './snapshot.ts';

/** Members for whom the same changes, with a few of them. */
export type MemberPlanChange = {
  /** as stored; null: nothing is */
  readonly before: MemberResult | null;
  /** null: the member left */
  readonly after: MemberResult | null;
  readonly count: number;
  readonly examples: readonly string[];
};

export type MemberPlanSummary = {
  readonly members: number;
  /** rows a run would write or delete */
  readonly changes: number;
  /** could host as things are now, stored or not */
  readonly couldHost: number;
  readonly canHost: number;
  /** could host and cannot after */
  readonly stopHosting: number;
  readonly startHosting: number;
  /** served by their own Zoom after */
  readonly keepPersonal: number;
  /** stored as served, and served by nothing after */
  readonly lost: number;
};

export type OrganizationPlan = {
  readonly organizationId: string;
  /** a disconnect confirms with this; an older one is refused as stale */
  readonly generation: number;
  readonly assumed: Assumption | null;
  readonly members: { readonly summary: MemberPlanSummary; readonly changes: readonly MemberPlanChange[] };
  /** booked meetings to come */
  readonly bookings: { readonly detached: number; readonly attached: number };
  /** whether a run would stop and ask; never for what a disconnect takes */
  readonly guard: GuardVerdict;
};

export type PlanOptions = {
  readonly assume?: Assumption;
  readonly guard?: GuardRail;
  /** members looked at live in one statement; with more than five pages of doubtful ones all are looked at */
  readonly pageSize?: number;
  /** looks at everybody live, whatever is stored: slower, and the same */
  readonly trustNothing?: boolean;
  /** what `findDoubtful` said in this snapshot, where it was asked already */
  readonly doubtful?: readonly string[] | null;
};

/**
 * What a run would do for an organization as it is, or as somebody assumes it to be, without writing anything:
 * one read-only snapshot. The same rules and comparisons as the run's.
 */
export function planOrganization(
  db: Database,
  organizationId: string,
  options: PlanOptions = {},
): Promise<OrganizationPlan> {
  const { assume, guard = defaultGuardRail, pageSize = planPageSize, trustNothing = false } = options;
  return inSnapshot(db, async (trx) => {
    const facts = await getOrganizationFacts(trx, organizationId);
    const assumed = assumeFacts(facts, assume);
    let { doubtful } = options;
    if (trustNothing) doubtful = null;
    else if (doubtful === undefined)
      doubtful = await findDoubtful(trx, { now: facts, assumed, most: pageSize * mostDoubtfulPages });
    const all = await comparedMembers(trx, { now: assume ? facts : null, assumed, pageSize, doubtful });
    const lost = sum(
      all,
      (group) => wasServed(group) && !isServed(group) && group.after?.reason !== 'organization_disconnected',
    );
    const weighed = { served: sum(all, wasServed), lost };
    return {
      organizationId,
      generation: facts.generation,
      assumed: assume ?? null,
      members: { summary: summarize(all), changes: changesOf(all) },
      bookings: await planBookings(trx, assumed),
      guard: { ...weighed, held: needsApproval(weighed, guard) },
    };
  });
}

/** What the looks that were asked for and have not been taken yet would do to members. */
export type AnnouncedPlan = {
  readonly organizationId: string;
  readonly generation: number;
  /** members somebody said something about, as of the outbox */
  readonly announced: number;
  readonly members: OrganizationPlan['members'];
};

/**
 * Plans the members of an organization that were announced (`steward.changed`) and still wait in the outbox. Costs
 * what was announced, whatever the organization's size; what nobody announced is found by `planOrganization` alone.
 */
export function planAnnounced(db: Database, organizationId: string): Promise<AnnouncedPlan> {
  return inSnapshot(db, async (trx) => {
    const facts = await getOrganizationFacts(trx, organizationId);
    const { rows } = await sql<{ id: string }>`
      select said.id
        from (select distinct (o.payload ->> 'memberId')::uuid as id from steward.outbox o where o.job = 'reconcile-member') said
       where exists (select from steward_app.members m where m.id = said.id and m.organization_id = ${organizationId})
          or exists (select from steward.member_facts f where f.member_id = said.id and f.organization_id = ${organizationId})`.execute(
      trx,
    );
    const all = await comparedOnly(
      trx,
      facts,
      rows.map(({ id }) => id),
    );
    return {
      organizationId,
      generation: facts.generation,
      announced: rows.length,
      members: { summary: summarize(all), changes: changesOf(all) },
    };
  });
}

const sum = (groups: readonly Group[], holds: (group: Group) => boolean): number =>
  groups.reduce((total, group) => total + (holds(group) ? group.n : 0), 0);

const wasServed = ({ before }: Group): boolean => before !== null && before.effective !== 'none';
const isServed = ({ after }: Group): boolean => after !== null && after.effective !== 'none';
const canHost = ({ after }: Group): boolean => after?.hosting === 'can_host';

function summarize(all: readonly Group[]): MemberPlanSummary {
  return {
    members: sum(all, ({ after }) => after !== null),
    changes: sum(all, ({ changed }) => changed),
    couldHost: sum(all, ({ now }) => now),
    canHost: sum(all, canHost),
    stopHosting: sum(all, (group) => group.now && !canHost(group)),
    startHosting: sum(all, (group) => !group.now && canHost(group)),
    keepPersonal: sum(all, ({ after }) => after?.effective === 'personal'),
    lost: sum(all, (group) => wasServed(group) && !isServed(group)),
  };
}

/** The changes, the most frequent first; the order says nothing about how the members were paged. */
function changesOf(all: readonly Group[]): MemberPlanChange[] {
  const merged = new Map<string, MemberPlanChange>();
  for (const { before, after, changed, n, examples } of all) {
    if (!changed) continue;
    const key = JSON.stringify([before, after]);
    const known = merged.get(key);
    merged.set(key, {
      before,
      after,
      count: (known?.count ?? 0) + n,
      examples: firstExamples(known?.examples ?? [], examples),
    });
  }
  return [...merged]
    .sort(([a, one], [b, other]) => other.count - one.count || (a < b ? -1 : 1))
    .map(([, change]) => change);
}
