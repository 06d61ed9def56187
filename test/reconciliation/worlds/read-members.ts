import { sql } from 'kysely';
import type { Database } from '../../../src/db/database.ts';
import type { Answer } from '../../../src/reconciliation/oracle-members.ts';
import { idOf, organizationOf } from './world-ids.ts';

/** A member of a world, by its names. */
export type MemberName = { readonly key: string; readonly member: string };

/** What one of the engine's ways says; a member it has no row for is missing. */
export type Answers = ReadonlyMap<string, Answer>;

/** Name under which an answer is found. */
export const answerKey = ({ key, member }: MemberName): string => idOf(key, member);

const columns = sql.raw(`reason, effective, hosting, zoom_user_id as "zoomUserId", basic_plan as "basicPlan"`);

/** Live facts and rules, set-based: what plans and previews ask. */
export function liveAnswers(db: Database, members: readonly MemberName[]): Promise<Answers> {
  return ask(
    db,
    members,
    sql`
    select m.member_id, case when m.reason = r.reason then m.reason else m.reason || ', but for live_reasons_under ' || r.reason end as reason,
           m.effective, m.hosting, m.zoom_user_id as "zoomUserId", m.basic_plan as "basicPlan", m.via_shared_host as "sharedHost"
      from (select organization, array_agg(member) as ids from asked group by organization) o
     cross join lateral steward.live_members(o.organization, o.ids) m
     cross join lateral steward.organization_facts(o.organization) f
      join lateral steward.live_reasons_under(o.organization, o.ids, f.org_state, f.ever_disconnected, f.allow_opt_out, f.rollout,
                                              f.rollout_groups, f.rollout_domains) r on r.member_id = m.member_id`,
  );
}

/** One member at a time, as the main app asks. */
export function resolvedAnswers(db: Database, members: readonly MemberName[]): Promise<Answers> {
  return ask(
    db,
    members,
    sql`
    select m.member_id, ${columns}, m.via_shared_host as "sharedHost"
      from asked cross join lateral steward.resolve_member(asked.member) m`,
  );
}

/** What the last run stored. */
export function storedAnswers(db: Database, members: readonly MemberName[]): Promise<Answers> {
  return ask(
    db,
    members,
    sql`
    select m.member_id, ${columns}, m.shared_host as "sharedHost"
      from asked join steward.member_connections m on m.organization_id = asked.organization and m.member_id = asked.member`,
  );
}

async function ask(db: Database, members: readonly MemberName[], select: ReturnType<typeof sql>): Promise<Answers> {
  const organizations = members.map(({ key }) => organizationOf(key));
  const ids = members.map(answerKey);
  const { rows } = await sql<Answer & { member_id: string }>`
    with asked as materialized (select * from unnest(${organizations}::uuid[], ${ids}::uuid[]) as a (organization, member))
    ${select}`.execute(db);
  return new Map(rows.map(({ member_id, ...answer }) => [member_id, answer]));
}
