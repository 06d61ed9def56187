import { sql } from 'kysely';
import type { Database } from '../db/database.ts';
import { applyTransition } from './apply-transition.ts';

/** A cascade takes minutes for a million event types: one that has not ended after this long will not by itself. */
const stuckAfterHours = 1;

/**
 * Names cascades that cannot finish, once for each generation, in the audit log, for operators: somebody has to look.
 * The run goes on being tried. What an operator stopped is not stuck.
 * @returns how many were named
 */
export async function nameStuckCascades(db: Database, limit = 100): Promise<number> {
  const { rows } = await sql<{ id: string; generation: number; runId: string }>`
    select c.id, c.generation, r.id as "runId"
      from steward.org_connections c
      join steward.runs r on r.connection_id = c.id and r.generation = c.generation and r.cascade
     where c.state = 'disconnecting' and not c.observe and r.state in ('queued', 'running', 'failed')
       and r.created_at <= steward.now() - ${stuckAfterHours} * interval '1 hour'
       and not exists (select from steward.switches where name in ('observe_only', 'pause_all', 'pause_writes'))
       and not exists (select from steward.audit_log a
                        where a.organization_id = c.organization_id and a.action = 'connection.cascade_stuck'
                          and a.subject_id = c.id and (a.data ->> 'generation')::bigint = c.generation)
     order by r.created_at limit ${limit}`.execute(db);
  for (const { id: connectionId, generation, runId } of rows) {
    await db.transaction().execute((trx) =>
      applyTransition(trx, {
        connectionId,
        event: 'cascade_stuck',
        actor: 'schedule',
        reason: `the cascade has not ended after ${stuckAfterHours} h`,
        seen: { generation },
        data: { runId },
      }),
    );
  }
  return rows.length;
}
