import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { type OrganizationFacts, storedReasons } from './organization-facts.ts';
import { keepToHashJoins } from './planner.ts';

/** When a run outside a disconnect stops and asks a person. */
export type GuardRail = {
  /** of the members served now, the share that may lose Zoom in one run; 0.1 is 10 % */
  readonly share: number;
  /** fewer members than this never hold a run */
  readonly leastMembers: number;
};

export const defaultGuardRail: GuardRail = { share: 0.1, leastMembers: 5 };

/** What a run would take, from the stored facts. */
export type GuardVerdict = { readonly served: number; readonly lost: number; readonly held: boolean };

/** Whether so many losses need a person. */
export function needsApproval({ served, lost }: { served: number; lost: number }, guard: GuardRail): boolean {
  return lost >= guard.leastMembers && lost > served * guard.share;
}

/**
 * Compares stored results with what stored facts demand. What a decided disconnect takes is not counted;
 * members who left are: a sudden hole in the main app's table is what the guard is for. One scan of each,
 * by parallel workers where Postgres has them: nobody of the run works meanwhile.
 */
export async function weighRun(db: Database, facts: OrganizationFacts, guard: GuardRail): Promise<GuardVerdict> {
  return db.transaction().execute(async (trx) => {
    await keepToHashJoins(trx);
    const { rows } = await sql<{ served: number; lost: number }>`
    select count(*) as served,
           count(*) filter (where steward.rule_effective(d.reason) = 'none' and d.reason is distinct from 'organization_disconnected') as lost
      from steward.member_connections s
      left join ${storedReasons(facts)} d on d.member_id = s.member_id
     where s.organization_id = ${facts.organizationId} and s.effective <> 'none'`.execute(trx);
    const weighed = rows[0] as { served: number; lost: number };
    return { ...weighed, held: needsApproval(weighed, guard) };
  });
}
