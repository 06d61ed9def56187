import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { addCounts, type Counts, prefixCounts } from './counts.ts';
import type { KeyRange } from './key-range.ts';
import type { OrganizationFacts } from './organization-facts.ts';

type Written = { readonly last: string | null } & Readonly<Record<'looked' | 'factsWritten' | 'factsDeleted', number>>;

/**
 * Brings the stored facts of the next members of a range up to date in one statement, and with a `runId` their results too;
 * rows that are right are not touched. The caller holds the organization.
 * @returns the last of them; null at the end
 */
export async function writeMemberChunk(
  trx: Transaction<DB>,
  {
    facts,
    range: { after, upTo },
    limit,
    runId,
  }: { facts: OrganizationFacts; range: KeyRange; limit: number; runId: string | null },
): Promise<{ readonly last: string | null; readonly looked: number; readonly counts: Counts }> {
  const { rows } = await sql<Written>`
    select * from steward.write_member_chunk(
      ${facts.organizationId}::uuid, ${after}::uuid, ${limit}::integer, ${facts.zoomAccountId}::text, ${facts.rollout}::text,
      ${facts.rolloutGroups}::uuid[], ${facts.rolloutDomains}::text[], ${runId !== null}::boolean, ${runId}::uuid, ${facts.state}::text,
      ${facts.everDisconnected}::boolean, ${facts.allowOptOut}::boolean, ${facts.sharedHost}::text, ${facts.sharedHostType}::smallint,
      ${upTo}::uuid)`.execute(trx);
  const { last, looked, factsWritten, factsDeleted, ...members } = rows[0] as Written;
  const counts = prefixCounts('facts', { written: factsWritten, deleted: factsDeleted });
  return { last, looked, counts: addCounts(counts, prefixCounts('members', members)) };
}
