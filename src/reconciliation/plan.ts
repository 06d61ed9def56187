import { type Kysely, sql } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { planBookings } from './bookings-chunk.ts';
import { defaultGuardRail, type GuardRail, type GuardVerdict, needsApproval } from './guard-rail.ts';
import { firstKey, inRange } from './key-range.ts';
import {
  type Assumption,
  assumeFacts,
  getOrganizationFacts,
  liveMembers,
  type OrganizationFacts,
} from './organization-facts.ts';
import type { MemberResult } from './results.ts';

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
  /** members looked at in one statement */
  readonly pageSize?: number;
};

type Group = {
  readonly before: MemberResult | null;
  readonly after: MemberResult | null;
  readonly changed: boolean;
  readonly now: boolean;
  readonly n: number;
  readonly examples: readonly string[];
};

const examplesKept = 5;

/**
 * What a run would do for an organization as it is, or as somebody assumes it to be, without writing anything:
 * one read-only snapshot, from live facts, in pages. The same rules and comparisons as the run's.
 */
export function planOrganization(
  db: Database,
  organizationId: string,
  { assume, guard = defaultGuardRail, pageSize = 20_000 }: PlanOptions = {},
): Promise<OrganizationPlan> {
  return inSnapshot(db, async (trx) => {
    const facts = await getOrganizationFacts(trx, organizationId);
    const assumed = assumeFacts(facts, assume);
    const groups = new Map<string, Group>();
    for (let after: string | null = null; ; ) {
      const page: MemberPage = await listMembers(trx, organizationId, after, pageSize);
      if (page.ids.length > 0) {
        for (const group of await compare(trx, assume ? facts : null, assumed, page.ids)) mergeGroup(groups, group);
      }
      if (page.last === null) break;
      after = page.last;
    }
    const all = [...groups.values()];
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

function inSnapshot<T>(db: Database, work: (trx: Kysely<DB>) => Promise<T>): Promise<T> {
  if (db.isTransaction) return work(db);
  return db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(work);
}

type MemberPage = { readonly ids: readonly string[]; readonly last: string | null };

/** A page of members, and of stored results of people who left. */
async function listMembers(
  db: Database,
  organizationId: string,
  after: string | null,
  limit: number,
): Promise<MemberPage> {
  const { rows: members } = await sql<{ id: string }>`
    select id from steward_app.members where organization_id = ${organizationId} and id > ${after ?? firstKey}::uuid
     order by id limit ${limit}`.execute(db);
  const last = members.length < limit ? null : (members.at(-1)?.id ?? null);
  const { rows: gone } = await sql<{ id: string }>`
    select s.member_id as id from steward.member_connections s
     where s.organization_id = ${organizationId} and ${inRange(sql.ref('s.member_id'), { after, upTo: last })}
       and not exists (select from steward_app.members m where m.id = s.member_id and m.organization_id = ${organizationId})`.execute(
    db,
  );
  return { ids: [...members, ...gone].map(({ id }) => id), last };
}

const result = (alias: string, present: string) =>
  sql`case when ${sql.raw(present)} then jsonb_build_object('effective', ${sql.ref(`${alias}.effective`)}, 'reason', ${sql.ref(`${alias}.reason`)}, 'hosting', ${sql.ref(`${alias}.hosting`)}) end`;

async function compare(
  db: Database,
  now: OrganizationFacts | null,
  assumed: OrganizationFacts,
  ids: readonly string[],
): Promise<readonly Group[]> {
  // Without an assumption, what is now and what will be are the same.
  const present = now ? sql`join ${liveMembers(now, ids)} n on n.member_id = a.member_id` : sql``;
  const { rows } = await sql<Group>`
    select ${result('s', 's.member_id is not null')} as before, ${result('a', 'a.present')} as after,
           case when a.present then s.member_id is null
                  or (s.effective, s.reason, s.hosting, s.zoom_user_id, s.basic_plan, s.shared_host)
                     is distinct from (a.effective, a.reason, a.hosting, a.zoom_user_id, a.basic_plan, a.via_shared_host)
                else s.member_id is not null end as changed,
           ${now ? sql`n.hosting` : sql`a.hosting`} = 'can_host' as now,
           count(*) as n, (array_agg(a.member_id order by a.member_id))[1:${sql.lit(examplesKept)}] as examples
      from ${liveMembers(assumed, ids)} a ${present}
      left join steward.member_connections s on s.organization_id = ${assumed.organizationId} and s.member_id = a.member_id
     group by 1, 2, 3, 4`.execute(db);
  return rows;
}

function mergeGroup(groups: Map<string, Group>, group: Group): void {
  const key = JSON.stringify([group.before, group.after, group.changed, group.now]);
  const known = groups.get(key);
  groups.set(
    key,
    known
      ? { ...known, n: known.n + group.n, examples: [...known.examples, ...group.examples].slice(0, examplesKept) }
      : group,
  );
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
      examples: [...(known?.examples ?? []), ...examples].slice(0, examplesKept),
    });
  }
  return [...merged]
    .sort(([a, one], [b, other]) => other.count - one.count || (a < b ? -1 : 1))
    .map(([, change]) => change);
}
