import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import { deriveDomainMappings } from '../db/derived-mapping-repository.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import { startOrganizationRun } from '../db/run-repository.ts';
import type { DB } from '../db/schema.ts';
import type { DirectoryDeps, DirectorySync } from './directory-sync-result.ts';
import { dropWalk, type Walk } from './directory-walk-repository.ts';
import { findMoved, keepOthers, type Loss, oweLooks } from './moved-users.ts';

/** A walk that loses this share of the matched users does not replace the copy (behaviour §9). */
const lostShareAtMost = 0.1;
/** A loss that lasts is believed after this long, and only if Zoom confirms it for every user asked about. */
const believedAfterHours = 1;
const usersAskedAbout = 20;
/** Joiners who are looked up singly after a refused walk, at most; the next refused one sees to more. */
const joinersAtOnce = 1_000;

/**
 * Ends a complete walk: swaps the copy in one transaction, and in the same says "look" for every organization and
 * candidate on the account – or refuses, if too many matched users are missing from it.
 */
export async function finishWalk(deps: DirectoryDeps, walk: Walk, grantId: string): Promise<DirectorySync> {
  const { rows } = await sql<Loss>`
    select matched, lost, sample from steward.lost_in_walk(${walk.zoomAccountId}, ${walk.walkId}, ${usersAskedAbout})`.execute(
    deps.db,
  );
  const loss = rows[0] as Loss;
  const short = loss.lost > 0 && loss.lost >= loss.matched * lostShareAtMost;
  const unanswered = short ? [] : await findMoved(deps, walk, grantId, loss);
  const believed = !short || ((await lastedLong(deps, walk)) && (await reallyGone(deps, grantId, loss.sample)));
  return deps.db.transaction().execute(async (trx): Promise<DirectorySync> => {
    const held = await trx
      .selectFrom('steward.directories')
      .select(['walk_started_at'])
      .where('zoom_account_id', '=', walk.zoomAccountId)
      .where('walk_id', '=', walk.walkId)
      .where('walk_status', '=', 'complete')
      .forUpdate()
      .executeTakeFirst();
    if (!held) return { state: 'busy' };
    if (!believed) return refuse(trx, walk, loss);
    const kept = short || loss.lost <= loss.sample.length ? [] : await keepOthers(trx, walk, loss.sample);
    const swapped = await swap(trx, walk, deps.vault.activeKeyId);
    await oweLooks(trx, walk, [...unanswered, ...kept]);
    return swapped;
  });
}

async function lastedLong(deps: DirectoryDeps, walk: Walk): Promise<boolean> {
  const { rows } = await sql<{ lasted: boolean }>`
    select coalesce((refused ->> 'since')::timestamptz <= steward.now() - ${believedAfterHours} * interval '1 hour', false) as lasted
      from steward.directories where zoom_account_id = ${walk.zoomAccountId}`.execute(deps.db);
  return rows[0]?.lasted ?? false;
}

/** Whether Zoom says of each of these users, asked one by one, that there is no such user. */
async function reallyGone(deps: DirectoryDeps, grantId: string, userIds: readonly string[]): Promise<boolean> {
  for (const userId of userIds) {
    const got = await deps.grants.call(grantId, (auth) => deps.api.user(auth, userId));
    if (got.kind !== 'answer' || got.answer.ok || got.answer.failure.kind !== 'not_found') return false;
  }
  return true;
}

/** Joiners who were left to this walk (`lookUpAddress`) are looked up singly after all. */
async function lookUpJoiners(trx: Transaction<DB>, { zoomAccountId }: Walk): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select f.member_id as id from steward.org_connections c join steward.member_facts f using (organization_id)
     where c.zoom_account_id = ${zoomAccountId} and c.state = 'active' and f.match = 'checking'
     order by f.address_since limit ${joinersAtOnce}`.execute(trx);
  for (const { id } of rows)
    await insertOutbox(trx, { job: 'sync-zoom-directory', key: id, payload: { zoomAccountId, memberId: id } });
}

async function refuse(trx: Transaction<DB>, walk: Walk, loss: Loss): Promise<DirectorySync> {
  await sql`
    update steward.directories
       set refused = jsonb_build_object('since', coalesce(refused ->> 'since', steward.now()::text), 'at', steward.now(),
                                        'matched', ${loss.matched}::bigint, 'lost', ${loss.lost}::bigint)
     where zoom_account_id = ${walk.zoomAccountId}`.execute(trx);
  await dropWalk(trx, walk);
  await lookUpJoiners(trx, walk);
  await insertAudit(trx, {
    organizationId: null,
    actor: 'schedule',
    action: 'directory.refused',
    reason: 'the walk lost too many matched users',
    data: { zoomAccountId: walk.zoomAccountId, matched: loss.matched, lost: loss.lost },
  });
  return { state: 'refused', matched: loss.matched, lost: loss.lost };
}

async function swap(trx: Transaction<DB>, walk: Walk, hashKeyId: string): Promise<DirectorySync> {
  const { zoomAccountId, walkId } = walk;
  const swapped = await sql<{ changed: number }>`
    select steward.swap_directory(${zoomAccountId}, ${walkId}, walk_started_at) as changed
      from steward.directories where zoom_account_id = ${zoomAccountId}`.execute(trx);
  const changed = swapped.rows[0]?.changed ?? 0;
  // A walk may have begun under another key, in another process: then the copy is not yet one of this key.
  const { rows } = await sql<{ users: number }>`
    update steward.directories d
       set synced_at = walk_started_at, swapped_at = steward.now(), refused = null,
           hash_key_id = case when copy.others = 0 then ${hashKeyId} end, walk_id = null, walk_status = null, walk_page_token = null,
           walk_started_at = null, walk_lease_until = null, users = copy.users
      from (select count(*) as users,
                   count(*) filter (where starts_with(address_key, '#') and not starts_with(address_key, ${`#${hashKeyId}.`})) as others
              from steward.directory_users where zoom_account_id = ${zoomAccountId}) copy
     where zoom_account_id = ${zoomAccountId} returning d.users`.execute(trx);
  const runs = await sayLook(trx, zoomAccountId, changed);
  return { state: 'done', users: rows[0]?.users ?? 0, changed, runs };
}

/** Runs for the organizations the new copy may mean something to, and the candidates that waited for it. */
async function sayLook(trx: Transaction<DB>, zoomAccountId: string, changed: number): Promise<number> {
  const connections = await sql<{ id: string; organizationId: string; concerned: boolean }>`
    select c.id, c.organization_id as "organizationId",
           ${changed} > 0 or exists (select from steward.member_facts f
                                      where f.organization_id = c.organization_id and f.match = 'checking') as concerned
      from steward.org_connections c
     where c.zoom_account_id = ${zoomAccountId} and c.state in ('active', 'interrupted')
     order by c.id for update of c`.execute(trx);
  let runs = 0;
  for (const { id, organizationId, concerned } of connections.rows) {
    const derived = await deriveDomainMappings(trx, { organizationId, memberIds: null, actor: 'schedule' });
    if (!concerned && derived.length === 0) continue;
    await startOrganizationRun(trx, { connectionId: id, cause: 'directory_changed', actor: 'schedule' });
    runs += 1;
  }
  const candidates = await sql<{ id: string }>`
    select k.id from steward.candidates k join steward.grants g on g.id = k.grant_id
     where g.zoom_account_id = ${zoomAccountId} and k.state in ('verifying', 'waiting')`.execute(trx);
  for (const { id } of candidates.rows) {
    await insertOutbox(trx, { job: 'verify-admin-role', key: id, payload: { candidateId: id } });
  }
  return runs;
}
