import { sql, type Transaction } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import { hashAddresses } from './address-forms.ts';
import type { DirectoryDeps } from './directory-sync-result.ts';
import type { Walk } from './directory-walk-repository.ts';

/** What a finished walk has not seen: of so many matched users so many; the first few of them, by Zoom user id. */
export type Loss = { readonly matched: number; readonly lost: number; readonly sample: readonly string[] };

/** Users that a walk kept unasked are looked at singly: so many after one walk, at most, one a second. */
const looksAWalk = 1_000;
const lookEveryMs = 1_000;

/**
 * Lists shift while they are read: whoever comes to an earlier page, or to a state that was listed before, is in none. So
 * matched users that a walk has not seen are asked about singly – the sample at once –, and staged as Zoom says, or – if it
 * says nothing – as they were. Only who Zoom says is gone goes.
 * @returns those of whom it said nothing
 */
export async function findMoved(deps: DirectoryDeps, walk: Walk, grantId: string, loss: Loss): Promise<string[]> {
  const unanswered: string[] = [];
  for (const userId of loss.sample) {
    const got = await deps.grants.call(grantId, (auth) => deps.api.user(auth, userId));
    const answer = got.kind === 'answer' ? got.answer : null;
    if (answer && !answer.ok && answer.failure.kind === 'not_found') continue;
    if (!answer?.ok) unanswered.push(userId);
    const { email, type, status, accountId } = answer?.ok
      ? answer.value
      : { email: null, type: null, status: null, accountId: null };
    if (accountId !== null && accountId !== walk.zoomAccountId) continue;
    const [address] = await hashAddresses(deps.db, deps.vault, [email]);
    await sql`
      insert into steward.directory_staging (walk_id, status, zoom_user_ids, address_keys, address_hashes, user_types)
      select w.walk_id, coalesce(${status}, d.status), array[d.user_key], array[coalesce(${address?.key ?? null}, d.address_key)],
             array[coalesce(${address?.hash ?? null}, d.address_key)], array[coalesce(${type}, d.user_type)]
        from steward.directory_users d join steward.directories w using (zoom_account_id)
       where d.zoom_account_id = ${walk.zoomAccountId} and d.user_key = ${userId} and w.walk_id = ${walk.walkId}`.execute(
      deps.db,
    );
  }
  return unanswered;
}

/**
 * Stages everybody else who is missing as they were: nobody loses a match because too many were missing to ask about. In the
 * transaction of the swap, so that who is kept unasked is owed a look (`oweLooks`), whoever dies on the way.
 */
export async function keepOthers(trx: Transaction<DB>, walk: Walk, asked: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    with kept as materialized (
      select w.walk_id, d.user_key, d.address_key, d.status, d.user_type
        from steward.directories w
       cross join lateral steward.lost_in_walk(w.zoom_account_id, w.walk_id, null) missing
        join steward.directory_users d on d.zoom_account_id = w.zoom_account_id and d.user_key = any(missing.sample)
       where w.zoom_account_id = ${walk.zoomAccountId} and w.walk_id = ${walk.walkId} and d.user_key <> all(${[...asked]}::text[])),
    staged as (
      insert into steward.directory_staging (walk_id, status, zoom_user_ids, address_keys, address_hashes, user_types)
      select walk_id, status, array_agg(user_key), array_agg(address_key), array_agg(address_key), array_agg(user_type)
        from kept group by walk_id, status)
    select user_key as id from kept`.execute(trx);
  return rows.map(({ id }) => id);
}

/** Asks Zoom about users that were kept unasked, each in a job of its own; whom the bound leaves out, the next walk misses again. */
export async function oweLooks(trx: Transaction<DB>, { zoomAccountId }: Walk, kept: readonly string[]): Promise<void> {
  for (const [n, zoomUserId] of [...kept].sort().slice(0, looksAWalk).entries())
    await insertOutbox(trx, {
      job: 'sync-zoom-directory',
      key: `${zoomAccountId}/${zoomUserId}`,
      payload: { zoomAccountId, zoomUserId },
      delayMs: n * lookEveryMs,
    });
}
