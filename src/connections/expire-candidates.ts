import { sql } from 'kysely';
import { releaseGrant } from '../grants/release.ts';
import { applyTransition } from './apply-transition.ts';
import { lockCandidate } from './candidate-repository.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { settlePending } from './settle-pending.ts';

/**
 * Gives up candidates whose time is over (24 h for a verdict, 72 h for a confirmation), one transaction each.
 * Tokens that nobody was named for are deleted, never revoked: revoking might end a stranger's.
 * @returns how many ended
 */
export async function expireCandidates(deps: Pick<ConnectionDeps, 'db'>, limit = 100): Promise<number> {
  const { rows } = await sql<{ id: string }>`
    select id from steward.candidates
     where expires_at <= steward.now()
       and (state in ('exchanged', 'unidentified', 'verifying', 'waiting', 'awaiting_confirmation') or sealed_access is not null)
     order by expires_at limit ${limit}`.execute(deps.db);
  for (const { id } of rows) await expireCandidate(deps, id);
  return rows.length;
}

async function expireCandidate(deps: Pick<ConnectionDeps, 'db'>, candidateId: string): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const { connection, candidate } = await lockCandidate(trx, candidateId);
    if (!candidate.expired) return;
    await trx
      .updateTable('steward.candidates')
      .set({
        sealed_access: null,
        sealed_refresh: null,
        look_due_at: null,
        ...(candidate.open ? { state: 'expired', ended_at: sql`steward.now()` } : {}),
      })
      .where('id', '=', candidateId)
      .execute();
    if (!candidate.open) return;
    const awaited =
      candidate.state === 'awaiting_confirmation' ? 'nobody confirmed it in 72 hours' : 'no verdict in 24 hours';
    await applyTransition(trx, {
      connectionId: connection.id,
      event: 'verdict_failed',
      actor: 'schedule',
      reason: awaited,
      data: { candidateId, expired: true, verdict: candidate.verdict },
    });
    if (candidate.grant_id !== null) {
      await releaseGrant(trx, {
        grantId: candidate.grant_id,
        organizationId: connection.organization_id,
        actor: 'schedule',
        reason: 'candidate_expired',
      });
    }
    await settlePending(trx, connection.id);
  });
}
