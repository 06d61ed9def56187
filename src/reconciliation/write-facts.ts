import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import type { Counts } from './counts.ts';
import type { OrganizationFacts } from './organization-facts.ts';

/**
 * Brings the stored facts of these members up to date, in one statement; rows that are right are not touched.
 * Ids that are no members of the organization lose their row. The caller holds the locks.
 */
export async function writeFacts(
  trx: Transaction<DB>,
  facts: OrganizationFacts,
  memberIds: readonly string[],
): Promise<Counts> {
  const { organizationId, zoomAccountId, rollout, rolloutGroups, rolloutDomains } = facts;
  const { rows } = await sql<{ written: number; deleted: number }>`
    select written, deleted
      from steward.write_member_facts(${organizationId}, ${memberIds}::uuid[], ${zoomAccountId}, ${rollout},
                                      ${rolloutGroups}::uuid[], ${rolloutDomains}::text[])`.execute(trx);
  const { written, deleted } = rows[0] as (typeof rows)[number];
  return { 'facts.written': written, 'facts.deleted': deleted };
}
