import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';

export type GrantUse =
  /** a connection or an open candidate works with this very grant */
  | 'grant'
  /** something else of ours lives on the same Zoom account: revoking might end it */
  | 'account'
  /** Zoom did not say yet who consented in an open candidate: it may be this account */
  | 'unidentified'
  | 'none';

/**
 * What of ours lives on the Zoom account of a grant (lifecycle §4). The caller holds `lockZoomAccount`, so that
 * nothing can be filed there meanwhile. Grants that are dead, gone or retiring are not living.
 */
export async function findGrantUse(trx: Transaction<DB>, grantId: string): Promise<GrantUse> {
  const { rows } = await sql<{ onGrant: boolean; onAccount: boolean; unidentified: boolean }>`
    with it as (select id, client_kind, client_id, zoom_account_id from steward.grants where id = ${grantId}),
    org as (select c.grant_id, c.zoom_account_id from steward.org_connections c where c.state in ('active', 'interrupted', 'disconnecting')
               -- Sealed, so that what a deadline ended can be undone.
               or (c.state in ('none', 'pending') and c.grant_id is not null)),
    personal as (select p.grant_id, p.zoom_account_id from steward.personal_connections p where p.state in ('connecting', 'active', 'suspect', 'broken')),
    candidate as (select k.grant_id from steward.candidates k
                   where k.state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation'))
    select exists (select from org where grant_id = it.id) or exists (select from personal where grant_id = it.id)
             or exists (select from candidate where grant_id = it.id)
             or exists (select from steward.personal_consents where grant_id = it.id and state = 'asking') as "onGrant",
           exists (select from steward.grants g where g.client_id = it.client_id and g.zoom_account_id = it.zoom_account_id
                      and g.id <> it.id and g.state in ('living', 'suspect'))
             or (it.client_kind = 'admin' and exists (select from org where zoom_account_id = it.zoom_account_id))
             or (it.client_kind = 'personal' and exists (select from personal where zoom_account_id = it.zoom_account_id)) as "onAccount",
           case it.client_kind when 'admin' then exists (select from candidate where grant_id is null)
                else exists (select from steward.personal_consents where sealed_access is not null) end as unidentified
      from it`.execute(trx);
  const use = rows[0];
  if (use?.onGrant) return 'grant';
  if (use?.onAccount) return 'account';
  return use?.unidentified ? 'unidentified' : 'none';
}
