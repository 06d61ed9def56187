import { sql, type Transaction } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import type { ZoomFailure, ZoomUser } from '../zoom/api.ts';
import { learnLimits } from './account-limits-repository.ts';
import { hashAddresses } from './address-forms.ts';
import type { DirectoryDeps } from './directory-sync-result.ts';
import { blockDirectory } from './directory-walk-repository.ts';
import { hintAccount } from './hint-account.ts';
import { subjectName } from './hint-subject.ts';
import { type Lookup, whileSwapped } from './look-up-address.ts';
import { withShortWaits } from './short-waits.ts';
import { findDirectoryGrant } from './sync-directory.ts';

/** Members who are looked at because of one Zoom user, at most; one address is that of one person. */
const membersAtOnce = 50;

const againMs = 30_000;
/** until somebody has given us the key back */
const mendedMs = 10 * 60_000;

type Question = { readonly zoomAccountId: string; readonly zoomUserId: string };

/** When the question is asked, by the database's clock and as text, so that no digit of it is lost. */
async function begin(deps: DirectoryDeps, zoomAccountId: string): Promise<{ askedAt: string; blockedMs: number }> {
  const { rows } = await sql<{ askedAt: string; blockedMs: number }>`
    select steward.now()::text as "askedAt",
           coalesce((select (extract(epoch from d.blocked_until - steward.now()) * 1000)::float8 from steward.directories d
                      where d.zoom_account_id = ${zoomAccountId}), 0) as "blockedMs"`.execute(deps.db);
  return rows[0] as { askedAt: string; blockedMs: number };
}

/**
 * Asks Zoom about one user of an account and writes the answer into the copy of the directory; the members concerned –
 * matched to the user, or with the old or the new address – are said to have changed, in the same transaction. Looks
 * are ordered by when they asked, not by when Zoom answered or what it says of its events' times.
 */
export async function lookAtZoomUser(
  deps: DirectoryDeps,
  { zoomAccountId, zoomUserId, signal }: Question & { readonly signal?: AbortSignal },
): Promise<Lookup> {
  const { askedAt, blockedMs } = await begin(deps, zoomAccountId);
  if (blockedMs > 0) return { state: 'later', reason: 'blocked', retryInMs: Math.ceil(blockedMs) };
  const grantId = await findDirectoryGrant(deps.db, zoomAccountId);
  // Whoever connects next walks the directory first.
  if (grantId === null) return { state: 'not_needed' };
  const got = await deps.grants.call(grantId, (auth) => deps.api.user(auth, zoomUserId), signal ? { signal } : {});
  // A dead grant asks nobody; whoever connects next walks the directory.
  if (got.kind === 'dead') return { state: 'not_needed' };
  if (got.kind !== 'answer')
    return { state: 'later', reason: got.kind, retryInMs: got.kind === 'vault_unreadable' ? mendedMs : againMs };
  const { answer } = got;
  await learnLimits(deps.db, zoomAccountId, answer, 'light');
  if (!answer.ok && answer.failure.kind !== 'not_found') return afterFailure(deps, zoomAccountId, answer.failure);
  const elsewhere = answer.ok && answer.value.accountId !== null && answer.value.accountId !== zoomAccountId;
  const found = answer.ok && !elsewhere ? answer.value : null;
  const [address] = await hashAddresses(deps.db, deps.vault, [found?.email ?? null]);
  const { key = null } = address ?? {};
  const known = found && { ...found, key, hashes: key === null ? [] : deps.vault.pseudonyms(key) };
  const written = await withShortWaits(deps.db, async (trx): Promise<Lookup> => {
    if (!(await isNewest(trx, { zoomAccountId, zoomUserId }, askedAt))) return { state: 'not_needed' };
    await write(trx, { zoomAccountId, zoomUserId }, known, askedAt);
    return found ? { state: 'found' } : { state: 'none' };
  });
  return written?.result ?? whileSwapped;
}

/** What may pass is asked again; what says something about our permissions is looked at; the walk finds the rest. */
async function afterFailure(deps: DirectoryDeps, zoomAccountId: string, failure: ZoomFailure): Promise<Lookup> {
  const { kind, retryAtMs } = failure;
  switch (kind) {
    case 'rate_limited':
    case 'server':
    case 'network': {
      const retryInMs = retryAtMs ? Math.max(1_000, retryAtMs - Date.now()) : againMs;
      if (kind === 'rate_limited') await blockDirectory(deps.db, zoomAccountId, retryInMs);
      return { state: 'later', reason: kind, retryInMs };
    }
    case 'token':
    case 'missing_scope':
    case 'missing_permission':
      await deps.db
        .transaction()
        .execute((trx) => hintAccount(trx, { zoomAccountId, actor: 'zoom', reason: `look at a user: ${kind}` }));
      return { state: 'not_needed' };
    default:
      return { state: 'not_needed' };
  }
}

/** Whether no look that asked later has been written. Locks the row: of two that write at once the second waits. */
async function isNewest(trx: Transaction<DB>, question: Question, askedAt: string): Promise<boolean> {
  const subject = subjectName({ kind: 'user', zoomAccountId: question.zoomAccountId, id: question.zoomUserId });
  const { numAffectedRows } = await sql`
    insert into steward.hints as h (subject, zoom_account_id, look_at, asked_at)
    values (${subject}, ${question.zoomAccountId}, ${askedAt}::timestamptz, ${askedAt}::timestamptz)
    on conflict (subject) do update set asked_at = excluded.asked_at
     where coalesce(h.asked_at <= excluded.asked_at, true)`.execute(trx);
  return numAffectedRows === 1n;
}

