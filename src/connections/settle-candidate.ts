import { sql, type Transaction } from 'kysely';
import type { DB } from '../db/schema.ts';
import { activateCandidate } from './activate.ts';
import type { Advanced } from './advanced.ts';
import { applyTransition } from './apply-transition.ts';
import { issuerStillMay } from './attempts.ts';
import { getCandidate, lockCandidate } from './candidate-repository.ts';
import { type ConfirmReason, whyConfirm } from './confirmation-rule.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { countFound, type Found } from './count-found.ts';
import { directoryIsFresh } from './directory-freshness.ts';
import type { Verdict } from './verdict.ts';
import { wantWalk } from './want-walk.ts';

/** How long a passed candidate waits for an owner or admin (lifecycle §2). */
const confirmationLifetimeHours = 72;

/** Until an owner has decided, whether the grant still lives is looked at so often. */
export const nextGrantLook = sql<Date>`steward.now() + interval '12 hours'`;

type Locked = Awaited<ReturnType<typeof lockCandidate>>;

/**
 * Why a person must confirm, from facts read under the locks; null: the rule confirms. `cancelled`: nobody is left to
 * whom the link could pass, and the candidate ended with it.
 */
async function decideConfirmation(
  trx: Transaction<DB>,
  { connection, candidate }: Locked,
  found: Found,
): Promise<ConfirmReason | 'cancelled' | null> {
  const { rows } = await sql<{ domains: string[]; approver: string | null }>`
    select verified_domains as domains, steward.address_key(${candidate.approver_email}) as approver
      from steward_app.organizations
     where id = ${connection.organization_id} and deleted_at is null and plan_includes_zoom`.execute(trx);
  const link =
    candidate.link_id === null
      ? undefined
      : await trx
          .selectFrom('steward.connect_links')
          .select(['id', 'connection_id', 'organization_id', 'issuer_member_id'])
          .where('id', '=', candidate.link_id)
          .executeTakeFirst();
  // Whoever issued the link must still be allowed to, now that it would take effect; else people decide.
  if (!link) return 'approver_not_recognised';
  if (!(await issuerStillMay(trx, link))) {
    return (await getCandidate(trx, candidate.id)).open ? 'approver_not_recognised' : 'cancelled';
  }
  // Gone, or its plan without Zoom: nothing becomes active by itself, and a person is refused with the reason.
  if (rows[0] === undefined) return 'approver_not_recognised';
  return whyConfirm({
    previousZoomAccountId: connection.zoom_account_id,
    zoomAccountId: candidate.zoom_account_id as string,
    approverIsIssuer: candidate.approver_is_issuer,
    approverEmail: rows[0].approver,
    verifiedDomains: rows[0].domains,
    members: found.members,
    matched: found.matched,
  });
}

/**
 * Decides about a candidate that passed: active by the rule, or waiting for a person; `directory` where the copy of the
 * account's users is too old to count people in it.
 */
export async function settleCandidate(
  deps: ConnectionDeps,
  candidateId: string,
  verdict: Extract<Verdict, { result: 'passed' }>,
): Promise<Advanced | 'directory'> {
  return deps.db.transaction().execute(async (trx): Promise<Advanced | 'directory'> => {
    const locked = await lockCandidate(trx, candidateId);
    const { connection, candidate } = locked;
    if (!candidate.open || candidate.state === 'awaiting_confirmation' || candidate.expired) return { state: 'ended' };
    if (candidate.grant_id === null || candidate.zoom_account_id === null) return { state: 'ended' };
    const zoomAccountId = candidate.zoom_account_id;
    if (!(await directoryIsFresh(trx, zoomAccountId, { connectionId: connection.id, candidateId }))) {
      await wantWalk(trx, zoomAccountId);
      return 'directory';
    }
    const found = await countFound(trx, { organizationId: connection.organization_id, zoomAccountId });
    const reason = await decideConfirmation(trx, locked, found);
    if (reason === 'cancelled') return { state: 'ended' };
    await trx
      .updateTable('steward.candidates')
      .set({ verdict: JSON.stringify(verdict), found: JSON.stringify(found), confirm_reason: reason })
      .where('id', '=', candidateId)
      .execute();
    if (reason === null) {
      const usable = {
        ...candidate,
        id: candidateId,
        linkId: candidate.link_id,
        grantId: candidate.grant_id,
        zoomAccountId,
      };
      const active = await activateCandidate(
        trx,
        connection,
        { ...usable, approverEmail: candidate.approver_email, found },
        { actor: 'zoom', confirmedBy: 'rule' },
      );
      return { state: 'active', runId: active.runId, generation: active.generation };
    }
    await trx
      .updateTable('steward.candidates')
      .set({
        state: 'awaiting_confirmation',
        look_due_at: nextGrantLook,
        expires_at: sql`steward.now() + ${confirmationLifetimeHours} * interval '1 hour'`,
      })
      .where('id', '=', candidateId)
      .execute();
    await applyTransition(trx, {
      connectionId: connection.id,
      event: 'verdict_awaiting',
      actor: 'zoom',
      reason,
      data: { candidateId, zoomAccountId, approvedBy: candidate.approver_email, found, warnings: verdict.warnings },
    });
    return { state: 'awaiting_confirmation', reason };
  });
}
