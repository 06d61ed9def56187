import { sql, type Transaction } from 'kysely';
import { type Actor, insertAudit } from '../db/audit-repository.ts';
import { insertEvent } from '../db/event-repository.ts';
import type { DB } from '../db/schema.ts';
import { findGrantUse } from './account-in-use.ts';
import { type GrantState, lockZoomAccount } from './grant-repository.ts';
import { notifyGrant } from './wake.ts';

const retireMs = 24 * 60 * 60_000;

export type RevokeOutcome =
  | 'revoked'
  | 'already_dead'
  | 'not_revoked: account in use'
  | 'grant_not_revoked'
  | 'not_revoked: imported for another user';

/** What an owner is told when Zoom did not confirm the revocation. */
export const grantNotRevokedSentence =
  'Zoom did not confirm that our access was removed. Our copies of the tokens are deleted; to remove the app itself, ' +
  'a Zoom admin opens the Zoom App Marketplace, chooses Manage, then Added Apps, and removes it there.';

export type ReleaseRequest = {
  readonly grantId: string;
  /** told how it ended; null: nobody had a connection through it */
  readonly organizationId: string | null;
  readonly actor: Actor;
  /** e.g. disconnected, candidate_failed */
  readonly reason: string;
};

export type Released =
  /** a connection or candidate still uses the grant: nothing was done */
  | 'in_use'
  /** secrets are deleted, nothing is called: the account is in use, or the grant was dead */
  | 'deleted'
  /** `retire` revokes it: call it soon, and again until it says otherwise */
  | 'retiring';

/** The facts of a grant under the locks that releasing needs: first the account's, then the row's. */
export async function lockGrant(trx: Transaction<DB>, grantId: string) {
  const grant = await trx
    .selectFrom('steward.grants')
    .select(['client_id', 'zoom_account_id'])
    .where('id', '=', grantId)
    .executeTakeFirst();
  if (!grant) return undefined;
  await lockZoomAccount(trx, grant.client_id, grant.zoom_account_id);
  const { rows } = await sql<{
    state: GrantState;
    version: number;
    overdue: boolean;
    organizationId: string | null;
    zoomAccountId: string;
  }>`
    select state, version, coalesce(retire_until <= steward.now(), false) as overdue, release_organization_id as "organizationId",
           zoom_account_id as "zoomAccountId"
      from steward.grants where id = ${grantId} for update`.execute(trx);
  return rows[0];
}

/**
 * Deletes the secrets, really, and says how it ended. The version moves with them, so that an answer that is still
 * on its way to a refresh has nothing left to bring back.
 */
export async function deleteSecrets(
  trx: Transaction<DB>,
  grantId: string,
  end: { outcome: RevokeOutcome; organizationId: string | null; zoomAccountId: string; actor: Actor },
): Promise<void> {
  const { outcome, organizationId, zoomAccountId, actor } = end;
  await sql`
    update steward.grants
       set state = case state when 'dead' then 'dead' else 'gone' end, version = version + 1, sealed_access = null, sealed_refresh = null,
           key_id = null, access_expires_at = null, suspect_since = null, suspect_reason = null, second_look_at = null,
           lease_token = null, lease_until = null, retire_until = null, release_organization_id = null, revoke_outcome = ${outcome},
           revoked_at = case when ${outcome} = 'revoked' then steward.now() else revoked_at end
     where id = ${grantId}`.execute(trx);
  await insertAudit(trx, {
    organizationId,
    actor,
    action: 'grant.released',
    reason: outcome,
    subjectId: grantId,
    data: { zoomAccountId },
  });
  if (outcome === 'grant_not_revoked' && organizationId !== null) {
    const data = { zoomAccountId, sentence: grantNotRevokedSentence };
    await insertEvent(trx, { organizationId, type: 'connection.grant_not_revoked', subjectId: grantId, data });
  }
  await notifyGrant(trx, grantId);
}

/**
 * Lets go of a grant that a connection or candidate no longer needs, in the transaction that ended the need
 * (pointers cleared, states left). Decided under the account's lock: revoking may end every token on that Zoom
 * account, so with anything else of ours there nothing is called.
 */
export async function releaseGrant(trx: Transaction<DB>, request: ReleaseRequest): Promise<Released> {
  const { grantId, organizationId, actor } = request;
  const grant = await lockGrant(trx, grantId);
  if (!grant || grant.state === 'gone') return 'deleted';
  const use = await findGrantUse(trx, grantId);
  if (use === 'grant') return 'in_use';
  if (grant.state === 'retiring') return 'retiring';
  const { zoomAccountId } = grant;
  if (use === 'account') {
    await deleteSecrets(trx, grantId, { outcome: 'not_revoked: account in use', organizationId, zoomAccountId, actor });
    return 'deleted';
  }
  if (grant.state === 'dead') {
    await deleteSecrets(trx, grantId, { outcome: 'already_dead', organizationId, zoomAccountId, actor });
    return 'deleted';
  }
  await sql`
    update steward.grants
       set state = 'retiring', retire_until = steward.now() + ${retireMs} * interval '1 millisecond', release_organization_id = ${organizationId}
     where id = ${grantId}`.execute(trx);
  await insertAudit(trx, {
    organizationId,
    actor,
    action: 'grant.retiring',
    reason: request.reason,
    subjectId: grantId,
    data: { zoomAccountId },
  });
  return 'retiring';
}

export type RetiringReview =
  | { readonly kind: 'revoke' }
  | { readonly kind: 'later' }
  /** nothing is left to do; null: it is in use again, or was finished before */
  | { readonly kind: 'over'; readonly outcome: RevokeOutcome | null };

/** Whether a retiring grant may be revoked now, decided once more under the locks, which it takes. */
export async function reviewRetiring(trx: Transaction<DB>, grantId: string): Promise<RetiringReview> {
  const grant = await lockGrant(trx, grantId);
  if (grant?.state !== 'retiring') return { kind: 'over', outcome: null };
  const { organizationId, zoomAccountId, overdue } = grant;
  const over = async (outcome: RevokeOutcome): Promise<RetiringReview> => {
    await deleteSecrets(trx, grantId, { outcome, organizationId, zoomAccountId, actor: 'schedule' });
    return { kind: 'over', outcome };
  };
  const use = await findGrantUse(trx, grantId);
  if (use === 'grant') {
    // A connection took it up again: its secrets are not ours to delete.
    await sql`
      update steward.grants set state = case when suspect_since is null then 'living' else 'suspect' end, retire_until = null,
             release_organization_id = null where id = ${grantId}`.execute(trx);
    return { kind: 'over', outcome: null };
  }
  if (use === 'account') return await over('not_revoked: account in use');
  if (overdue) return await over('grant_not_revoked');
  return { kind: use === 'unidentified' ? 'later' : 'revoke' };
}
