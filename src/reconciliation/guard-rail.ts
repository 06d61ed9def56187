import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
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
 * members who left are: a sudden hole in the main app's table is what the guard is for. One scan of each, and as a rule
 * no comparison: an interruption and a return serve the same members as before. By parallel workers where Postgres has
 * them: nobody of the run works meanwhile.
 */
export async function weighRun(db: Database, facts: OrganizationFacts, guard: GuardRail): Promise<GuardVerdict> {
  return db.transaction().execute(async (trx) => {
    await keepToHashJoins(trx);
    const weighed = (await servedAsBefore(trx, facts)) ?? (await comparedServed(trx, facts));
    return { ...weighed, held: needsApproval(weighed, guard) };
  });
}

type Weighed = Pick<GuardVerdict, 'served' | 'lost'>;

/** What both sets of members come to whoever is in them: 128 bits, by hashes that need to be the same for one statement. */
const print = sql`array[count(*), bit_xor(uuid_hash_extended(member_id, 1)), bit_xor(uuid_hash_extended(member_id, 2))]`;

/** Null: others are served than before, and who they are must be asked. */
async function servedAsBefore(trx: Transaction<DB>, facts: OrganizationFacts): Promise<Weighed | null> {
  const { rows } = await sql<{ served: number; same: boolean }>`
    select stored[1] as served, stored = demanded as same
      from (select (select ${print} from steward.member_connections
                     where organization_id = ${facts.organizationId} and effective <> 'none') as stored,
                   (select ${print} from ${storedReasons(facts)} where steward.rule_effective(reason) <> 'none') as demanded) prints`.execute(
    trx,
  );
  const { served, same } = rows[0] as { served: number; same: boolean };
  return same ? { served, lost: 0 } : null;
}

async function comparedServed(trx: Transaction<DB>, facts: OrganizationFacts): Promise<Weighed> {
  const { rows } = await sql<Weighed>`
    select count(*) as served,
           count(*) filter (where steward.rule_effective(d.reason) = 'none' and d.reason is distinct from 'organization_disconnected') as lost
      from steward.member_connections s
      left join ${storedReasons(facts)} d on d.member_id = s.member_id
     where s.organization_id = ${facts.organizationId} and s.effective <> 'none'`.execute(trx);
  return rows[0] as Weighed;
}