/** What Zoom said, with key and keyed hashes of the address. */
type KnownUser = ZoomUser & { readonly key: string | null; readonly hashes: readonly string[] };

/** How the copy writes the user's address: by its key if somebody of ours has it, and then whoever else has it too. */
async function formOf(trx: Transaction<DB>, zoomAccountId: string, found: KnownUser | null): Promise<string> {
  if (!found?.key) return '';
  const { rows } = await sql<{ form: string }>`
    select steward.address_form(${zoomAccountId}, ${found.key}, ${found.hashes[0]}) as form`.execute(trx);
  const form = rows[0]?.form ?? '';
  if (form === found.key)
    await sql`select steward.reveal_address(${zoomAccountId}, ${form}, ${[...found.hashes]}::text[])`.execute(trx);
  return form;
}

/**
 * Writes what Zoom said, under the account's lock, which the directory's swap takes as well.
 * One statement would not see its own changes: what went, what is, then who shares an address, then whom it concerns.
 */
async function write(
  trx: Transaction<DB>,
  { zoomAccountId, zoomUserId }: Question,
  found: KnownUser | null,
  askedAt: string,
): Promise<void> {
  await sql`select from steward.directories where zoom_account_id = ${zoomAccountId} for update`.execute(trx);
  const key = await formOf(trx, zoomAccountId, found);
  const pending = (found?.hashes ?? []).map((hash) => `pending:${hash}`);
  const userKey = found && (found.id ?? pending[0] ?? 'pending:');
  const before = await sql<{ user_key: string; address_key: string }>`
    delete from steward.directory_users d
     where d.zoom_account_id = ${zoomAccountId}
       and (d.user_key = ${zoomUserId} and ${userKey}::text is distinct from ${zoomUserId}
         or ${userKey}::text = ${zoomUserId} and d.user_key = any(${pending}::text[]))
    returning d.user_key, d.address_key`.execute(trx);
  const changed = new Set(before.rows.map((row) => row.address_key));
  const keys = [zoomUserId, ...before.rows.map((row) => row.user_key)];
  if (found && userKey !== null) {
    const old = await sql<{ address_key: string; status: string; user_type: number }>`
      select address_key, status, user_type from steward.directory_users
       where zoom_account_id = ${zoomAccountId} and user_key = ${userKey} for update`.execute(trx);
    const status = found.status ?? 'active';
    const type = found.type ?? 99;
    await sql`
      insert into steward.directory_users as d (zoom_account_id, user_key, zoom_user_id, address_key, status, user_type, seen_at)
      values (${zoomAccountId}, ${userKey}, ${found.id}, ${key}, ${status}, ${type}, ${askedAt}::timestamptz)
      on conflict (zoom_account_id, user_key) do update
         set address_key = excluded.address_key, status = excluded.status, user_type = excluded.user_type,
             zoom_user_id = excluded.zoom_user_id, seen_at = greatest(d.seen_at, excluded.seen_at)`.execute(trx);
    const [was] = old.rows;
    if (!was || was.address_key !== key || was.status !== status || was.user_type !== type) {
      changed.add(key);
      if (was) changed.add(was.address_key);
    }
    await sql`delete from steward.directory_lookups where zoom_account_id = ${zoomAccountId} and address_key = ${key}`.execute(
      trx,
    );
  }
  if (changed.size > 0) await sayChanged(trx, zoomAccountId, keys, [...changed]);
}

/** Marks who shares an address now, and says "look" for the members whom that may concern. */
async function sayChanged(
  trx: Transaction<DB>,
  zoomAccountId: string,
  userKeys: readonly string[],
  addressKeys: readonly string[],
): Promise<void> {
  await sql`
    update steward.directory_users d set duplicate = same.n > 1
      from (select address_key, count(*) as n from steward.directory_users
             where zoom_account_id = ${zoomAccountId} and address_key = any(${[...addressKeys]}::text[]) group by 1) same
     where d.zoom_account_id = ${zoomAccountId} and d.address_key = same.address_key
       and d.duplicate is distinct from (same.n > 1)`.execute(trx);
  const { rows } = await sql<{ id: string }>`
    select f.member_id as id
      from steward.org_connections c
      join lateral (
        select f.member_id from steward.member_facts f
         where f.organization_id = c.organization_id and f.address_key = any(${[...addressKeys]}::text[])
        union
        select f.member_id from steward.equal_addresses(c.organization_id, ${[...addressKeys]}::text[]) as meant
          join steward.member_facts f on f.organization_id = c.organization_id and f.address_key = meant
        union
        select member_id from steward.member_facts
         where organization_id = c.organization_id and zoom_user_key = any(${[...userKeys]}::text[])
        union
        select member_id from steward.zoom_user_mappings
         where organization_id = c.organization_id and zoom_account_id = ${zoomAccountId}
           and zoom_user_id = any(${[...userKeys]}::text[])) f on true
     where c.zoom_account_id = ${zoomAccountId} and c.state in ('active', 'interrupted')
     order by 1 limit ${membersAtOnce}`.execute(trx);
  for (const { id } of rows) {
    await insertOutbox(trx, { job: 'reconcile-member', key: id, payload: { memberId: id } });
  }
  // A shared host hosts for everybody who has no Zoom user.
  const shared = await sql<{ id: string }>`
    select c.organization_id as id from steward.org_connections c
      join steward.organization_settings s on s.organization_id = c.organization_id
     where c.zoom_account_id = ${zoomAccountId} and c.state in ('active', 'interrupted')
       and s.shared_host_zoom_user_id = any(${[...userKeys]}::text[])
     order by 1`.execute(trx);
  for (const { id } of shared.rows) {
    await insertOutbox(trx, { job: 'reconcile-organization', key: id, payload: { organizationId: id } });
  }
}
