import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import { firstKey } from '../../reconciliation/key-range.ts';
import type { UpkeepResult } from '../services/job-services.ts';
import { owe, oweEach } from './owe.ts';

const atOnce = 500;

// From writing a run to its first slice, and between two slices, normally milliseconds pass.
const unattended = sql`interval '20 seconds'`;

const isLeftBehind = sql`
  run.target = 'organization' and run.state in ('queued', 'running')
  and coalesce(run.lease_until, run.started_at, run.created_at) <= (select steward.now()) - ${unattended}`;

/**
 * Runs whose heartbeat has stopped and whose job got lost: a queue that was wiped, a job that used up its
 * attempts. (A process that dies is noticed earlier, by the queue's own lock.)
 */
export async function findRunsLeftBehind(db: Database): Promise<UpkeepResult> {
  const found = await Promise.all(
    (['reconcile-organization', 'disconnect-organization'] as const).map((job) =>
      owe(
        db,
        job,
        sql`
          select run.id::text as key, jsonb_build_object('organizationId', run.organization_id, 'runId', run.id) as payload
            from steward.runs run
           where ${isLeftBehind} and run.cascade = ${job === 'disconnect-organization'}
           order by run.created_at
           limit ${atOnce}`,
      ),
    ),
  );
  return { found: found.reduce((sum, { found: more }) => sum + more, 0) };
}

/** Disconnects whose cascade has ended without the last step: the process died in between. */
export function findUnfinishedDisconnects(db: Database): Promise<UpkeepResult> {
  return owe(
    db,
    'disconnect-organization',
    sql`
      select run.id::text as key, jsonb_build_object('organizationId', run.organization_id, 'runId', run.id) as payload
        from steward.org_connections connection
        cross join lateral (
          select run.id, run.organization_id, run.state, run.ended_at from steward.runs run
           where run.organization_id = connection.organization_id and run.target = 'organization'
           order by run.created_at desc limit 1) run
       where connection.state = 'disconnecting' and run.state = 'done' and run.ended_at <= (select steward.now()) - ${unattended}
       limit ${atOnce}`,
  );
}

// An hour is left for the walk to come round and for the run to begin.
const fullPassAge = sql`interval '23 hours'`;
const walkedAtOnce = 2_000;
const fullPassesAtOnce = 200;
const walkKey = 'full_passes.after';

/** A run that began after the facts: it found nothing of what nobody announced. */
const stoodOnFacts = sql`(run.progress ?| array['members', 'locations'] and not run.progress ? 'facts')`;

/**
 * Organizations not reconciled for a day: what nobody announced is found here. A walk over the main app's
 * organizations in the order of their ids, a stretch a tick, so that a tick costs the same however many there are.
 * One without a connection is looked at where its members have a Zoom of their own.
 */
export async function findFullPassesDue(db: Database): Promise<UpkeepResult> {
  const { rows } = await sql<{ id: string; due: boolean }>`
    with at as materialized (select steward.now() - ${fullPassAge} as stale),
    page as materialized (
      select o.id, o.created_at, o.deleted_at from steward_app.organizations o
       where o.id > coalesce((select (value #>> '{}')::uuid from steward.installation where key = ${walkKey}), ${firstKey}::uuid)
       order by o.id limit ${walkedAtOnce})
    select page.id,
           page.deleted_at is null and coalesce(connection.created_at, page.created_at) <= at.stale
           and (connection.organization_id is not null
                or exists (select from steward_app.personal_connections p where p.organization_id = page.id)
                or exists (select from steward.personal_connections p where p.organization_id = page.id))
           and not exists (select from steward.runs run
                            where run.target_id = page.id and run.target = 'organization' and run.created_at > at.stale
                              and not ${stoodOnFacts})
           and not exists (select from steward.runs run
                            where run.organization_id = page.id and run.target = 'organization' and run.state in ('queued', 'running', 'held')) as due
      from page cross join at
      left join steward.org_connections connection on connection.organization_id = page.id
     order by page.id`.execute(db);
  const due = rows.filter((row) => row.due).map(({ id }) => id);
  const now = due.slice(0, fullPassesAtOnce);
  const found = await oweEach(db, 'reconcile-organization', 'organizationId', now);
  // After they are owed: a walk that dies in between says them again, which is harmless.
  const last = due.length > now.length ? now.at(-1) : rows.length === walkedAtOnce ? rows.at(-1)?.id : firstKey;
  await sql`
    insert into steward.installation (key, value, updated_at) values (${walkKey}, to_jsonb(${last}::text), steward.now())
    on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at`.execute(db);
  return found;
}
