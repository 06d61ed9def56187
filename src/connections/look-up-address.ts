import { sql } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import { learnLimits } from './account-limits-repository.ts';
import { hashAddresses } from './address-forms.ts';
import type { DirectoryDeps } from './directory-sync-result.ts';
import { blockDirectory } from './directory-walk-repository.ts';
import { findDirectoryGrant } from './sync-directory.ts';
import { wantWalk } from './want-walk.ts';

/** Single look-ups of one account within a minute, found or not, at most: the walk finds everybody else. */
const lookupsPerMinute = 60;
/** Beyond that one walk answers for all of them; made for joiners at most so often, however long they keep coming. */
const walkAgainAfterMinutes = 10;
/** An address that Zoom did not know is asked about again after this long. */
const askAgainAfterMinutes = 10;

export type Lookup =
  /** found: the directory's copy has the user now */
  | { readonly state: 'found' }
  | { readonly state: 'none' }
  /** nothing to look up: no verified address, or answered already */
  | { readonly state: 'not_needed' }
  /** too many at once: a walk that is owed, or began after they came, answers for them */
  | { readonly state: 'walk' }
  | { readonly state: 'later'; readonly reason: string; readonly retryInMs: number };

/** What there is to ask, or why not. */
async function findQuestion(deps: DirectoryDeps, zoomAccountId: string, memberId: string) {
  const { rows } = await sql<{ email: string; key: string; busy: boolean; blockedMs: number }>`
    select m.email, k.key,
           (select count(*) from steward.directory_lookups l
             where l.zoom_account_id = ${zoomAccountId} and l.looked_up_at > steward.now() - interval '1 minute') >= ${lookupsPerMinute} as busy,
           coalesce((select (extract(epoch from d.blocked_until - steward.now()) * 1000)::float8 from steward.directories d
                      where d.zoom_account_id = ${zoomAccountId}), 0) as "blockedMs"
      from steward_app.members m, lateral (select steward.address_key(m.email) as key) k
     where m.id = ${memberId} and m.active and m.email_verified and k.key is not null
       and not exists (select from steward.directory_users u where u.zoom_account_id = ${zoomAccountId} and u.address_key = k.key)
       and not exists (select from steward.directory_lookups l
                        where l.zoom_account_id = ${zoomAccountId} and l.address_key = k.key
                          and l.looked_up_at > steward.now() - ${askAgainAfterMinutes} * interval '1 minute')`.execute(
    deps.db,
  );
  return rows[0] ?? null;
}

/**
 * Leaves a joiner who is one too many for this minute to a walk: one that is under way and began after they came, else
 * one more – unless the last is too young, or was refused, and so says nothing of joiners.
 */
async function leaveToWalk(deps: DirectoryDeps, zoomAccountId: string, memberId: string): Promise<Lookup> {
  return deps.db.transaction().execute(async (trx): Promise<Lookup> => {
    const { rows } = await sql<{ answers: boolean; due: boolean }>`
      select coalesce(d.walk_started_at >= f.address_since, false) as answers,
             d.walk_id is null and d.refused is null and coalesce(d.walk_resumes_at <= steward.now(), true)
               and coalesce(d.synced_at <= steward.now() - ${walkAgainAfterMinutes} * interval '1 minute', true) as due
        from steward.directories d left join steward.member_facts f on f.member_id = ${memberId}
       where d.zoom_account_id = ${zoomAccountId}`.execute(trx);
    const { answers = false, due = false } = rows[0] ?? {};
    if (due) await wantWalk(trx, zoomAccountId);
    // A walk that fails for good is made again for them, and not when the copy is old.
    if (answers || due)
      await sql`
        update steward.directories d set wanted_at = greatest(d.wanted_at, f.address_since)
          from steward.member_facts f
         where f.member_id = ${memberId} and d.zoom_account_id = ${zoomAccountId}`.execute(trx);
    return answers || due ? { state: 'walk' } : { state: 'later', reason: 'lookups', retryInMs: 60_000 };
  });
}

/**
 * The copy may know the joiner already, by a hash of their address: as a user who was nobody's when the walk came by.
 * Then Zoom is not asked.
 */
