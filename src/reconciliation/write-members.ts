import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { type Counts, prefixCounts } from './counts.ts';
import type { KeyRange } from './key-range.ts';
import type { OrganizationFacts } from './organization-facts.ts';
import type { MemberResult } from './results.ts';

/** A stored result that a run changed. */
export type MemberChange = {
  readonly memberId: string;
  /** null: there was none */
  readonly before: MemberResult | null;
  /** null: the member left the organization, and the row with them */
  readonly after: MemberResult | null;
};

/** The organization's facts that decide, as the last arguments of the SQL functions. */
const deciding = (facts: OrganizationFacts): RawBuilder<unknown> =>
  sql`${facts.state}, ${facts.everDisconnected}, ${facts.allowOptOut}, ${facts.sharedHost}, ${facts.sharedHostType}::smallint`;

/**
 * Brings the stored results of a range of members up to their stored facts, in one statement; rows that are
 * right are not touched. The caller holds the organization.
 */
export async function writeMemberRange(
  trx: Transaction<DB>,
  { facts, range, runId }: { facts: OrganizationFacts; range: KeyRange; runId: string },
): Promise<Counts> {
  const { rows } = await sql<Counts>`
    select * from steward.write_member_range(${facts.organizationId}, ${range.after}, ${range.upTo}, ${runId}, ${deciding(facts)})`.execute(
    trx,
  );
  return prefixCounts('members', rows[0] as Counts);
}

/** The same for a few named members whose facts were just written; says what changed, member by member. */
export async function writeMembers(
  trx: Transaction<DB>,
  { facts, memberIds, runId }: { facts: OrganizationFacts; memberIds: readonly string[]; runId: string },
): Promise<{ readonly counts: Counts; readonly changes: readonly MemberChange[] }> {
  const { rows } = await sql<{ changes: readonly MemberChange[] }>`
    select * from steward.write_members_of(${facts.organizationId}, ${memberIds}::uuid[], ${runId}, ${deciding(facts)})`.execute(
    trx,
  );
  const { changes, ...counts } = rows[0] as { changes: readonly MemberChange[] };
  return { counts: prefixCounts('members', counts as Counts), changes };
}
