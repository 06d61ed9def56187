import { sql, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { DB } from '../db/schema.ts';
import { StewardError } from '../errors.ts';
import { type Activation, activateCandidate } from './activate.ts';
import { type Asker, actorOf, assertMayManage, getLiveOrganization } from './authority.ts';
import { getCandidate, lockCandidate } from './candidate-repository.ts';
import type { Found } from './count-found.ts';

export type CandidateSummary = {
  readonly candidateId: string;
  readonly state: string;
  readonly zoomAccountId: string | null;
  readonly approvedBy: string | null;
  readonly found: Found | null;
  readonly confirmReason: string | null;
  /** what connecting another Zoom account than before costs; null for the same one */
  readonly costs: { readonly bookingsDetached: number; readonly mappingsDropped: number } | null;
};

/** What an owner or admin sees before confirming (behaviour §3.6). */
export async function summarizeCandidate(
  db: Database | Transaction<DB>,
  candidateId: string,
): Promise<CandidateSummary> {
  const candidate = await getCandidate(db, candidateId);
  const connection = await db
    .selectFrom('steward.org_connections')
    .select(['id', 'organization_id', 'zoom_account_id'])
    .where('id', '=', candidate.connection_id)
    .executeTakeFirstOrThrow();
  const another = connection.zoom_account_id !== null && connection.zoom_account_id !== candidate.zoom_account_id;
  let costs: CandidateSummary['costs'] = null;
  if (another) {
    const { rows } = await sql<{ bookingsDetached: number; mappingsDropped: number }>`
      select (select count(*) from steward_app.bookings
               where meeting_connection_id = ${connection.id} and status = 'booked' and detached_at is null
                 and starts_at > steward.now() and meeting_zoom_account_id is distinct from ${candidate.zoom_account_id}) as "bookingsDetached",
             (select count(*) from steward.zoom_user_mappings
               where organization_id = ${connection.organization_id}
                 and zoom_account_id is distinct from ${candidate.zoom_account_id}) as "mappingsDropped"`.execute(db);
    costs = rows[0] ?? null;
  }
  return {
    candidateId,
    state: candidate.state,
    zoomAccountId: candidate.zoom_account_id,
    approvedBy: candidate.approver_email,
    found: candidate.found as Found | null,
    confirmReason: candidate.confirm_reason,
    costs,
  };
}

/**
 * "Yes, this is our Zoom": an owner or admin, or an operator with a reason, confirms; never the bearer of a link.
 * Confirming what is already adopted gives the same connection again; anything else that ended is refused.
 */
export async function confirmCandidate(
  trx: Transaction<DB>,
  { candidateId, asker }: { readonly candidateId: string; readonly asker: Asker },
): Promise<Activation | { readonly connectionId: string; readonly alreadyActive: true }> {
  const { connection, candidate } = await lockCandidate(trx, candidateId);
  await assertMayManage(trx, connection.organization_id, asker);
  await getLiveOrganization(trx, connection.organization_id);
  if (candidate.state === 'adopted' && connection.grant_id === candidate.grant_id && connection.state === 'active') {
    return { connectionId: connection.id, alreadyActive: true };
  }
  const refuse = (code: string, message: string): StewardError =>
    new StewardError(code, message, { context: { candidateId, state: candidate.state } });
  if (candidate.state !== 'awaiting_confirmation') {
    throw refuse(
      'candidate_not_waiting',
      `Expected an approval that waits for confirmation, this one is ${candidate.state}; look again.`,
    );
  }
  if (candidate.expired) {
    throw refuse(
      'candidate_expired',
      'The 72 hours to confirm this approval are over; ask the Zoom admin to approve again.',
    );
  }
  if (candidate.grant_id === null || candidate.zoom_account_id === null || !isUsable(candidate.grant_state)) {
    throw refuse('candidate_lost', 'Zoom has ended this approval meanwhile; ask the Zoom admin to approve again.');
  }
  return activateCandidate(
    trx,
    connection,
    {
      id: candidateId,
      linkId: candidate.link_id,
      grantId: candidate.grant_id,
      zoomAccountId: candidate.zoom_account_id,
      approverEmail: candidate.approver_email,
      found: candidate.found,
    },
    { actor: actorOf(asker), confirmedBy: actorOf(asker) },
  );
}

const isUsable = (state: string | null): boolean => state === 'living' || state === 'suspect';
