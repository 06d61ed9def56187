import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

/** A copy of the directory older than this is walked again before people are counted. */
const freshDirectoryHours = 1;

/** Whether the copy of an account's users is young enough to count people in it, and not to walk again. */
export async function directoryIsFresh(trx: Transaction<DB>, zoomAccountId: string): Promise<boolean> {
  const row = await trx
    .selectFrom('steward.directories')
    .select('zoom_account_id')
    .where('zoom_account_id', '=', zoomAccountId)
    .where('synced_at', '>', sql<Date>`steward.now() - ${freshDirectoryHours} * interval '1 hour'`)
    .executeTakeFirst();
  return row !== undefined;
}
