import { sql } from 'kysely';
import { insertOutbox } from '../db/outbox-repository.ts';
import { fileGrant, type Tokens } from '../grants/grant-repository.ts';
import { releaseGrant } from '../grants/release.ts';
import { tellConnections } from '../grants/tell-connections.ts';
import { applyTransition } from './apply-transition.ts';
import { type CandidatePair, isBeingRenewed, openPair, renewCandidatePair, type TokenFacts } from './candidate-pair.ts';
import { getCandidate, lockCandidate } from './candidate-repository.ts';
import type { ConnectionDeps } from './connection-deps.ts';
import { settlePending } from './settle-pending.ts';
import { missingBy } from './verdict.ts';

export type Identified =
  /** filed under the grant of whoever consented */
  | 'identified'
  /** Zoom did not say who consented; asked again until its 24 hours are over */
  | 'unidentified'
  /** the scope with which one asks was declined: Zoom will never say, and the candidate failed */
  | 'failed'
  /** nothing left to identify */
  | 'settled';

/**
 * Asks Zoom who consented and files the pair under that person's grant. If we hold it already, the new pair replaces
 * the old one at once for every connection on it, whatever the verdict will be and whatever became of the candidate
 * meanwhile: Zoom has ended the old pair. Safe to run twice and at once; the second finds nothing to file.
 */
export async function identifyCandidate(deps: ConnectionDeps, candidateId: string): Promise<Identified> {
  const asked = await askWho(deps, candidateId);
  if (asked.kind === 'settled') return 'settled';
  if (asked.kind === 'declined') {
    await failUnnamed(deps, candidateId, asked.missing);
    return 'failed';
  }
  if (asked.kind === 'unnamed') {
    await keepUnidentified(deps, candidateId, asked.reason);
    return 'unidentified';
  }
  const { pair, facts, who, sealedAccess } = asked;
  const { accountId, userId, email } = who;
  const { scopes, expiresInS, apiUrl } = facts;
  const tokens: Tokens = { kind: 'tokens', ...pair, scopes, expiresInS, apiUrl };
  return deps.db.transaction().execute(async (trx): Promise<Identified> => {
    const { connection, candidate } = await lockCandidate(trx, candidateId);
    if (candidate.sealed_access === null) return 'settled';
    // Renewed by somebody else since we asked, or just being: what we hold has ended.
    if (candidate.sealed_access !== sealedAccess || isBeingRenewed(candidate)) return 'unidentified';
    const filed = await fileGrant(trx, deps.vault, {
      client: deps.client,
      zoomAccountId: accountId,
      zoomUserId: userId,
      zoomUserEmail: email,
      tokens,
      api: deps.endpoints,
    });
    await trx
      .updateTable('steward.candidates')
      .set({
        grant_id: filed.grantId,
        sealed_access: null,
        sealed_refresh: null,
        token_facts: null,
        approver_email: email,
        ...(candidate.open ? { state: 'verifying', look_due_at: sql`steward.now()` } : { look_due_at: null }),
      })
      .where('id', '=', candidateId)
      .execute();
    if (filed.previousState !== null && filed.previousState !== 'gone') {
      await applyTransition(trx, {
        connectionId: connection.id,
        event: 'exchange_of_known_grant',
        actor: 'zoom',
        data: { candidateId, zoomAccountId: accountId, zoomUserId: userId, previousState: filed.previousState },
      });
    }
    // Connections on this grant may be interrupted because the old pair was dead: they are looked at again.
    await tellConnections(trx, filed.grantId);
    if (candidate.open) {
      await insertOutbox(trx, { job: 'verify-admin-role', key: candidateId, payload: { candidateId } });
    } else {
      const { organization_id: organizationId } = connection;
      await releaseGrant(trx, {
        grantId: filed.grantId,
        organizationId,
        actor: 'zoom',
        reason: `candidate_${candidate.state}`,
      });
    }
    return 'identified';
  });
}

type Asked =
  | { readonly kind: 'settled' }
  | { readonly kind: 'unnamed'; readonly reason: string }
  | { readonly kind: 'declined'; readonly missing: readonly string[] }
  | {
      readonly kind: 'named';
      readonly pair: CandidatePair;
      readonly sealedAccess: string;
      readonly facts: TokenFacts;
      readonly who: { readonly accountId: string; readonly userId: string; readonly email: string | null };
    };

/** Asks /users/me with the candidate's own tokens, renewed once if Zoom refuses the access token. */
async function askWho(deps: ConnectionDeps, candidateId: string, renewed = false): Promise<Asked> {
  const row = await getCandidate(deps.db, candidateId);
  if (row.sealed_access === null) return { kind: 'settled' };
  const pair = openPair(deps, row);
  if (pair === null) return { kind: 'unnamed', reason: 'vault_unreadable' };
  const facts = row.token_facts as TokenFacts;
  const regional = facts.apiUrl !== null && deps.endpoints.trustedApiBase(facts.apiUrl) ? facts.apiUrl : null;
  const me = await deps.api.me({ token: pair.accessToken, apiBase: regional ?? deps.endpoints.apiBase });
  if (me.ok) {
    const { accountId, id: userId, email } = me.value;
    if (accountId !== null && userId !== null)
      return { kind: 'named', pair, sealedAccess: row.sealed_access, facts, who: { accountId, userId, email } };
    return { kind: 'unnamed', reason: 'no account or user in the answer' };
  }
  if (me.failure.kind === 'token' && !renewed && (await renewCandidatePair(deps, row, pair))) {
    return askWho(deps, candidateId, true);
  }
  if (me.failure.kind === 'missing_scope')
    return { kind: 'declined', missing: missingBy('read users', me.failure) ?? [] };
  return { kind: 'unnamed', reason: me.failure.kind };
}

/**
 * Gives up a pair with which nobody can learn whose it is. Waiting would help nobody, and until it ends no connection of
 * the client id is declared lost: one declined scope must not hold that for a day. The pair is deleted, never revoked.
 */
async function failUnnamed(deps: ConnectionDeps, candidateId: string, missing: readonly string[]): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const { connection, candidate } = await lockCandidate(trx, candidateId);
    if (candidate.sealed_access === null) return;
    await trx
      .updateTable('steward.candidates')
      .set({
        ...{ sealed_access: null, sealed_refresh: null, token_facts: null, look_due_at: null },
        ...(candidate.open
          ? {
              state: 'failed',
              verdict: JSON.stringify({ result: 'failed', missing, evidence: 'calls' }),
              ended_at: sql`steward.now()`,
            }
          : {}),
      })
      .where('id', '=', candidateId)
      .execute();
    if (!candidate.open) return;
    await applyTransition(trx, {
      connectionId: connection.id,
      event: 'verdict_failed',
      actor: 'zoom',
      reason: missing.join('; '),
      data: { candidateId, missing, approvedBy: null },
    });
    await settlePending(trx, connection.id);
  });
}

async function keepUnidentified(deps: ConnectionDeps, candidateId: string, reason: string): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const { connection, candidate } = await lockCandidate(trx, candidateId);
    if (candidate.sealed_access === null) return;
    await trx
      .updateTable('steward.candidates')
      .set({
        ...(candidate.open ? { state: 'unidentified' } : {}),
        verdict: JSON.stringify({ result: 'inconclusive', reason }),
        look_due_at: sql`steward.now() + interval '30 seconds'`,
      })
      .where('id', '=', candidateId)
      .execute();
    if (candidate.state === 'exchanged') {
      await applyTransition(trx, {
        connectionId: connection.id,
        event: 'exchange_unidentified',
        actor: 'zoom',
        reason,
        data: { candidateId },
      });
    }
  });
}
