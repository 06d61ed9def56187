import { sql, type Transaction } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { applyTransition } from './apply-transition.ts';
import { actorOf, assertMayManage, getLiveOrganization, lockConnection } from './authority.ts';
import { undoHours } from './finish-disconnect.ts';

export type UndoneDisconnect = {
  readonly connectionId: string;
  readonly generation: number;
  /** brings back members and locations */
  readonly runId: string;
  /** whether the cascade was still under way: it is superseded */
  readonly duringCascade: boolean;
};

/**
 * Undoes the disconnect of a deadline that ran out, without the customer (behaviour §6.5): the connection is active with
 * its grant, which was sealed for 24 hours, and the run that brings back members and locations is written with it. It is
 * looked at at once: if Zoom still refuses us, it is interrupted again, with a notice and a whole deadline.
 * @throws where a person decided the disconnect, the time is over, or the grant is dead: then a Zoom admin must consent
 */
export async function undoDisconnect(
  trx: Transaction<DB>,
  {
    organizationId,
    operator,
    reason,
  }: { readonly organizationId: string; readonly operator: string; readonly reason: string },
): Promise<UndoneDisconnect> {
  const asker = { operator, reason };
  await assertMayManage(trx, organizationId, asker);
  await getLiveOrganization(trx, organizationId);
  const found = await trx
    .selectFrom('steward.org_connections')
    .select('id')
    .where('organization_id', '=', organizationId)
    .executeTakeFirst();
  const connection = found && (await lockConnection(trx, found.id));
  const refuse = (code: string, expected: string, instead: string): StewardError =>
    new StewardError(code, `Expected ${expected}; ${instead}, nothing was changed.`, { context: { organizationId } });
  const again = 'make a connect link: a new consent of the same Zoom account brings everything back';
  const isOver =
    connection?.state === 'none' || connection?.state === 'pending' || connection?.state === 'disconnecting';
  if (!connection || !isOver || connection.disconnected_at === null)
    throw refuse('nothing_to_undo', 'an organization that was disconnected, this one is not', 'see its status');
  if (connection.disconnect_cause !== 'deadline')
    throw refuse('not_automatic', `a disconnect by a deadline, this one is by ${connection.disconnect_cause}`, again);
  const { rows } = await sql<{ inTime: boolean; state: string | null; deadReason: string | null }>`
    select c.disconnected_at > steward.now() - ${undoHours} * interval '1 hour' as "inTime", g.state, g.dead_reason as "deadReason"
      from steward.org_connections c left join steward.grants g on g.id = c.grant_id
     where c.id = ${connection.id}`.execute(trx);
  const [facts] = rows;
  if (!facts?.inTime || connection.grant_id === null)
    throw refuse('undo_too_late', `at most ${undoHours} hours since the disconnect`, again);
  if (facts.state !== 'living' && facts.state !== 'suspect')
    throw refuse('grant_dead', `a grant that lives, it is ${facts.deadReason ?? facts.state}`, again);
  const result = await applyTransition(trx, {
    connectionId: connection.id,
    event: 'disconnect_undone',
    actor: actorOf(asker),
    reason,
    seen: { generation: connection.generation, grantId: connection.grant_id },
    set: {
      disconnected_at: null,
      interrupted_reason: null,
      interrupted_at: null,
      notice_event_seq: null,
      deadline_at: null,
      first_failed_at: null,
      verify_due_at: sql`steward.now()`,
    },
  });
  if (result.outcome === 'refused' || result.runId === null)
    throw refuse('connection_moved', 'a connection that nobody else changes', 'look again');
  const owe = (job: string, key: string, payload: Record<string, string>) => insertOutbox(trx, { job, key, payload });
  await owe('verify-admin-role', connection.id, { connectionId: connection.id });
  const { zoom_account_id: zoomAccountId } = connection;
  // The copy of its users may have been deleted, or was made when none of these members was looked for.
  if (zoomAccountId !== null) await owe('sync-zoom-directory', zoomAccountId, { zoomAccountId });
  return {
    connectionId: connection.id,
    generation: result.generation,
    runId: result.runId,
    duringCascade: connection.state === 'disconnecting',
  };
}
