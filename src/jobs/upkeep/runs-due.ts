import { sql } from 'kysely';
import type { Database } from '../../db/database.ts';
import type { UpkeepResult } from '../services/job-services.ts';
import { owe } from './owe.ts';

const atOnce = 500;

// From writing a run to its first slice, and between two slices, normally milliseconds pass.
const unattended = sql`interval '20 seconds'`;

const isLeftBehind = sql`
  run.target = 'organization' and run.state in ('queued', 'running')
  and coalesce(run.lease_until, run.started_at, run.created_at) <= steward.now() - ${unattended}`;

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
       where connection.state = 'disconnecting' and run.state = 'done' and run.ended_at <= steward.now() - ${unattended}
       limit ${atOnce}`,
  );
}

const fullPassAge = sql`interval '24 hours'`;
const fullPassesAtOnce = 50;

/**
 * Organizations not reconciled for a day, oldest first, a few a tick: what nobody announced is found here,
 * and not in one wave.
 */
export function findFullPassesDue(db: Database): Promise<UpkeepResult> {
  return owe(
    db,
    'reconcile-organization',
    sql`
      select connection.organization_id::text as key, jsonb_build_object('organizationId', connection.organization_id) as payload
        from steward.org_connections connection
       where connection.created_at <= steward.now() - ${fullPassAge}
         and not exists (
           select from steward.runs run
            where run.organization_id = connection.organization_id and run.target = 'organization'
              and (run.created_at > steward.now() - ${fullPassAge} or run.state in ('queued', 'running', 'held')))
       order by connection.organization_id
       limit ${fullPassesAtOnce}`,
  );
}
