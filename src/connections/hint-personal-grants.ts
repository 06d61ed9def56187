import { sql, type Transaction } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import type { DB } from '../db/schema.ts';
import { inOrder } from './hint-account.ts';
import { oweLook } from './hint-subject.ts';

/** Personal grants of one account tried because of one webhook; the others are tried when they are used. */
const grantsAtOnce = 100;

/**
 * Says "try it" for the personal grant of a Zoom user. If the app was taken off somebody whom we do not know, everybody
 * of the account is tried: an admin may have taken it off them all.
 * @returns how many grants were concerned
 */
export async function hintPersonalGrants(
  trx: Transaction<DB>,
  {
    clientId,
    zoomAccountId,
    zoomUserId,
    kind,
  }: {
    readonly clientId: string;
    readonly zoomAccountId: string;
    readonly zoomUserId: string | null;
    readonly kind: 'user' | 'deauthorized';
  },
): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    with living as (
      select g.id, g.zoom_user_id from steward.grants g
       where g.client_id = ${clientId} and g.zoom_account_id = ${zoomAccountId} and g.state in ('living', 'suspect')
         and exists (select from steward.personal_connections p
                      where p.grant_id = g.id and p.state in ('active', 'suspect')))
    select id from living
     where zoom_user_id = ${zoomUserId}
        or ${kind} = 'deauthorized' and not exists (select from living own where own.zoom_user_id = ${zoomUserId})
     order by id limit ${grantsAtOnce}`.execute(trx);
  for (const { id } of inOrder(rows.map((row) => ({ kind: 'grant' as const, id: row.id })))) {
    const delayMs = await oweLook(trx, { kind: 'grant', id }, zoomAccountId);
    if (delayMs === null) continue;
    await insertOutbox(trx, { job: 'verify-admin-role', key: id, payload: { grantId: id, probe: true }, delayMs });
  }
  return rows.length;
}
