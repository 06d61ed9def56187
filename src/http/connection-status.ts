import { summarizeCandidate } from '../connections/confirm-candidate.ts';
import type { Database } from '../db/database.ts';

/** State of an organization's connection for the main app's pages: nothing in it is a secret. */
export async function findConnectionStatus(db: Database, organizationId: string) {
  const row = await db
    .selectFrom('steward.org_connections as c')
    .leftJoin('steward.grants as g', 'g.id', 'c.grant_id')
    .select(['c.id', 'c.state', 'c.generation', 'c.zoom_account_id', 'c.zoom_account_name', 'g.zoom_user_email'])
    .select(['c.at_risk_reason', 'c.interrupted_reason', 'c.interrupted_at', 'c.deadline_at', 'c.verified_at'])
    .where('c.organization_id', '=', organizationId)
    .executeTakeFirst();
  if (!row) return { state: 'none', generation: 0, connectionId: null, waiting: [] };
  const waiting = await db
    .selectFrom('steward.candidates')
    .select('id')
    .where('connection_id', '=', row.id)
    .where('state', 'in', ['exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation'])
    .orderBy('created_at')
    .execute();
  return {
    connectionId: row.id,
    state: row.state,
    generation: row.generation,
    zoomAccount: row.zoom_account_id && { id: row.zoom_account_id, name: row.zoom_account_name },
    approvedBy: row.zoom_user_email,
    atRisk: row.at_risk_reason,
    interrupted:
      row.state === 'interrupted'
        ? { reason: row.interrupted_reason, since: row.interrupted_at, deadlineAt: row.deadline_at }
        : null,
    verifiedAt: row.verified_at,
    waiting: await Promise.all(waiting.map(({ id }) => summarizeCandidate(db, id))),
  };
}
