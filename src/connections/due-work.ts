import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { lockConnection } from './authority.ts';
import { expireAttempts } from './consume-state.ts';
import { endLink } from './links.ts';

// steward.now() in a filter is called for every row; a sub-select, once.

/** Org connections whose scheduled verification, or retry, is due; oldest first. Those without a time are due too. */
export async function listDueVerifications(db: Database, limit = 100): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from steward.org_connections
     where state in ('active', 'interrupted') and coalesce(verify_due_at, '-infinity') <= (select steward.now())
     order by coalesce(verify_due_at, '-infinity') limit ${limit}`.execute(db);
  return rows.map((row) => row.id);
}

/** Candidates that are due for a look – a lost job is noticed here –, oldest first. */
export async function listDueCandidates(db: Database, limit = 100): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from steward.candidates
     where look_due_at <= (select steward.now()) and expires_at > (select steward.now())
       and (state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation') or sealed_access is not null)
     order by look_due_at limit ${limit}`.execute(db);
  return rows.map((row) => row.id);
}

/** Ends links whose 14 days are over, and attempts whose hour is. Returns how many of each. */
export async function expireLinks(
  db: Database,
  limit = 100,
): Promise<{ readonly links: number; readonly attempts: number }> {
  const { rows } = await sql<{ id: string; connection_id: string }>`
    select id, connection_id from steward.connect_links
     where state = 'open' and expires_at <= steward.now() order by expires_at limit ${limit}`.execute(db);
  for (const { id, connection_id } of rows) {
    await db.transaction().execute(async (trx) => {
      const connection = await lockConnection(trx, connection_id);
      const over =
        await sql`select from steward.connect_links where id = ${id} and state = 'open' and expires_at <= steward.now()`.execute(
          trx,
        );
      if (over.rows.length === 0) return;
      await endLink(trx, {
        linkId: id,
        connectionId: connection_id,
        organizationId: connection.organization_id,
        state: 'expired',
        actor: 'schedule',
      });
    });
  }
  return { links: rows.length, attempts: await db.transaction().execute(expireAttempts) };
}

/** Webhooks may want the copy newer than it is; it is walked for them at most so often. */
const wantedAgainMinutes = 10;
/** A walk that was refused for what it lost is made again after this long, not with every tick. */
const refusedAgainMinutes = 30;

/**
 * Zoom accounts whose copy of the users is older than `hours`, or than what webhooks hinted at, used by a connection or an open candidate; those whose
 * call is blocked or that are walked right now come later. Connections whose calls fail are left out: their walk would
 * fail with every tick. They are walked as soon as they pass again.
 */
export async function listStaleDirectories(
  db: Database,
  { hours = 6, limit = 100 }: { readonly hours?: number; readonly limit?: number } = {},
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    with used as (
      select zoom_account_id from steward.org_connections where state = 'active' and first_failed_at is null and zoom_account_id is not null
      union
      select g.zoom_account_id from steward.candidates k join steward.grants g on g.id = k.grant_id where k.state in ('verifying', 'waiting'))
    select u.zoom_account_id as id from used u left join steward.directories d using (zoom_account_id)
    cross join (select steward.now() as now offset 0) at
     where (coalesce(d.synced_at <= at.now - ${hours} * interval '1 hour', true)
         or d.wanted_at > d.synced_at and d.synced_at <= at.now - ${wantedAgainMinutes} * interval '1 minute')
       and coalesce(d.blocked_until <= at.now, true) and coalesce(d.walk_lease_until <= at.now, true)
       and coalesce(d.walk_resumes_at <= at.now, true)
       and coalesce((d.refused ->> 'at')::timestamptz <= at.now - ${refusedAgainMinutes} * interval '1 minute', true)
     order by d.synced_at nulls first limit ${limit}`.execute(db);
  return rows.map((row) => row.id);
}

/**
 * Wants every copy walked anew that was hashed with another key than the active one, or before there were hashes: only
 * Zoom can say the addresses again. Asked when a worker starts; returns how many.
 */
export async function wantNewHashes(db: Database, activeKeyId: string): Promise<number> {
  const { numAffectedRows } = await sql`
    update steward.directories set wanted_at = steward.now()
     where synced_at is not null and hash_key_id is distinct from ${activeKeyId} and coalesce(wanted_at <= synced_at, true)`.execute(
    db,
  );
  return Number(numAffectedRows ?? 0n);
}

/** A limit that was stated for an account nobody of ours is on is kept for so long. */
const statedDays = 30;

/** Deletes copies of directories that no connection, candidate or personal mapping of ours needs any more. Returns how many. */
export async function deleteUnusedDirectories(db: Database, limit = 1_000): Promise<number> {
  const result = await sql`
    with unused as materialized (
      select zoom_account_id from steward.directories d
       where not exists (select from steward.org_connections c
                          where c.zoom_account_id = d.zoom_account_id
                            and (c.state in ('active', 'interrupted', 'disconnecting') or c.grant_id is not null))
         and not exists (select from steward.candidates k join steward.grants g on g.id = k.grant_id
                          where g.zoom_account_id = d.zoom_account_id
                            and k.state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation'))
         -- What an operator said of an account before anybody connects it.
         and (d.synced_at is not null or d.walk_id is not null
              or coalesce((d.stated_limits ->> 'at')::timestamptz <= steward.now() - ${statedDays} * interval '1 day', true))
       limit ${limit} for update skip locked),
    gone as (
      delete from steward.directories d using unused where d.zoom_account_id = unused.zoom_account_id
      returning d.zoom_account_id, d.walk_id),
    users as (delete from steward.directory_users u using gone where u.zoom_account_id = gone.zoom_account_id),
    lookups as (delete from steward.directory_lookups l using gone where l.zoom_account_id = gone.zoom_account_id),
    staging as (delete from steward.directory_staging s using gone where s.walk_id = gone.walk_id)
    select from gone`.execute(db);
  return result.rows.length;
}
