import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { addCounts, type Counts, prefixCounts } from './counts.ts';
import type { KeyRange } from './key-range.ts';
import type { OrganizationFacts } from './organization-facts.ts';

type Written = Readonly<Record<'looked' | 'factsWritten' | 'factsDeleted', number>> & Counts;

/**
 * Brings the stored facts of a range of members up to date in one statement, and with a `runId` their results too;
 * rows that are right are not touched. The caller holds the organization.
 */
export async function writeMemberChunk(
  trx: Transaction<DB>,
  { facts, range, runId }: { facts: OrganizationFacts; range: KeyRange; runId: string | null },
): Promise<{ readonly looked: number; readonly counts: Counts }> {
  const { rows } = await sql<Written>`
    select * from steward.write_member_chunk(
      ${facts.organizationId}::uuid, ${range.after}::uuid, ${range.upTo}::uuid, ${facts.zoomAccountId}::text, ${facts.rollout}::text,
      ${facts.rolloutGroups}::uuid[], ${facts.rolloutDomains}::text[], ${runId !== null}::boolean, ${runId}::uuid, ${facts.state}::text,
      ${facts.everDisconnected}::boolean, ${facts.allowOptOut}::boolean, ${facts.sharedHost}::text, ${facts.sharedHostType}::smallint)`.execute(
    trx,
  );
  const { looked, factsWritten, factsDeleted, ...members } = rows[0] as Written;
  const counts = prefixCounts('facts', { written: factsWritten, deleted: factsDeleted });
  return { looked, counts: addCounts(counts, prefixCounts('members', members)) };
}
