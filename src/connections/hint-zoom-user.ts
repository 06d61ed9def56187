import { sql, type Transaction } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import { oweLook } from './hint-subject.ts';

/** Users of one account who are looked at singly within a minute; more are cheaper, and fairer, as a walk. */
const singlyPerMinute = 60;
/** A wish for a walk covers what comes in the next seconds too, so that a storm does not queue at one row. */
const wishSeconds = 5;

/** What a hint about a Zoom user came to. */
export type UserHint = 'look' | 'walk' | 'owed_already' | 'unused';

/** Whether we keep a copy of the account's users: `first` while its first walk is to come, or under way. */
const copyOf = (zoomAccountId: string) => sql<'none' | 'first' | 'kept'>`coalesce((
  select case when d.synced_at is null then 'first' else 'kept' end
    from steward.directories d where d.zoom_account_id = ${zoomAccountId}), 'none')`;

/** Says that the copy must be as new as this moment: a walk that began before does not count. */
async function wantWalk(trx: Transaction<DB>, zoomAccountId: string): Promise<UserHint> {
  await sql`
    update steward.directories set wanted_at = steward.now() + ${wishSeconds} * interval '1 second'
     where zoom_account_id = ${zoomAccountId} and coalesce(wanted_at <= steward.now(), true)`.execute(trx);
  return 'walk';
}

/** Says "look at this Zoom user", for the copy of the directory and the members concerned. */
export async function hintZoomUser(
  trx: Transaction<DB>,
  { zoomAccountId, zoomUserId }: { readonly zoomAccountId: string; readonly zoomUserId: string },
): Promise<UserHint> {
  const { rows } = await sql<{ copy: string; lately: number }>`
    select ${copyOf(zoomAccountId)} as copy,
           (select count(*)::int from steward.hints h
             where h.zoom_account_id = ${zoomAccountId} and h.look_at > steward.now() - interval '1 minute'
               and h.subject like 'user:%') as lately`.execute(trx);
  const { copy = 'none', lately = 0 } = rows[0] ?? {};
  if (copy === 'none') return 'unused';
  // A first walk may have passed that user already, and there is nobody in the copy yet to compare with.
  if (copy === 'first' || lately >= singlyPerMinute) return wantWalk(trx, zoomAccountId);
  const delayMs = await oweLook(trx, { kind: 'user', zoomAccountId, id: zoomUserId }, zoomAccountId);
  if (delayMs === null) return 'owed_already';
  const payload = { zoomAccountId, zoomUserId };
  await insertOutbox(trx, { job: 'sync-zoom-directory', key: `${zoomAccountId}/${zoomUserId}`, payload, delayMs });
  return 'look';
}

/** Most members of all organizations on an account whom one address may concern: more is no address of a person. */
const membersAtOnce = 50;

/**
 * The same for a pending user, who has no id: the members with that address are looked up as joiners are. If the copy
 * has the address already, only a walk tells what became of it.
 */
export async function hintZoomAddress(
  trx: Transaction<DB>,
  { zoomAccountId, address }: { readonly zoomAccountId: string; readonly address: string },
): Promise<UserHint> {
  const { rows } = await sql<{ copy: string; known: boolean; members: string[] }>`
    with asked as (select steward.address_key(${address}) as key),
    forgotten as (
      delete from steward.directory_lookups l using asked
       where l.zoom_account_id = ${zoomAccountId} and l.address_key = asked.key)
    select ${copyOf(zoomAccountId)} as copy,
           exists (select from steward.directory_users u
                    where u.zoom_account_id = ${zoomAccountId} and u.address_key = asked.key) as known,
           array(select f.member_id from steward.org_connections c
                   join steward.member_facts f on f.organization_id = c.organization_id and f.address_key = asked.key
                  where c.zoom_account_id = ${zoomAccountId} and c.state = 'active'
                  limit ${membersAtOnce}) as members
      from asked`.execute(trx);
  const { copy = 'none', known = false, members = [] } = rows[0] ?? {};
  if (copy === 'none') return 'unused';
  if (known || copy === 'first') return wantWalk(trx, zoomAccountId);
  for (const memberId of members) {
    await insertOutbox(trx, { job: 'sync-zoom-directory', key: memberId, payload: { zoomAccountId, memberId } });
  }
  return members.length > 0 ? 'look' : 'unused';
}
