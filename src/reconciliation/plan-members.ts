import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { firstKey, inRange } from './key-range.ts';
import { desiredMembers, desiredMembersBeside, liveMembers, type OrganizationFacts } from './organization-facts.ts';
import { compareBySets, compareWholeTables } from './planner.ts';
import type { MemberResult } from './results.ts';

/** Members for whom the same is stored and should be. */
export type MemberGroup = {
  /** as stored; null: nothing is */
  readonly before: MemberResult | null;
  /** null: the member left */
  readonly after: MemberResult | null;
  readonly changed: boolean;
  /** whether they can host as things are, stored or not */
  readonly now: boolean;
  readonly n: number;
  /** of changed ones, the first by id */
  readonly examples: readonly string[];
};

const examplesKept = 5;

/** The first examples of both. */
export function firstExamples(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...a, ...b].sort().slice(0, examplesKept);
}

type Comparison = {
  /** what is now, where it is not what is assumed */
  readonly now: OrganizationFacts | null;
  readonly assumed: OrganizationFacts;
  readonly pageSize: number;
  /** who is looked at live (see `findDoubtful`); null: everybody */
  readonly doubtful: readonly string[] | null;
};

/**
 * What is stored of an organization's members against what should be, in groups. Members whose stored facts still
 * say what the base tables say are compared set against set; the others (doubtful ones, and who shares an address with
 * them) are looked at live, as a run would. The caller holds a snapshot.
 */
export async function comparedMembers(db: Database, comparison: Comparison): Promise<readonly MemberGroup[]> {
  const restore = await compareWholeTables(db);
  const groups = await compared(db, comparison);
  await restore();
  return groups;
}

/** The same for these members and who shares an address with them, and nobody else: what it costs goes by how many they are. */
export async function comparedOnly(
  db: Database,
  facts: OrganizationFacts,
  memberIds: readonly string[],
): Promise<readonly MemberGroup[]> {
  const { rows: peers } = await sql<{ id: string }>`
    select id from steward.doubtful_peers(${facts.organizationId}, ${memberIds}::uuid[]) as id`.execute(db);
  const ids = [...new Set([...memberIds, ...peers.map(({ id }) => id)])].sort();
  return ids.length === 0 ? [] : compareLive(db, null, facts, ids);
}

async function compared(
  db: Database,
  { now, assumed, pageSize, doubtful }: Comparison,
): Promise<readonly MemberGroup[]> {
  const restore = await compareBySets(db);
  const stored = doubtful === null ? [] : await compareStored(db, now, assumed, doubtful);
  await restore();
  const groups = new Map<string, MemberGroup>();
  const add = (found: readonly MemberGroup[]): void => {
    for (const group of found) mergeGroup(groups, group);
  };
  if (doubtful === null) {
    for (let after: string | null = null; ; ) {
      const page: MemberPage = await listMembers(db, assumed.organizationId, after, pageSize);
      if (page.ids.length > 0) add(await compareLive(db, now, assumed, page.ids));
      if (page.last === null) break;
      after = page.last;
    }
  } else {
    add(stored);
    for (let from = 0; from < doubtful.length; from += pageSize)
      add(await compareLive(db, now, assumed, doubtful.slice(from, from + pageSize)));
  }
  return [...groups.values()];
}

/** Everybody but these, by their stored facts. Groups are built by columns: by objects they would cost three times as much. */
async function compareStored(
  db: Database,
  now: OrganizationFacts | null,
  assumed: OrganizationFacts,
  except: readonly string[],
): Promise<readonly MemberGroup[]> {
  const desired = now ? desiredMembersBeside(assumed, now) : desiredMembers(assumed);
  const others =
    except.length === 0 ? sql`` : sql`where not coalesce(d.member_id, s.member_id) = any(${except}::uuid[])`;
  const { rows } = await sql<MemberGroup>`
    select case when was_reason is not null then jsonb_build_object('effective', was_effective, 'reason', was_reason, 'hosting', was_hosting) end as before,
           case when reason is not null then jsonb_build_object('effective', steward.rule_effective(reason), 'reason', reason, 'hosting', hosting) end as after,
           changed, now_hosting is not distinct from 'can_host' as now, n,
           array(select id from unnest(ids) id order by id limit ${sql.lit(examplesKept)}) as examples
      from (
        select s.effective as was_effective, s.reason as was_reason, s.hosting as was_hosting, d.reason, d.hosting,
               ${now ? sql`d.now_hosting` : sql`d.hosting`} as now_hosting, c.changed, count(*) as n,
               array_agg(coalesce(d.member_id, s.member_id)) filter (where c.changed) as ids
          from ${desired} d
          full join (select * from steward.member_connections c where c.organization_id = ${assumed.organizationId}) s on s.member_id = d.member_id
         cross join lateral (
           select d.member_id is null or s.member_id is null
                  or (s.effective, s.reason, s.hosting, s.zoom_user_id, s.basic_plan, s.shared_host)
                     is distinct from (d.effective, d.reason, d.hosting, d.zoom_user_id, d.basic_plan, d.via_shared_host) as changed) c
         ${others}
         group by 1, 2, 3, 4, 5, 6, 7) g`.execute(db);
  return rows;
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

/** These, from the base tables. */
async function compareLive(
  db: Database,
  now: OrganizationFacts | null,
  assumed: OrganizationFacts,
  ids: readonly string[],
): Promise<readonly MemberGroup[]> {
  // Without an assumption, what is now and what will be are the same.
  const present = now ? sql`join ${liveMembers(now, ids)} n on n.member_id = a.member_id` : sql``;
  const { rows } = await sql<MemberGroup>`
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

function mergeGroup(groups: Map<string, MemberGroup>, group: MemberGroup): void {
  const key = JSON.stringify([group.before, group.after, group.changed, group.now]);
  const known = groups.get(key);
  groups.set(
    key,
    known ? { ...known, n: known.n + group.n, examples: firstExamples(known.examples, group.examples) } : group,
  );
}
