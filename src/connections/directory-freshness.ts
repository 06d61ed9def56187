import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/** A copy of the directory older than this is walked again before people are counted. */
const freshDirectoryHours = 1;

/**
 * Whether the copy of an account's users is young enough to count an organization's people in it, and not to walk again.
 * A copy knows of strangers by hash alone: one that was made before this organization came to the account – with its
 * candidate – knows nobody of it.
 */
export async function directoryIsFresh(
  trx: Transaction<DB>,
  zoomAccountId: string,
  candidate: { readonly connectionId: string; readonly candidateId: string },
): Promise<boolean> {
  const row = await trx
    .selectFrom('steward.directories as d')
    .select('d.zoom_account_id')
    .where('d.zoom_account_id', '=', zoomAccountId)
    .where('d.synced_at', '>', sql<Date>`steward.now() - ${freshDirectoryHours} * interval '1 hour'`)
    .where(
      sql<boolean>`(d.swapped_at >= (
        select greatest(k.created_at, g.consented_at) from steward.candidates k left join steward.grants g on g.id = k.grant_id
         where k.id = ${candidate.candidateId}) or exists (
        select from steward.org_connections c
         where c.id = ${candidate.connectionId} and c.zoom_account_id = d.zoom_account_id and c.state in ('active', 'interrupted')))`,
    )
    .executeTakeFirst();
  return row !== undefined;
}
