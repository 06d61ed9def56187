import { sql } from 'kysely';
import { releaseGrant } from '../grants/release.ts';
import type { Advanced } from './advanced.ts';
import { applyTransition } from './apply-transition.ts';
import { getCandidate, lockCandidate } from './candidate-repository.ts';
import type { ConfirmReason } from './confirmation-rule.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { identifyCandidate } from './identify-candidate.ts';
import { lookAtGrant } from './look-at-grant.ts';
import { nextGrantLook, settleCandidate } from './settle-candidate.ts';
import { settlePending } from './settle-pending.ts';
import { judge, type Verdict } from './verdict.ts';

/**
 * Waits longer the older the candidate is: 5 seconds at first, 10 minutes at most. Also for a walk, whose end asks for a look
 * itself: a look is three calls at Zoom, and a walk may wait a day for what Zoom allows the account in one.
 */
const backOff = sql<Date>`steward.now() + least(interval '10 minutes', greatest(interval '5 seconds', (steward.now() - created_at) / 2))`;

async function postpone(
  deps: ConnectionDeps,
  candidateId: string,
  wait: { readonly on: 'zoom' | 'directory' | 'identity'; readonly reason: string; readonly verdict?: Verdict },
): Promise<Advanced> {
  const row = await deps.db
    .updateTable('steward.candidates')
    .set({
      look_due_at: backOff,
      ...(wait.verdict ? { state: 'waiting', verdict: JSON.stringify(wait.verdict) } : {}),
    })
    .where('id', '=', candidateId)
    .where('state', 'in', ['exchanged', 'unidentified', 'verifying', 'waiting'])
    .returning(sql<number>`(extract(epoch from look_due_at - steward.now()) * 1000)::float8`.as('retryInMs'))
    .executeTakeFirst();
  return row ? { state: 'waiting', on: wait.on, reason: wait.reason, retryInMs: row.retryInMs } : { state: 'ended' };
}

async function fail(
  deps: ConnectionDeps,
  candidateId: string,
  verdict: Extract<Verdict, { result: 'failed' }>,
  { wasWaiting = false }: { readonly wasWaiting?: boolean } = {},
): Promise<Advanced> {
  return deps.db.transaction().execute(async (trx): Promise<Advanced> => {
    const { connection, candidate } = await lockCandidate(trx, candidateId);
    if (!candidate.open || (candidate.state === 'awaiting_confirmation') !== wasWaiting) return { state: 'ended' };
    await trx
      .updateTable('steward.candidates')
      .set({ state: 'failed', verdict: JSON.stringify(verdict), look_due_at: null, ended_at: sql`steward.now()` })
      .where('id', '=', candidateId)
      .execute();
    await applyTransition(trx, {
      connectionId: connection.id,
      event: 'verdict_failed',
      actor: 'zoom',
      reason: verdict.missing.join('; '),
      data: { candidateId, missing: verdict.missing, approvedBy: candidate.approver_email },
    });
    if (candidate.grant_id !== null) {
      const { organization_id: organizationId } = connection;
      await releaseGrant(trx, {
        grantId: candidate.grant_id,
        organizationId,
        actor: 'zoom',
        reason: 'candidate_failed',
      });
    }
    await settlePending(trx, connection.id);
    return { state: 'failed', missing: verdict.missing };
  });
}

/**
 * What waits for an owner was judged already; its token is kept alive, and only a grant that is dead – after two looks at
 * the token endpoint – ends it: the owner shall not confirm what Zoom has ended, and somebody must approve again.
 */
async function keepAlive(
  deps: ConnectionDeps,
  candidate: Awaited<ReturnType<typeof getCandidate>>,
  options: { readonly signal?: AbortSignal },
): Promise<Advanced> {
  await deps.db
    .updateTable('steward.candidates')
    .set({ look_due_at: nextGrantLook })
    .where('id', '=', candidate.id)
    .where('state', '=', 'awaiting_confirmation')
    .execute();
  const verdict = judge(await lookAtGrant(deps, candidate.grant_id as string, options), deps.expectations);
  if (verdict.result === 'failed' && verdict.evidence === 'grant')
    return fail(deps, candidate.id, verdict, { wasWaiting: true });
  return { state: 'awaiting_confirmation', reason: candidate.confirm_reason as ConfirmReason };
}

/**
 * Takes a candidate as far as it goes now: who consented, the verdict, the people found, then active by rule or
 * waiting for a person. Safe to run twice and at once; every step is decided under the connection's lock.
 */
export async function advanceCandidate(
  deps: ConnectionDeps,
  candidateId: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Advanced> {
  const identified = await identifyCandidate(deps, candidateId);
  if (identified === 'unidentified') {
    return postpone(deps, candidateId, { on: 'identity', reason: 'Zoom does not say who consented' });
  }
  const candidate = await getCandidate(deps.db, candidateId);
  if (identified === 'failed')
    return { state: 'failed', missing: (candidate.verdict as { missing?: readonly string[] } | null)?.missing ?? [] };
  if (!candidate.open || candidate.grant_id === null || candidate.expired) return { state: 'ended' };
  if (candidate.state === 'awaiting_confirmation') {
    return keepAlive(deps, candidate, options);
  }
  const verdict = judge(await lookAtGrant(deps, candidate.grant_id, options), deps.expectations);
  switch (verdict.result) {
    case 'failed':
      return fail(deps, candidateId, verdict);
    case 'inconclusive':
      return postpone(deps, candidateId, { on: 'zoom', reason: verdict.reason, verdict });
    case 'passed': {
      const settled = await settleCandidate(deps, candidateId, verdict);
      if (settled !== 'directory') return settled;
      return postpone(deps, candidateId, { on: 'directory', reason: 'counting your people in the Zoom account' });
    }
    default:
      verdict satisfies never;
      return { state: 'ended' };
  }
}
