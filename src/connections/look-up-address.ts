import { sql } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import { learnLimits } from './account-limits-repository.ts';
import { hashAddresses } from './address-forms.ts';
import type { DirectoryDeps } from './directory-sync-result.ts';
import { blockDirectory } from './directory-walk-repository.ts';
import { withShortWaits } from './short-waits.ts';
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

/** Somebody holds the account's copy, as a swap does: nobody waits for it (`withShortWaits`). */
export const whileSwapped: Lookup = { state: 'later', reason: 'the copy is being written', retryInMs: 5_000 };

/** An address a member may be known by at Zoom: their own, or one that means the same. */
type Address = {
  /** as Zoom is asked for it */
  readonly email: string;
  readonly key: string;
  readonly own: boolean;
  /** the copy has it by its key */
  readonly known: boolean;
  /** Zoom was asked lately */
  readonly asked: boolean;
};

/** A member's verified address, then those that mean the same by the organization's pairs of domains. */
async function listAddresses(deps: DirectoryDeps, zoomAccountId: string, memberId: string): Promise<Address[]> {
  const { rows } = await sql<Address>`
    with own as (
      select m.organization_id, m.email, steward.address_key(m.email) as key
        from steward_app.members m where m.id = ${memberId} and m.active and m.email_verified),
    address as (
      select email, key, true as own from own where key is not null
       union all
      select equal, equal, false from own, lateral steward.equal_addresses(own.organization_id, array[own.key]) as equal)
    select a.*,
           exists (select from steward.directory_users u where u.zoom_account_id = ${zoomAccountId} and u.address_key = a.key) as known,
           exists (select from steward.directory_lookups l
                    where l.zoom_account_id = ${zoomAccountId} and l.address_key = a.key
                      and l.looked_up_at > steward.now() - ${askAgainAfterMinutes} * interval '1 minute') as asked
      from address a order by a.own desc, a.key`.execute(deps.db);
  return rows;
}

/** How long Zoom wants no calls for the account, and whether the minute's look-ups are used up. */
async function findBounds(deps: DirectoryDeps, zoomAccountId: string): Promise<{ busy: boolean; blockedMs: number }> {
  const { rows } = await sql<{ busy: boolean; blockedMs: number }>`
    select (select count(*) from steward.directory_lookups l
             where l.zoom_account_id = ${zoomAccountId} and l.looked_up_at > steward.now() - interval '1 minute') >= ${lookupsPerMinute} as busy,
           coalesce((select (extract(epoch from d.blocked_until - steward.now()) * 1000)::float8 from steward.directories d
                      where d.zoom_account_id = ${zoomAccountId}), 0) as "blockedMs"`.execute(deps.db);
  return rows[0] as { busy: boolean; blockedMs: number };
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
 * Then Zoom is not asked. Null: the copy is held.
 */
async function revealMember(
  deps: DirectoryDeps,
  { zoomAccountId, memberId, key }: { readonly zoomAccountId: string; readonly memberId: string; readonly key: string },
): Promise<boolean | null> {
  const hashes = [...deps.vault.pseudonyms(key)];
  const looked = await withShortWaits(deps.db, async (trx) => {
    await sql`select from steward.directories where zoom_account_id = ${zoomAccountId} for update`.execute(trx);
    const { rows } = await sql<{ revealed: number }>`
      select steward.reveal_address(${zoomAccountId}, ${key}, ${hashes}::text[]) as revealed`.execute(trx);
    if (!rows[0]?.revealed) return false;
    await insertOutbox(trx, { job: 'reconcile-member', key: memberId, payload: { memberId } });
    return true;
  });
  return looked?.result ?? null;
}

type Joiner = { readonly zoomAccountId: string; readonly memberId: string; readonly signal?: AbortSignal };

/**
 * Looks a joiner up at Zoom, so that nobody is `checking` until the next walk (behaviour §4): by their address, and if
 * nobody has that, by each address that means the same. Who is in the copy under a hash is found without asking. At most
 * 60 a minute and account; who comes beyond is left to one walk.
 */
export async function lookUpAddress(deps: DirectoryDeps, joiner: Joiner): Promise<Lookup> {
  let result: Lookup = { state: 'not_needed' };
  for (const address of await listAddresses(deps, joiner.zoomAccountId, joiner.memberId)) {
    if (address.known && address.own) return result;
    if (address.known || address.asked) continue;
    const answer = await lookUpOne(deps, joiner, address);
    if (answer.state === 'walk' || answer.state === 'later') return answer;
    if (answer.state === 'found') result = answer;
    if (answer.state === 'found' && address.own) return answer;
    if (result.state === 'not_needed') result = answer;
  }
  return result;
}

/**
 * One address, with one GET at most. The answer becomes a fact – a user of the directory, or an address Zoom does not
 * know – and the member is said to have changed, in one transaction.
 */
async function lookUpOne(
  deps: DirectoryDeps,
  { zoomAccountId, memberId, signal }: Joiner,
  question: Pick<Address, 'email' | 'key'>,
): Promise<Lookup> {
  const revealed = await revealMember(deps, { zoomAccountId, memberId, key: question.key });
  if (revealed !== false) return revealed ? { state: 'found' } : whileSwapped;
  const { busy, blockedMs } = await findBounds(deps, zoomAccountId);
  if (blockedMs > 0) return { state: 'later', reason: 'blocked', retryInMs: Math.ceil(blockedMs) };
  if (busy) return leaveToWalk(deps, zoomAccountId, memberId);
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
    const written = await withShortWaits(deps.db, async (trx) => {
      await sql`select from steward.directories where zoom_account_id = ${zoomAccountId} for update`.execute(trx);
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
      return true;
    });
    return written ? { state: 'found' } : whileSwapped;
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
