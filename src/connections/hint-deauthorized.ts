import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { applyTransition } from './apply-transition.ts';
import { hintAccount } from './hint-account.ts';

/** The echo of our own revocation may come so late: Zoom's retries end after 85 minutes. */
const echoHours = 3;

/** Whether we are revoking a grant of that account, or did so lately: its webhook may come before its answer. */
async function isEcho(trx: Transaction<DB>, clientId: string, zoomAccountId: string): Promise<boolean> {
  const { rows } = await sql<{ echo: boolean }>`
    select exists (
      select from steward.grants g
       where g.client_id = ${clientId} and g.zoom_account_id = ${zoomAccountId}
         and (g.state = 'retiring'
           or g.revoked_at > steward.now() - ${echoHours} * interval '1 hour')) as echo`.execute(trx);
  return rows[0]?.echo ?? false;
}

/**
 * `app_deauthorized` (lifecycle §2): recorded for every connection on the account, and whatever could be hurt is
 * probed – whoever's token it was about, because one admin's removal may end another's. The echo of our own revocation
 * is named as such, and probed all the same: somebody may have removed the app in the same hour.
 */
export async function hintDeauthorized(
  trx: Transaction<DB>,
  { clientId, zoomAccountId, zoomUserId }: { clientId: string; zoomAccountId: string; zoomUserId: string | null },
): Promise<void> {
  const echo = await isEcho(trx, clientId, zoomAccountId);
  const reason = echo ? 'app_deauthorized: the echo of our own revocation' : 'app_deauthorized';
  await hintAccount(trx, { zoomAccountId, actor: 'zoom', reason });
  const connections = await trx
    .selectFrom('steward.org_connections')
    .select(['id', 'state'])
    .where('zoom_account_id', '=', zoomAccountId)
    .where('state', '!=', 'none')
    .orderBy('id')
    .execute();
  for (const { id, state } of connections) {
    await applyTransition(trx, {
      connectionId: id,
      event: 'app_deauthorized',
      actor: 'zoom',
      reason,
      data: { zoomAccountId, zoomUserId, echo },
      // The first of them: replaying others must not put an interruption off.
      ...(state === 'active' ? { set: { deauthorized_at: sql`coalesce(deauthorized_at, steward.now())` } } : {}),
    });
  }
}
