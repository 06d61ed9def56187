import { sql, type Transaction } from 'kysely';
import { insertAudit } from '../db/audit-repository.ts';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { type Asker, actorOf, assertMayManage } from './authority.ts';

const requested = 'connection.verify_requested';

export type RequestedLook = {
  readonly connectionId: string;
  /** when the next look was due before; every look plans the next one, so when that has moved, this one is over */
  readonly dueBefore: Date | null;
};

/**
 * An owner or admin, or an operator with a reason, asks for a look at Zoom now (behaviour §7): at most once a minute for an
 * organization, whoever asks.
 */
export async function requestVerification(
  trx: Transaction<DB>,
  { organizationId, asker }: { readonly organizationId: string; readonly asker: Asker },
): Promise<RequestedLook> {
  await assertMayManage(trx, organizationId, asker);
  const connection = await trx
    .selectFrom('steward.org_connections')
    .select(['id', 'state', 'verify_due_at', 'grant_id'])
    .where('organization_id', '=', organizationId)
    .forUpdate()
    .executeTakeFirst();
  if (connection?.state !== 'active' && connection?.state !== 'interrupted')
    throw new StewardError(
      'not_connected',
      `Expected a connection that is active or interrupted, this one is ${connection?.state ?? 'none'}; nothing to verify.`,
    );
  const { rows } = await sql<{ recent: boolean }>`
    select exists (select from steward.audit_log where organization_id = ${organizationId} and action = ${requested}
                      and at > steward.now() - interval '1 minute') as recent`.execute(trx);
  if (rows[0]?.recent)
    throw new StewardError(
      'verified_recently',
      'Verified on demand within the last minute; look at the connection, or try again in a minute.',
    );
  await insertAudit(trx, {
    organizationId,
    actor: actorOf(asker),
    action: requested,
    ...('operator' in asker ? { reason: asker.reason } : {}),
    subjectId: connection.id,
  });
  // Whoever asks has seen to it: calls about meetings that were refused before are old news.
  await trx.deleteFrom('steward.call_breakers').where('grant_id', '=', connection.grant_id).execute();
  await insertOutbox(trx, { job: 'verify-admin-role', key: connection.id, payload: { connectionId: connection.id } });
  return { connectionId: connection.id, dueBefore: connection.verify_due_at };
}
