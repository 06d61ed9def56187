import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import type { WebhookNotice } from '../zoom/webhook-notice.ts';
import { hintAccount } from './hint-account.ts';
import { hintDeauthorized } from './hint-deauthorized.ts';
import { hintPersonalGrants } from './hint-personal-grants.ts';
import { hintZoomAddress, hintZoomUser } from './hint-zoom-user.ts';
import { noteHeard } from './webhook-sources.ts';

/** A webhook whose signature was good. */
export type GoodWebhook = {
  readonly id: Buffer;
  readonly clientId: string;
  readonly clientKind: 'admin' | 'personal';
  /** null: nothing we can read */
  readonly notice: Exclude<WebhookNotice, { kind: 'validation' }> | null;
};

/** taken; repeated: known by its id; dropped: of nobody of ours, or of no use; unreadable: not as documented. */
export type Received = 'taken' | 'repeated' | 'dropped' | 'unreadable';

/** Longer than this and Zoom sends it again: a lock must not keep it waiting. */
const statementMs = 2_000;

/** Whether anything of ours is, or was, on that Zoom account by this app. */
async function isOurs(trx: Transaction<DB>, clientId: string, zoomAccountId: string): Promise<boolean> {
  const { rows } = await sql<{ ours: boolean }>`
    select exists (select from steward.grants g where g.client_id = ${clientId} and g.zoom_account_id = ${zoomAccountId}) as ours`.execute(
    trx,
  );
  return rows[0]?.ours ?? false;
}

/** True the first time within 24 hours. Of two at once the second waits for the first. */
async function insertReceipt(trx: Transaction<DB>, id: Buffer): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into steward.webhook_receipts (id, received_at) values (${id}, steward.now())
    on conflict (id) do nothing`.execute(trx);
  return numAffectedRows === 1n;
}

/**
 * Takes a webhook (lifecycle §7): its id, and the looks it hints at, in one short transaction that calls nobody. Throws
 * if that cannot be stored: Zoom must send it again then.
 */
export function receiveWebhook(db: Database, webhook: GoodWebhook): Promise<Received> {
  const { id, clientId, clientKind, notice } = webhook;
  return db.transaction().execute(async (trx) => {
    await sql.raw(`set local statement_timeout = ${statementMs}`).execute(trx);
    const received = await take(trx);
    await noteHeard(trx, clientId, 'heard');
    return received;
  });

  async function take(trx: Transaction<DB>): Promise<Received> {
    if (notice === null) return 'unreadable';
    if (notice.kind === 'other') return 'dropped';
    if (notice.kind === 'deauthorized' && notice.clientId !== null && notice.clientId !== clientId) return 'dropped';
    const { zoomAccountId } = notice;
    if (!(await isOurs(trx, clientId, zoomAccountId))) return 'dropped';
    if (!(await insertReceipt(trx, id))) return 'repeated';
    const why = { zoomAccountId, actor: 'zoom', reason: notice.event } as const;
    if (clientKind === 'personal') {
      if (notice.kind === 'settings') return 'dropped';
      const { kind, zoomUserId } = notice;
      await hintPersonalGrants(trx, { clientId, kind, zoomAccountId, zoomUserId });
      return 'taken';
    }
    switch (notice.kind) {
      case 'settings':
        await hintAccount(trx, why);
        return 'taken';
      case 'deauthorized':
        await hintDeauthorized(trx, { clientId, zoomAccountId, zoomUserId: notice.zoomUserId });
        return 'taken';
      case 'user': {
        const { zoomUserId, address } = notice;
        // Candidates and connections first: everybody takes the rows of hints in the order of their names.
        if (zoomUserId !== null) {
          await hintAccount(trx, { ...why, zoomUserId });
          await hintZoomUser(trx, { zoomAccountId, zoomUserId });
        } else if (address !== null) {
          await hintZoomAddress(trx, { zoomAccountId, address: address.reveal() });
        }
        return 'taken';
      }
      default:
        return notice satisfies never;
    }
  }
}
