import { type RawBuilder, sql, type Transaction, type Updateable } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import { insertEvent } from '../db/event-repository.ts';
import { startOrganizationRun } from '../db/run-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { cancelOpenWork } from './cancel-open-work.ts';
import { dropOneTimeRun } from './drop-one-time-run.ts';
import { type ConnectionEvent, type ConnectionState, transitions } from './transitions.ts';

/** What a decision was based on; a connection that moved since refuses it as stale. */
export type Seen = { readonly generation?: number; readonly grantId?: string | null };

type Columns = Updateable<DB['steward.org_connections']>;

/** Columns that go with a transition; state and generation are the table's business. */
export type ConnectionPatch = {
  readonly [Column in Exclude<keyof Columns, 'id' | 'organization_id' | 'state' | 'generation'>]?:
    | Columns[Column]
    | RawBuilder<unknown>;
};

export type TransitionRequest = {
  readonly connectionId: string;
  readonly event: ConnectionEvent;
  readonly actor: Actor;
  readonly reason?: string;
  readonly seen?: Seen;
  /** columns that go with the change, in the same guarded update */
  readonly set?: ConnectionPatch;
  /** facts for audit and event: never a token, code or address of a stranger */
  readonly data?: Readonly<Record<string, unknown>>;
  /** what is stored of members stands, also where the event alone does not say so */
  readonly factsStand?: boolean;
  /** cause of the run, where one is written; the event's name if not given */
  readonly cause?: string;
};

export type TransitionResult =
  | {
      readonly outcome: 'changed' | 'unchanged';
      readonly organizationId: string;
      readonly from: ConnectionState;
      readonly to: ConnectionState;
      readonly generation: number;
      readonly runId: string | null;
      readonly eventSeq: number | null;
    }
  | { readonly outcome: 'refused'; readonly from: ConnectionState; readonly why: 'stale' | 'never' | 'rule' };

/** Whether a link or candidate of the connection is open: pending means just that. */
const anythingOpen = (connectionId: string) => sql<boolean>`(
  exists (select from steward.connect_links l where l.connection_id = ${connectionId} and l.state = 'open')
  or exists (select from steward.candidates c where c.connection_id = ${connectionId}
              and c.state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation')))`;

/**
 * The only way an org connection changes its state: one guarded update by the table in transitions.ts, with audit
 * entry, event, and – where members are affected – generation + 1 and the run it owes, in the caller's transaction.
 * Locks the connection's row. A late or impossible event is refused and changes nothing.
 */
export async function applyTransition(trx: Transaction<DB>, request: TransitionRequest): Promise<TransitionResult> {
  const { connectionId, event, actor, seen } = request;
  const transition = transitions[event];
  const row = await trx
    .selectFrom('steward.org_connections')
    .select(['organization_id', 'state', 'generation', 'grant_id'])
    .where('id', '=', connectionId)
    .forUpdate()
    .executeTakeFirst();
  if (!row) {
    throw new StewardError(
      'connection_not_found',
      `Expected an org connection ${connectionId}, found none; check the id.`,
    );
  }
  const from: ConnectionState = row.state;
  const stale =
    (seen?.generation !== undefined && seen.generation !== row.generation) ||
    (seen?.grantId !== undefined && seen.grantId !== row.grant_id);
  if (stale) return { outcome: 'refused', from, why: 'stale' };
  const outcome = transition.from[from];
  if (outcome === 'never') return { outcome: 'refused', from, why: 'never' };
  const note = (action: string, extra: Readonly<Record<string, unknown>> = {}) =>
    insertAudit(trx, {
      organizationId: row.organization_id,
      actor,
      action,
      subjectId: connectionId,
      ...(request.reason === undefined ? {} : { reason: request.reason }),
      data: { ...request.data, ...extra },
    });
  if (outcome === 'refused') {
    if (transition.audited) await note(`connection.${event}`, { from });
    return { outcome: 'refused', from, why: 'rule' };
  }

  if (transition.cancels) {
    await cancelOpenWork(trx, connectionId, actor);
    await dropOneTimeRun(trx, row.organization_id);
  }
  const affects = transition.run.includes(from);
  const next =
    outcome === 'back'
      ? sql<ConnectionState>`case when ${anythingOpen(connectionId)} then 'pending' else 'none' end`
      : outcome === '='
        ? from
        : outcome;
  const updated = await trx
    .updateTable('steward.org_connections')
    .set({ ...(request.set as Columns), state: next, generation: affects ? row.generation + 1 : row.generation })
    .where('id', '=', connectionId)
    .where('state', '=', from)
    .where('generation', '=', row.generation)
    .returning(['state', 'generation'])
    .executeTakeFirst();
  if (!updated) return { outcome: 'refused', from, why: 'stale' };

  const to: ConnectionState = updated.state;
  const changed = to !== from || affects;
  if (changed || transition.audited) await note(`connection.${event}`, { from, to, generation: updated.generation });
  const eventSeq = transition.tells?.from.includes(from)
    ? await insertEvent(trx, {
        organizationId: row.organization_id,
        type: transition.tells.type,
        subjectId: connectionId,
        data: { ...request.data, ...(request.reason === undefined ? {} : { reason: request.reason }) },
      })
    : null;
  const runId = affects
    ? await startOrganizationRun(trx, {
        connectionId,
        cause: request.cause ?? event,
        actor,
        ...(transition.factsStand || request.factsStand ? { stands: 'facts' } : {}),
      })
    : null;
  return {
    outcome: changed ? 'changed' : 'unchanged',
    organizationId: row.organization_id,
    from,
    to,
    generation: updated.generation,
    runId,
    eventSeq,
  };
}
