import { type Actor, insertAudit } from '../db/audit-repository.ts';
import type { Database } from '../db/database.ts';
import { insertOutbox } from '../db/outbox-repository.ts';

/**
 * Says "look" for everything of ours on a Zoom account – connections in use and candidates –, because a webhook
 * (`app_deauthorized`, `user.*`) or a refused call hints at trouble. A hint changes no state.
 */
export async function hintAccount(
  db: Database,
  { zoomAccountId, actor, reason }: { readonly zoomAccountId: string; readonly actor: Actor; readonly reason: string },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const connections = await trx
      .selectFrom('steward.org_connections')
      .select('id')
      .where('zoom_account_id', '=', zoomAccountId)
      .where('state', 'in', ['active', 'interrupted'])
      .execute();
    for (const { id } of connections) {
      await insertOutbox(trx, { job: 'verify-admin-role', key: id, payload: { connectionId: id } });
    }
    const candidates = await trx
      .selectFrom('steward.candidates as c')
      .innerJoin('steward.grants as g', 'g.id', 'c.grant_id')
      .select('c.id')
      .where('g.zoom_account_id', '=', zoomAccountId)
      .where('c.state', 'in', ['verifying', 'waiting'])
      .execute();
    for (const { id } of candidates) {
      await insertOutbox(trx, { job: 'verify-admin-role', key: id, payload: { candidateId: id } });
    }
    const counts = { connections: connections.length, candidates: candidates.length };
    await insertAudit(trx, {
      organizationId: null,
      actor,
      action: 'zoom_account.hint',
      reason,
      data: { zoomAccountId, ...counts },
    });
  });
}
