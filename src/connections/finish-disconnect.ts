import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { releaseGrant } from '../grants/release.ts';
import { applyTransition } from './apply-transition.ts';
import { lockConnection } from './authority.ts';

/** After an automatic cascade the grant stays sealed this long, so that an operator can undo it (behaviour §6.5). */
export const undoHours = 24;

export type FinishedDisconnect =
  | { readonly outcome: 'finished' }
  /** somebody reconnected, or another cascade took over: the grant and the state are theirs */
  | { readonly outcome: 'superseded' };

/**
 * The last step of a cascade, in the transaction that ends its run: guarded by state and generation, the connection
 * becomes none, the owners are told with the counts, and the grant goes to its release – after an automatic cascade
 * only when the 24 hours for undoing it are over. The Zoom account is kept to recognise it when it comes back.
 */
export async function finishDisconnect(
  trx: Transaction<DB>,
  end: {
    readonly connectionId: string;
    /** generation of the cascade's run */
    readonly generation: number;
    readonly runId: string;
    readonly counts?: Readonly<Record<string, unknown>>;
  },
): Promise<FinishedDisconnect> {
  const connection = await lockConnection(trx, end.connectionId);
  const keepsGrant = connection.disconnect_cause === 'deadline';
  const result = await applyTransition(trx, {
    connectionId: end.connectionId,
    event: 'cascade_finished',
    actor: 'schedule',
    seen: { generation: end.generation },
    set: {
      interrupted_at: null,
      interrupted_reason: null,
      deadline_at: null,
      ...(keepsGrant ? {} : { grant_id: null }),
    },
    data: { cause: connection.disconnect_cause, runId: end.runId, counts: end.counts ?? {} },
  });
  if (result.outcome === 'refused') return { outcome: 'superseded' };
  if (connection.grant_id !== null && !keepsGrant) {
    await releaseGrant(trx, {
      grantId: connection.grant_id,
      organizationId: connection.organization_id,
      actor: 'schedule',
      reason: 'disconnected',
    });
  }
  return { outcome: 'finished' };
}

/**
 * The last step of an organization's disconnect, if its cascade is done: for a job that knows the organization only.
 * Doing it twice, or after somebody reconnected, changes nothing.
 */
export async function finishOrganizationDisconnect(db: Database, organizationId: string): Promise<FinishedDisconnect> {
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<{
      connectionId: string;
      generation: number;
      runId: string;
      counts: Record<string, unknown>;
    }>`
      select c.id as "connectionId", r.generation, r.id as "runId", r.counts
        from steward.org_connections c
        join steward.runs r on r.connection_id = c.id and r.generation = c.generation and r.cascade and r.state = 'done'
       where c.organization_id = ${organizationId} and c.state = 'disconnecting'
       order by r.created_at desc limit 1`.execute(trx);
    return rows[0] ? finishDisconnect(trx, rows[0]) : { outcome: 'superseded' };
  });
}

/** Releases grants of automatic cascades whose 24 hours are over. Returns how many. For the tick. */
export async function releaseUndoneGrants(db: Database): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select id from steward.org_connections
     where state in ('none', 'pending') and grant_id is not null
       and disconnected_at <= steward.now() - ${undoHours} * interval '1 hour'`.execute(db);
  for (const { id } of rows) {
    await db.transaction().execute(async (trx) => {
      const connection = await lockConnection(trx, id);
      if (connection.grant_id === null || (connection.state !== 'none' && connection.state !== 'pending')) return;
      await trx.updateTable('steward.org_connections').set({ grant_id: null }).where('id', '=', id).execute();
      await releaseGrant(trx, {
        grantId: connection.grant_id,
        organizationId: connection.organization_id,
        actor: 'schedule',
        reason: 'disconnected',
      });
    });
  }
  return rows.length;
}
