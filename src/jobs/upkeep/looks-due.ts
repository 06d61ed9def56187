import { sql } from 'kysely';
import { listEndedDeadlines } from '../../connections/deadline.ts';
import { listDueCandidates, listDueVerifications, listStaleDirectories } from '../../connections/due-work.ts';
import { walkedAt } from '../../connections/want-walk.ts';
import type { Database } from '../../db/database.ts';
import { listDueGrants } from '../../grants/grant-repository.ts';
import type { UpkeepResult } from '../services/job-services.ts';
import { owe, oweEach } from './owe.ts';

const atOnce = 500;
/** Longest time without a refresh of a member's own grant (lifecycle §3). */
const unusedDays = 30;
const grantsAfterKey = 'grants_due.after';

/** Connections whose scheduled verification has come, or whose deadline is over. */
export async function findVerificationsDue(db: Database): Promise<UpkeepResult> {
  const due = [...(await listDueVerifications(db, atOnce)), ...(await listEndedDeadlines(db, atOnce))];
  return oweEach(db, 'verify-admin-role', 'connectionId', due);
}

/** Candidates whose next look is due, in case the job that was to take it got lost. */
export async function findCandidatesDue(db: Database): Promise<UpkeepResult> {
  return oweEach(db, 'verify-admin-role', 'candidateId', await listDueCandidates(db, atOnce));
}

/** Zoom accounts whose copy of the users is old. */
export async function findDirectoriesDue(db: Database): Promise<UpkeepResult> {
  const due = await listStaleDirectories(db, { limit: atOnce });
  if (due.length === 0) return { found: 0 };
  return owe(
    db,
    'sync-zoom-directory',
    sql`select id as key, jsonb_build_object('zoomAccountId', id, 'seen', ${walkedAt}) as payload
          from unnest(${due}::text[]) id left join steward.directories d on d.zoom_account_id = id`,
  );
}

/**
 * Grants under suspicion whose second look has come, refreshes whose outcome nobody knows, and grants that retire. Goes
 * on behind the last one of the tick before.
 */
export async function findGrantsDue(db: Database, limit = atOnce): Promise<UpkeepResult> {
  const { rows } = await sql<{ after: string }>`
    select value #>> '{}' as after from steward.installation where key = ${grantsAfterKey}`.execute(db);
  const due = (await listDueGrants(db, limit, rows[0]?.after ?? null)).map((grant) => grant.id);
  const found = await oweEach(db, 'verify-admin-role', 'grantId', due);
  const last = due.at(-1);
  // After they are owed: a tick that dies in between says them again, which is harmless.
  if (last !== undefined && due.length === limit)
    await sql`
      insert into steward.installation (key, value, updated_at) values (${grantsAfterKey}, to_jsonb(${last}::text), steward.now())
      on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at`.execute(db);
  return found;
}

/**
 * Members' own grants that nobody used for 30 days: each is tried by one call, so that one which died is found before its
 * member needs it. The call refreshes it, and so it is due again 30 days later. In no order: some that cannot move just
 * now must not starve the others.
 * @returns how many were owed
 */
export async function findUnusedPersonalGrants(db: Database, limit: number): Promise<number> {
  const { found } = await owe(
    db,
    'verify-admin-role',
    sql`select g.id::text as key, jsonb_build_object('grantId', g.id, 'probe', true) as payload
          from steward.grants g
         where g.client_kind = 'personal' and g.state = 'living'
           and g.refreshed_at <= (select steward.now()) - ${unusedDays} * interval '1 day'
           and g.access_expires_at <= (select steward.now())
           and exists (select from steward.personal_connections p where p.grant_id = g.id and p.state in ('active', 'suspect'))
         order by random() limit ${limit}`,
  );
  return found;
}
