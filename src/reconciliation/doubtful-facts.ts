import { isDeepStrictEqual } from 'node:util';
import type { Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { addCounts } from './counts.ts';
import { findDoubtful, hasMoreFacts } from './doubtful-members.ts';
import { getOrganizationFacts, type OrganizationFacts } from './organization-facts.ts';
import { markRunProgress, type Run, type RunLease } from './run-record.ts';
import { inSnapshot } from './snapshot.ts';
import { writeFacts } from './write-facts.ts';

/**
 * Instead of looking at every member of a large organization, the phase of the facts compares the base tables with what is stored, as
 * a plan does, and looks at those whose stored facts may be wrong. What a look would find of the others is what is stored.
 */

/** Whose stored facts a run does not trust, as of these facts of their organization. */
export type Doubts = {
  readonly facts: OrganizationFacts;
  /** null: too many, everybody is looked at */
  readonly members: readonly string[] | null;
};

// As many as one chunk may look at that writes everything at once.
const mostDoubtfulChunks = 10;

/** Compares whole tables: a question of size, asked outside the organization's lock. */
export function findDoubts(
  db: Database,
  { organizationId, chunkSize }: { readonly organizationId: string; readonly chunkSize: number },
): Promise<Doubts> {
  return inSnapshot(db, async (trx) => {
    const facts = await getOrganizationFacts(trx, organizationId);
    const most = chunkSize * mostDoubtfulChunks;
    return { facts, members: await findDoubtful(trx, { now: facts, assumed: facts, most }) };
  });
}

/** Whether nothing of the organization moved since: its account and its rollout decide whose facts are right. */
export const holdsFor = (doubts: Doubts, facts: OrganizationFacts): boolean => isDeepStrictEqual(doubts.facts, facts);

/** Whether there is more than one chunk to look at, and anything stored to compare with. */
export const worthDoubting = (
  trx: Transaction<DB>,
  { organizationId }: Run,
  { chunkSize }: { readonly chunkSize: number },
): Promise<boolean> => hasMoreFacts(trx, organizationId, chunkSize);

/** The whole phase of the facts in one chunk. The caller holds the organization. */
export async function writeDoubtful(
  trx: Transaction<DB>,
  lease: RunLease,
  { run, facts, memberIds }: { run: Run; facts: OrganizationFacts; memberIds: readonly string[] },
): Promise<void> {
  const counts = memberIds.length === 0 ? {} : await writeFacts(trx, facts, memberIds);
  const looked = memberIds.length;
  await markRunProgress(trx, lease, {
    phase: 'members',
    cursor: null,
    counts: addCounts(run.counts, counts),
    progress: { ...run.progress, facts: { done: looked, total: looked, doubtfulOnly: true } },
  });
}
