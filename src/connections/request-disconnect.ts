import { sql, type Transaction } from 'kysely';
import type { Actor } from '../db/audit-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { applyTransition } from './apply-transition.ts';
import { type Asker, actorOf, assertMayManage, assertTypedName, lockConnection } from './authority.ts';
import type { ConnectionState } from './transitions.ts';

export type DisconnectRequest = {
  readonly organizationId: string;
  /** generation of the preview the person has seen */
  readonly generation: number;
  /** the organization's name as the person typed it */
  readonly typedName: string;
  readonly asker: Asker;
};

export type DisconnectResult = {
  readonly connectionId: string;
  /** disconnecting: the cascade runs; none: there was nothing but open links, and they are cancelled */
  readonly state: ConnectionState;
  readonly generation: number;
  readonly runId: string | null;
};

async function lockByOrganization(trx: Transaction<DB>, organizationId: string) {
  const found = await trx
    .selectFrom('steward.org_connections')
    .select('id')
    .where('organization_id', '=', organizationId)
    .executeTakeFirst();
  return found ? lockConnection(trx, found.id) : null;
}

/** Columns that go with a decided disconnect; a second decision while the first runs keeps the first's. */
const decided = (cause: 'person' | 'deadline' | 'organization_deleted' | 'plan_ended') => ({
  disconnect_cause: cause,
  disconnected_at: sql<Date>`steward.now()`,
  deadline_at: null,
  notice_event_seq: null,
  first_failed_at: null,
  at_risk_reason: null,
  verify_due_at: null,
});

/**
 * An owner or admin, or an operator with a reason, disconnects the organization (behaviour §6): with the generation
 * of the preview – an older one is refused as stale_preview – and the organization's name typed. Open links, attempts
 * and candidates are cancelled; the cascade's run is written in the same transaction.
 */
export async function requestDisconnect(trx: Transaction<DB>, request: DisconnectRequest): Promise<DisconnectResult> {
  const { organizationId, asker } = request;
  const connection = await lockByOrganization(trx, organizationId);
  await assertMayManage(trx, organizationId, asker);
  if (!connection) {
    throw new StewardError(
      'nothing_to_disconnect',
      'Expected an organization that asked for Zoom, this one never did; nothing was done.',
    );
  }
  await assertTypedName(trx, organizationId, request.typedName);
  if (connection.generation !== request.generation) {
    throw new StewardError(
      'stale_preview',
      `The preview is of generation ${request.generation}, the connection is at ${connection.generation}; look at a new preview and confirm that.`,
      { context: { organizationId, generation: connection.generation } },
    );
  }
  const serving = connection.state === 'active' || connection.state === 'interrupted';
  return end(trx, connection.id, {
    event: 'disconnect',
    actor: actorOf(asker),
    ...('operator' in asker ? { reason: asker.reason } : {}),
    set: serving ? decided('person') : {},
    seen: request.generation,
  });
}

/**
 * Ends the connection because the organization is gone from the main app, or its plan ended and the deadline is
 * over. Saying it again, or for an organization that never connected, changes nothing.
 */
export async function endConnection(
  trx: Transaction<DB>,
  { organizationId, cause }: { readonly organizationId: string; readonly cause: 'organization_deleted' | 'plan_ended' },
): Promise<DisconnectResult | null> {
  const connection = await lockByOrganization(trx, organizationId);
  if (!connection) return null;
  const serving = connection.state === 'active' || connection.state === 'interrupted';
  return end(trx, connection.id, {
    event: cause === 'organization_deleted' ? 'organization_gone' : 'disconnect',
    actor: 'app',
    reason: cause,
    set: serving ? decided(cause) : {},
  });
}

/** Ends an interrupted connection whose deadline is over and whose last look failed. */
export async function endAtDeadline(
  trx: Transaction<DB>,
  {
    connectionId,
    generation,
    reason,
  }: { readonly connectionId: string; readonly generation: number; readonly reason: string },
): Promise<DisconnectResult> {
  return end(trx, connectionId, {
    event: 'deadline_failed',
    actor: 'schedule',
    reason,
    set: decided('deadline'),
    seen: generation,
  });
}

async function end(
  trx: Transaction<DB>,
  connectionId: string,
  how: {
    readonly event: 'disconnect' | 'organization_gone' | 'deadline_failed';
    readonly actor: Actor;
    readonly reason?: string;
    readonly set: Partial<ReturnType<typeof decided>>;
    readonly seen?: number;
  },
): Promise<DisconnectResult> {
  const result = await applyTransition(trx, {
    connectionId,
    event: how.event,
    actor: how.actor,
    ...(how.reason === undefined ? {} : { reason: how.reason }),
    ...(how.seen === undefined ? {} : { seen: { generation: how.seen } }),
    set: how.set,
    cause: 'disconnect',
    data: how.set.disconnect_cause ? { cause: how.set.disconnect_cause } : {},
  });
  if (result.outcome === 'refused') {
    throw new StewardError('stale_preview', 'The connection changed meanwhile; look again and decide again.', {
      context: { connectionId },
    });
  }
  return { connectionId, state: result.to, generation: result.generation, runId: result.runId };
}
