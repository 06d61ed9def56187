import { type Kysely, sql, type Transaction } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';

/** When a copy was walked, in microseconds since 1970 – exact, unlike a `Date`, and safe in JSON. */
export const walkedAt = sql<number | null>`(extract(epoch from synced_at) * 1000000)::bigint`;

/**
 * Says that the users of an account are to be walked, and which copy was too old for that. Askers are many – a candidate at
 * each of its looks, the tick between two slices –, and a question that waited while the walk went on is answered by it.
 */
export async function wantWalk(trx: Transaction<DB>, zoomAccountId: string): Promise<void> {
  const row = await trx
    .selectFrom('steward.directories')
    .select(walkedAt.as('seen'))
    .where('zoom_account_id', '=', zoomAccountId)
    .executeTakeFirst();
  await insertOutbox(trx, {
    job: 'sync-zoom-directory',
    key: zoomAccountId,
    payload: { zoomAccountId, seen: row?.seen ?? null },
  });
}

/** Whether another copy than the one that was seen is there, and nobody is on the way to the next. */
export async function walkedSince(db: Kysely<DB>, zoomAccountId: string, seen: number | null): Promise<boolean> {
  const row = await db
    .selectFrom('steward.directories')
    .select(walkedAt.as('at'))
    .where('zoom_account_id', '=', zoomAccountId)
    .where('walk_id', 'is', null)
    .executeTakeFirst();
  return row !== undefined && row.at !== null && row.at !== seen;
}