async function revealMember(
  deps: DirectoryDeps,
  { zoomAccountId, memberId, key }: { readonly zoomAccountId: string; readonly memberId: string; readonly key: string },
): Promise<boolean> {
  const hashes = [...deps.vault.pseudonyms(key)];
  return deps.db.transaction().execute(async (trx) => {
    await sql`select from steward.directories where zoom_account_id = ${zoomAccountId} for update`.execute(trx);
    const { rows } = await sql<{ revealed: number }>`
      select steward.reveal_address(${zoomAccountId}, ${key}, ${hashes}::text[]) as revealed`.execute(trx);
    if (!rows[0]?.revealed) return false;
    await insertOutbox(trx, { job: 'reconcile-member', key: memberId, payload: { memberId } });
    return true;
  });
}

/**
 * Looks a joiner up at Zoom with one GET, so that nobody is `checking` until the next walk (behaviour §4). The answer
 * becomes a fact – a user of the directory, or an address Zoom does not know – and the member is said to have
 * changed, in one transaction. At most 60 a minute and account; who comes beyond is left to one walk.
 */
export async function lookUpAddress(
  deps: DirectoryDeps,
  {
    zoomAccountId,
    memberId,
    signal,
  }: { readonly zoomAccountId: string; readonly memberId: string; readonly signal?: AbortSignal },
): Promise<Lookup> {
  const question = await findQuestion(deps, zoomAccountId, memberId);
  if (!question) return { state: 'not_needed' };
  if (await revealMember(deps, { zoomAccountId, memberId, key: question.key })) return { state: 'found' };
  if (question.blockedMs > 0) return { state: 'later', reason: 'blocked', retryInMs: Math.ceil(question.blockedMs) };
  if (question.busy) return leaveToWalk(deps, zoomAccountId, memberId);
  const grantId = await findDirectoryGrant(deps.db, zoomAccountId);
  if (grantId === null) return { state: 'later', reason: 'no grant', retryInMs: 60_000 };
  const got = await deps.grants.call(grantId, (auth) => deps.api.user(auth, question.email), signal ? { signal } : {});
  if (got.kind !== 'answer') return { state: 'later', reason: got.kind, retryInMs: 30_000 };
  await learnLimits(deps.db, zoomAccountId, got.answer, 'light');
  if (got.answer.ok) {
    const { id, email, type, status } = got.answer.value;
    // Zoom may answer with another address than the one it was asked for.
    const [address] = await hashAddresses(deps.db, deps.vault, [email ?? question.email]);
    const pending = `pending:${address?.hash}`;
    await deps.db.transaction().execute(async (trx) => {
      await sql`
        with found as (
          select ${address?.key ?? question.key} as key,
                 case when ${address?.key ?? question.key} = ${question.key} then ${question.key}
                      else steward.address_form(${zoomAccountId}, ${address?.key ?? null}, ${address?.hash ?? null}) end as form),
        asked as (
          insert into steward.directory_lookups (zoom_account_id, address_key, looked_up_at)
          select ${zoomAccountId}, ${question.key}, steward.now()
          on conflict (zoom_account_id, address_key) do update set looked_up_at = excluded.looked_up_at)
        insert into steward.directory_users as d (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, duplicate, seen_at)
        select ${zoomAccountId}, ${id ?? pending}, ${id}, form, ${status ?? 'active'}, ${type ?? 99}::smallint,
               exists (select from steward.directory_users o where o.zoom_account_id = ${zoomAccountId} and o.address_key = form
                        and o.user_key <> ${id ?? pending}), steward.now()
          from found
        on conflict (zoom_account_id, user_key) do update
           set address_key = excluded.address_key, status = excluded.status, user_type = excluded.user_type,
               duplicate = excluded.duplicate, seen_at = excluded.seen_at`.execute(trx);
      await insertOutbox(trx, { job: 'reconcile-member', key: memberId, payload: { memberId } });
    });
    return { state: 'found' };
  }
  const { failure } = got.answer;
  if (failure.kind === 'not_found') {
    await deps.db.transaction().execute(async (trx) => {
      await sql`
        insert into steward.directory_lookups (zoom_account_id, address_key, looked_up_at)
        values (${zoomAccountId}, ${question.key}, steward.now())
        on conflict (zoom_account_id, address_key) do update set looked_up_at = excluded.looked_up_at`.execute(trx);
      await insertOutbox(trx, { job: 'reconcile-member', key: memberId, payload: { memberId } });
    });
    return { state: 'none' };
  }
  const retryInMs = failure.retryAtMs ? Math.max(1_000, failure.retryAtMs - Date.now()) : 30_000;
  if (failure.kind === 'rate_limited') await blockDirectory(deps.db, zoomAccountId, retryInMs);
  return { state: 'later', reason: failure.kind, retryInMs };
}
